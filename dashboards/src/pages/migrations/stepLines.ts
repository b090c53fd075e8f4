/** Which lines belong to a step: those that carry the procedure's ids, or all of the hosts on which it ran. */
import type { Explanation } from '../../lib/api/explain';
import type { Question } from '../../lib/api/questions';
import type { Row } from '../../lib/api/types';
import { quoted, term } from '../../lib/query/edit';
import type { Step } from './ladder';

export type Which = 'own' | 'hosts';

/** Before it began and after it ended, in ms: what is told last is written a little later. */
const MARGIN_MS: Readonly<Record<Which, number>> = { own: 20, hosts: 500 };
/** A line is on its way for so long. */
const ARRIVAL_MS = 1000;
/** What an explanation says of a host whose clock is off, and how far off it may be for its lines to be found. */
const IS_SKEWED = /^the clock of host /;
const SKEW_MS = 3_600_000;

/**
 * By the emitters' clocks, as the ladder is; where one of them is off, also by when lines arrived, to which the ladder is
 * corrected. Null where there is nothing to ask by.
 */
export function questionOf(found: Explanation, step: Step, which: Which): Question | null {
  const who = which === 'own' ? ofIds(found) : ofHosts(step.rung.hosts);
  if (who === null || step.began === null || step.ended === null) return null;
  const [since, until] = [step.began - MARGIN_MS[which], step.ended + MARGIN_MS[which]];
  if (!found.not_seen.some((sentence) => IS_SKEWED.test(sentence))) {
    return { q: who, since: iso(since), until: iso(until), clock: 'emitted' };
  }
  const q = `(${who}) (${between('timestamp', since, until)} OR ${between('time', since, until + ARRIVAL_MS)})`;
  return { q, since: iso(since - SKEW_MS), until: iso(until + SKEW_MS), clock: 'emitted' };
}

/** The same in Explore, whose time is that of arrival. */
export function exploreUrl(question: Question, rows: readonly Row[]): string {
  const arrived = rows.map((row) => new Date(row.observed_timestamp).getTime());
  const range =
    arrived.length === 0
      ? { since: question.since, until: question.until }
      : { since: iso(Math.min(...arrived)), until: iso(Math.max(...arrived) + 1) };
  return `/explore?${new URLSearchParams({ q: question.q, ...range }).toString()}`;
}

function ofIds(found: Explanation): string | null {
  const ids = [
    ...(found.migration === null ? [] : [term('migration', found.migration)]),
    ...found.requests.map((request) => term('request_id', request)),
    ...(found.instance === null ? [] : [term('instance', found.instance)]),
  ];
  return ids.length === 0 ? null : ids.join(' OR ');
}

function ofHosts(hosts: readonly string[]): string | null {
  if (hosts.length === 0) return null;
  return hosts.length === 1 ? term('host', hosts[0]!) : `host:(${hosts.map(quoted).join(' OR ')})`;
}

function between(name: string, since: number, until: number): string {
  return `${name}:["${iso(since)}" TO "${iso(until)}"]`;
}

function iso(at: number): string {
  return new Date(at).toISOString();
}
