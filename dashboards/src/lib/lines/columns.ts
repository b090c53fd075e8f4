/** The columns that a list of lines can have, and what stands in them. */
import type { Row } from '../api/types';
import { oneLine, shownValue } from '../text';
import { shortTime } from '../time';

export interface Column {
  /** As in the query language, so that a cell can be asked for. */
  name: string;
  title: string;
  /** A width of CSS; the message has the rest. */
  width: string;
  text: (row: Row, utc: boolean) => string;
}

const KNOWN: readonly Column[] = [
  { name: 'time', title: 'Time', width: '142px', text: (row, utc) => shortTime(timeOf(row), utc) },
  { name: 'severity', title: 'Severity', width: '62px', text: (row) => row.severity },
  { name: 'host', title: 'Host', width: '112px', text: (row) => oneLine(row.hostname ?? row.peer) },
  { name: 'service', title: 'Service', width: '118px', text: (row) => oneLine(row.app_name ?? '') },
  { name: 'facility', title: 'Facility', width: '66px', text: (row) => row.facility },
  { name: 'event', title: 'Event', width: '200px', text: (row) => oneLine(row.event ?? '') },
  { name: 'request_id', title: 'Request', width: '130px', text: (row) => oneLine(row.request_id ?? '') },
  { name: 'instance', title: 'Instance', width: '130px', text: (row) => oneLine(row.instance ?? '') },
  { name: 'project', title: 'Project', width: '110px', text: (row) => oneLine(row.project ?? '') },
  { name: 'migration', title: 'Migration', width: '80px', text: (row) => oneLine(row.migration ?? '') },
  { name: 'logger', title: 'Logger', width: '150px', text: (row) => oneLine(row.logger ?? '') },
  { name: 'level', title: 'Level', width: '76px', text: (row) => oneLine(row.level ?? '') },
  { name: 'procid', title: 'Process', width: '64px', text: (row) => oneLine(row.procid ?? '') },
  { name: 'peer', title: 'Peer', width: '110px', text: (row) => row.peer },
];
export const MESSAGE: Column = {
  name: 'message',
  title: 'Message',
  width: 'minmax(160px, 1fr)',
  text: (row) => oneLine(row.message),
};
export const COLUMN_NAMES: readonly string[] = KNOWN.map((column) => column.name);
export const DEFAULT_COLUMNS: readonly string[] = ['time', 'severity', 'host', 'service'];

const FIELDS = 'fields.';
const MAX_COLUMNS = 20;

/** By their names, with the message as the last one; what is no name is left out. */
export function columnsOf(names: readonly string[]): Column[] {
  const found = names.map((name) => KNOWN.find((each) => each.name === name) ?? fieldColumn(name));
  return [...found.filter((column) => column !== null), MESSAGE];
}

/** The names of a URL's list; what is no column is left out, and none comes twice. */
export function columnNames(list: string | null): readonly string[] {
  if (list === null) return DEFAULT_COLUMNS;
  const fit = list.split(',').filter((name) => COLUMN_NAMES.includes(name) || name.startsWith(FIELDS));
  return [...new Set(fit)].slice(0, MAX_COLUMNS);
}

/** When it happened: by the emitter's clock, else when it arrived. */
export function timeOf(row: Row): string {
  return row.timestamp ?? row.observed_timestamp;
}

function fieldColumn(name: string): Column | null {
  const key = name.startsWith(FIELDS) ? name.slice(FIELDS.length) : '';
  if (key === '') return null;
  return {
    name,
    title: key,
    width: '120px',
    text: (row) => oneLine(shownValue(fieldOf(row.fields, key))),
  };
}

/** As the query language finds it: of the key itself, or else within objects. */
function fieldOf(fields: unknown, key: string): unknown {
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) return undefined;
  const own = fields as Record<string, unknown>;
  if (Object.hasOwn(own, key)) return own[key];
  const dot = key.indexOf('.');
  const first = key.slice(0, dot);
  return dot < 0 || !Object.hasOwn(own, first) ? undefined : fieldOf(own[first], key.slice(dot + 1));
}
