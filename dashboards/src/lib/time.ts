/** Times as people read them, and the ranges that they ask for. */

export interface Range {
  /** In a form that the collector reads: `15m`, or an RFC 3339 time. */
  since: string;
  /** The same, or "" for now. */
  until: string;
}

export const DEFAULT_RANGE: Range = { since: '15m', until: '' };

/** What the time picker offers. */
export const SPANS: readonly { since: string; label: string }[] = [
  { since: '5m', label: 'Last 5 minutes' },
  { since: '15m', label: 'Last 15 minutes' },
  { since: '1h', label: 'Last hour' },
  { since: '6h', label: 'Last 6 hours' },
  { since: '24h', label: 'Last 24 hours' },
  { since: '2d', label: 'Last 2 days' },
  { since: '7d', label: 'Last 7 days' },
  { since: '30d', label: 'Last 30 days' },
];

const SPAN = /^(?:[0-9]{1,9}(?:\.[0-9]{1,6})?[smhdw])+$/;
const FRACTION = /\.(\d+)(?=Z|[+-])/;

export function isSpan(text: string): boolean {
  return SPAN.test(text);
}

/** `11-30 03:50:43.123`, in this browser's zone or in UTC; what is no time comes back as it is. */
export function shortTime(text: string, utc: boolean): string {
  const moment = new Date(text);
  if (Number.isNaN(moment.getTime())) return text;
  return `${date(moment, utc).slice(5)} ${clock(moment, utc)}`;
}

/** With the year, microseconds and the zone. */
export function longTime(text: string, utc: boolean): string {
  const moment = new Date(text);
  if (Number.isNaN(moment.getTime())) return text;
  const fraction = (FRACTION.exec(text)?.[1] ?? '').padEnd(6, '0').slice(0, 6);
  return `${date(moment, utc)} ${clock(moment, utc).slice(0, 8)}.${fraction} ${zone(moment, utc)}`;
}

/** `2026-11-30 03:50:43`. */
export function plainTime(moment: Date, utc: boolean): string {
  return `${date(moment, utc)} ${clock(moment, utc).slice(0, 8)}`;
}

/** `2026-11-30 03:50:43 UTC`, `2026-11-30 04:50:43 +01:00`. */
export function zonedTime(moment: Date, utc: boolean): string {
  return `${plainTime(moment, utc)} ${zone(moment, utc)}`;
}

export function rangeLabel(range: Range, utc: boolean): string {
  const known = SPANS.find((each) => each.since === range.since && range.until === '');
  if (known !== undefined) return known.label;
  if (range.until === '' && isSpan(range.since)) return `Last ${range.since}`;
  return `${moment(range.since, utc)} to ${range.until === '' ? 'now' : moment(range.until, utc)}`;
}

/** The range so many seconds before and after a time. */
export function rangeAround(text: string, seconds: number): Range {
  const at = new Date(text).getTime();
  return { since: new Date(at - seconds * 1000).toISOString(), until: new Date(at + seconds * 1000).toISOString() };
}

/** For an `<input type="datetime-local" step="1">`; "" where `text` is no moment. */
export function toLocalInput(text: string, utc: boolean): string {
  const at = new Date(text);
  return text === '' || isSpan(text) || Number.isNaN(at.getTime()) ? '' : plainTime(at, utc).replace(' ', 'T');
}

/** From such an input to RFC 3339; "" for an empty one. */
export function fromLocalInput(value: string, utc: boolean): string {
  if (value === '') return '';
  const at = new Date(utc ? `${value}Z` : value);
  return Number.isNaN(at.getTime()) ? '' : at.toISOString();
}

/** `1.2 s`, `340 ms`, `2 min 5 s`. */
export function duration(seconds: number): string {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${Number(seconds.toFixed(1))} s`;
  if (seconds < 3600) return parts(seconds, 60, 'min', 1, 's');
  if (seconds < 86_400) return parts(seconds, 3600, 'h', 60, 'min');
  return parts(seconds, 86_400, 'd', 3600, 'h');
}

/** `40 s`, `6 min`, `2 h`, `3 d`: in the largest unit of which there is one. */
export function age(seconds: number): string {
  const [unit, name] = AGES.find(([each]) => seconds >= each) ?? [1, 's'];
  return `${Math.floor(seconds / unit)} ${name}`;
}
const AGES: readonly [number, string][] = [
  [86_400, 'd'],
  [3600, 'h'],
  [60, 'min'],
];

const numbers = new Intl.NumberFormat('en');
const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });

/** `12,345`. */
export function number(value: number): string {
  return numbers.format(value);
}

/** `12.3K`. */
export function shortNumber(value: number): string {
  return value < 10_000 ? numbers.format(value) : compact.format(value);
}

function parts(seconds: number, large: number, largeName: string, small: number, smallName: string): string {
  const rest = Math.floor((seconds % large) / small);
  return `${Math.floor(seconds / large)} ${largeName}${rest > 0 ? ` ${rest} ${smallName}` : ''}`;
}

function moment(text: string, utc: boolean): string {
  const at = new Date(text);
  return isSpan(text) || Number.isNaN(at.getTime()) ? text : plainTime(at, utc);
}

function date(at: Date, utc: boolean): string {
  const [year, month, day] = utc
    ? [at.getUTCFullYear(), at.getUTCMonth(), at.getUTCDate()]
    : [at.getFullYear(), at.getMonth(), at.getDate()];
  return `${String(year).padStart(4, '0')}-${two(month + 1)}-${two(day)}`;
}

function clock(at: Date, utc: boolean): string {
  const [hour, minute, second, ms] = utc
    ? [at.getUTCHours(), at.getUTCMinutes(), at.getUTCSeconds(), at.getUTCMilliseconds()]
    : [at.getHours(), at.getMinutes(), at.getSeconds(), at.getMilliseconds()];
  return `${two(hour)}:${two(minute)}:${two(second)}.${String(ms).padStart(3, '0')}`;
}

function zone(at: Date, utc: boolean): string {
  if (utc) return 'UTC';
  const minutes = -at.getTimezoneOffset();
  const size = Math.abs(minutes);
  return `${minutes < 0 ? '-' : '+'}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

function two(value: number): string {
  return value < 10 ? `0${value}` : String(value);
}
