/** What pages ask the collector, one function for each route. */
import { get, open, type Parameters } from './client';
import type { ContextAnswer, FacetsAnswer, HistogramAnswer, HostsAnswer, SearchAnswer } from './types';

/** Which lines; times in the forms that the collector reads, such as `15m`. */
export interface Question {
  q: string;
  since: string;
  until: string;
  /** Whose time that is: of arrival where nothing else is said. */
  clock?: 'observed' | 'emitted';
}

export async function search(question: Question, limit: number, signal: AbortSignal): Promise<SearchAnswer> {
  return (await get('/search', asked(question, { limit }), signal)) as SearchAnswer;
}

/** The page that `cursor` leads to, of the same query. */
export async function nextPage(q: string, cursor: string, limit: number, signal: AbortSignal): Promise<SearchAnswer> {
  return (await get('/search', { q, cursor, limit }, signal)) as SearchAnswer;
}

export async function histogram(question: Question, buckets: number, signal: AbortSignal): Promise<HistogramAnswer> {
  return (await get('/histogram', asked(question, { buckets }), signal)) as HistogramAnswer;
}

export async function facets(question: Question, top: number, signal?: AbortSignal): Promise<FacetsAnswer> {
  return (await get('/facets', asked(question, { top }), signal)) as FacetsAnswer;
}

export type Around = 'host' | 'service' | 'all';

export async function context(
  rowId: string,
  around: Around,
  before: number,
  after: number,
  signal: AbortSignal,
): Promise<ContextAnswer> {
  const path = `/context/${encodeURIComponent(rowId)}`;
  return (await get(path, { around, before, after }, signal)) as ContextAnswer;
}

export async function hosts(since: string, signal: AbortSignal): Promise<HostsAnswer> {
  return (await get('/hosts', { since }, signal)) as HostsAnswer;
}

/** Events without end: behind a row, or with so many of the newest lines first. */
export function tail(q: string, begin: { after: number } | { n: number }, signal: AbortSignal): Promise<Response> {
  return open('/tail', { q, ...begin }, signal);
}

function asked(question: Question, more: Parameters): Parameters {
  return { ...question, ...more };
}
