/** Why something failed, as the collector explains it. */
import { get } from './client';

/** One line, as far as it is shown. */
export interface Quote {
  row_id: number;
  time: string;
  host: string | null;
  service: string | null;
  level: string | null;
  text: string;
}

/** One stage of the ladder; what is null no line tells. */
export interface Rung {
  step: string;
  attempt: number;
  side: string | null;
  hosts: string[];
  began: string | null;
  took_s: number | null;
  outcome: string;
  notes: string[];
}

export interface KnownCause {
  id: string;
  title: string;
  meaning: string;
  check: string[];
  remedy: string[];
  certainty: 'certain' | 'likely' | 'not known';
  seen_in: Quote;
}

export interface Failure {
  step: string | null;
  hosts: string[];
  error: string;
  /** The first causal error. */
  first: Quote;
  /** Those tell the same failure again. */
  echoes: Quote[];
  /** Errors of the same time that are not known to be the same failure. */
  others: Quote[];
}

export interface Position {
  host: string | null;
  certainty: 'certain' | 'likely' | 'not known';
  is_safe: boolean | null;
  reason: string;
  copies: string[];
  doctor: string[];
}

/** Another procedure of the same subject. */
export interface Other {
  name: string;
  migration: string | null;
  began: string;
  ending: string;
  requests: string[];
}

export interface Explanation {
  asked: string;
  kind: string;
  id: string;
  note: string | null;
  procedure: string;
  migration: string | null;
  instance: string | null;
  instance_names: string[];
  requests: string[];
  source: string | null;
  destination: string | null;
  controllers: string[];
  began: string;
  ended: string;
  ending: 'failed' | 'completed' | 'cancelled' | 'unknown';
  verdict: 'known' | 'unclear' | 'unknown' | 'no failure';
  causes: KnownCause[];
  failure: Failure | null;
  earlier_failures: Failure[];
  position: Position | null;
  ladder: Rung[];
  not_seen: string[];
  others: Other[];
}

/** The last procedure of the subject that failed, or where none did the last. */
export async function explain(subject: string, since: string, signal: AbortSignal): Promise<Explanation> {
  return (await get('/explain', { subject, since }, signal)) as Explanation;
}
