/** What lines of several hosts tell of one thing: a migration, a request, an instance. */
import { get } from './client';
import type { Row } from './types';

export interface MigrationRow {
  id: string;
  state: string;
  type: string | null;
  instance: string | null;
  source: string | null;
  dest: string | null;
  request_id: string | null;
  began: string;
  /** Of its newest line. */
  last: string;
  duration_s: number;
  step: string | null;
  error: string | null;
}

export interface MigrationsAnswer {
  migrations: MigrationRow[];
  is_cut: boolean;
}

/** What one service on one host did for a request. */
export interface Part {
  host: string | null;
  service: string | null;
  began: string;
  ended: string;
  duration_s: number;
  lines: number;
  errors: number;
}

export interface TraceAnswer {
  request_id: string;
  duration_s: number;
  parts: Part[];
  rows: Row[];
  is_cut: boolean;
}

export interface InstanceNames {
  uuid: string;
  domain?: string;
  ec2_id?: string;
  instance_id?: number;
  display_name?: string;
}

export interface TimelineAnswer {
  names: InstanceNames;
  rows: Row[];
  is_cut: boolean;
}

interface Times {
  since: string;
  until: string;
}

export async function migrations(time: Times, signal: AbortSignal): Promise<MigrationsAnswer> {
  return (await get('/migrations', { ...time }, signal)) as MigrationsAnswer;
}

export async function trace(requestId: string, time: Times, signal: AbortSignal): Promise<TraceAnswer> {
  return (await get(`/trace/${encodeURIComponent(requestId)}`, { ...time }, signal)) as TraceAnswer;
}

/** With `every` all lines of the instance, rather than its events, warnings and errors. */
export async function timeline(
  instance: string,
  time: Times,
  every: boolean,
  signal: AbortSignal,
): Promise<TimelineAnswer> {
  return (await get(`/timeline/${encodeURIComponent(instance)}`, { ...time, every }, signal)) as TimelineAnswer;
}
