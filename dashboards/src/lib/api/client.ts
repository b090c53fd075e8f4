/** From a path and parameters to an answer of the collector, or to an error that says what a person can do about it. */

import { readJson } from '../json';

export type Parameters = Record<string, string | number | boolean | null | undefined>;

/** A refusal, or no answer at all (status 0). */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    detail: string,
    /** Of a query that cannot be read: where, from 1. */
    readonly column: number | null = null,
    readonly expected: readonly string[] = [],
    /** What it may have been, where several things have what was asked for as a name. */
    readonly choices: readonly string[] = [],
  ) {
    super(detail);
    this.name = 'ApiError';
  }
}

/** What hears that nobody is signed in any more. */
let onSignedOut: () => void = () => undefined;

export function whenSignedOut(call: () => void): void {
  onSignedOut = call;
}

/** A path of `/api/v1` with its parameters; null, undefined and "" are left out. */
export function urlOf(path: string, parameters: Parameters = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined && value !== '') search.set(name, String(value));
  }
  const text = search.toString();
  return `/api/v1${path}${text === '' ? '' : `?${text}`}`;
}

/** The answer to a GET. `ApiError`; an AbortError when `signal` was. */
export function get(path: string, parameters: Parameters, signal?: AbortSignal): Promise<unknown> {
  return exchange(urlOf(path, parameters), signal ? { signal } : {});
}

/** The answer to a GET from its beginning on, while it goes on. `ApiError`; an AbortError when `signal` was. */
export async function open(path: string, parameters: Parameters, signal: AbortSignal): Promise<Response> {
  const url = urlOf(path, parameters);
  const answer = await reach(url, { signal });
  if (answer.ok) return answer;
  throw refused(url, answer.status, await answer.text());
}

/** The answer to what changes something, with a body of JSON where there is one. */
export function send(
  method: 'POST' | 'PUT' | 'DELETE',
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<unknown> {
  if (body === undefined) return exchange(urlOf(path), { method, headers });
  const sent = { ...headers, 'Content-Type': 'application/json' };
  return exchange(urlOf(path), { method, headers: sent, body: JSON.stringify(body) });
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}

async function exchange(url: string, options: RequestInit): Promise<unknown> {
  const answer = await reach(url, options);
  const text = await answer.text();
  if (answer.ok) return text === '' ? null : readJson(text);
  throw refused(url, answer.status, text);
}

async function reach(url: string, options: RequestInit): Promise<Response> {
  try {
    return await fetch(url, { credentials: 'same-origin', ...options });
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new ApiError(0, 'away', 'The collector does not answer. Is it running, and is the network up?');
  }
}

function refused(url: string, status: number, text: string): ApiError {
  const refusal = refusalOf(status, text);
  if (refusal.status === 401 && !url.startsWith('/api/v1/session')) onSignedOut();
  return refusal;
}

/** The error in an answer, whatever it holds. */
export function refusalOf(status: number, text: string): ApiError {
  let content: Record<string, unknown> = {};
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === 'object' && parsed !== null) content = parsed as Record<string, unknown>;
  } catch {
    // not of the collector's own making: the status has to do
  }
  const { code, column } = content;
  return new ApiError(
    status,
    typeof code === 'string' ? code : 'http',
    detailOf(content['detail']) ?? `The collector answers ${status}.`,
    typeof column === 'number' ? column : null,
    textsOf(content['expected']),
    textsOf(content['choices']),
  );
}

function textsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : [];
}

function detailOf(detail: unknown): string | null {
  if (typeof detail === 'string') return detail;
  if (!Array.isArray(detail)) return null;
  const said = detail.map((each: unknown) => (each as { msg?: unknown } | null)?.msg);
  return said.filter((each) => typeof each === 'string').join('; ') || null;
}
