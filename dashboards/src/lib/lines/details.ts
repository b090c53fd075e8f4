/** A line as all that is known of it: its columns, its fields, what stands apart. */
import type { Row } from '../api/types';
import { writeJson } from '../json';
import { fieldName } from '../query/edit';
import { shown, shownValue } from '../text';
import { longTime, zonedTime } from '../time';
import { timeOf } from './columns';

export interface Detail {
  name: string;
  /** As it is shown. */
  text: string;
  /** Of the query language, with the value to ask for; null where there is nothing to ask by. */
  ask: { name: string; value: string } | null;
}

/** What a line's JSON holds under these is shown as a block of its own. */
const BLOCKS = ['traceback', 'stack'];
/** Column of the row -> name of the query. */
const ASKED: Readonly<Record<string, string>> = {
  hostname: 'host',
  app_name: 'service',
  severity: 'severity',
  facility: 'facility',
  event: 'event',
  request_id: 'request_id',
  instance: 'instance',
  project: 'project',
  migration: 'migration',
  logger: 'logger',
  level: 'level',
  procid: 'procid',
  msgid: 'msgid',
  peer: 'peer',
};
const TIMES = ['timestamp', 'observed_timestamp'];
const APART = ['message', 'fields'];

export function detailsOf(row: Row, utc: boolean): Detail[] {
  const columns = Object.entries(row)
    .filter(([name]) => !APART.includes(name))
    .map(([name, value]) => ({
      name: ASKED[name] ?? name,
      text: TIMES.includes(name) ? longTime(String(value), utc) : shownValue(value),
      ask: ASKED[name] === undefined ? null : { name: ASKED[name], value: String(value) },
    }));
  const fields = Object.entries(row.fields ?? {})
    .filter(([key, value]) => !(BLOCKS.includes(key) && typeof value === 'string'))
    .map(([key, value]) => ({
      name: `fields.${shown(key)}`,
      text: shownValue(value),
      ask: value === null || typeof value === 'object' ? null : { name: fieldName(key), value: textOf(value) },
    }));
  return [...columns, ...fields];
}

/** Tracebacks and stacks, as they were logged. */
export function blocksOf(row: Row): { name: string; text: string }[] {
  return BLOCKS.flatMap((name) => {
    const value = row.fields?.[name];
    return typeof value === 'string' && value.trim() !== '' ? [{ name, text: shown(value.trimEnd()) }] : [];
  });
}

/** The line for a ticket or a chat. */
export function plainText(row: Row, utc: boolean): string {
  const sender = row.app_name === undefined ? '' : ` ${row.app_name}${row.procid === undefined ? '' : `[${row.procid}]`}`;
  const at = new Date(timeOf(row));
  const time = Number.isNaN(at.getTime()) ? timeOf(row) : zonedTime(at, utc);
  const head = `${time} ${row.hostname ?? row.peer}${sender} ${row.severity.toUpperCase()} ${row.message}`;
  return [head, ...blocksOf(row).map((block) => block.text)].map(shown).join('\n');
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : writeJson(value);
}
