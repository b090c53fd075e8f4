/** Text of log lines as it can be shown: what would move a cursor, hide or turn text around is written out. */
import { writeJson } from './json';

// eslint-disable-next-line no-control-regex -- these are what is looked for
const HIDDEN = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028\u2029\u202a-\u202e\u2060-\u2069\ufeff]/g;

export function shown(text: string): string {
  return text.replace(HIDDEN, (sign) => {
    const code = sign.charCodeAt(0);
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
  });
}

/** On one line. */
export function oneLine(text: string): string {
  return shown(text.replace(/\r?\n/g, ' ⏎ '));
}

/** A value of a line's fields. */
export function shownValue(value: unknown): string {
  if (value === undefined) return '';
  return shown(typeof value === 'string' ? value : writeJson(value));
}
