/** From the text of `/api/v1/tail` to its events, as it comes: Server-Sent Events, cut anywhere. */
import type { Row } from '../../lib/api/types';
import { readJson } from '../../lib/json';

/** Lines that this client was too slow for, or away for too long. */
export interface Skipped {
  first_row_id: number;
  last_row_id: number;
  /** Null where they could not be counted. */
  lines: number | null;
  /** Finds them, as far as they are still stored. */
  query: string;
}

/** How the collector itself is doing. */
export interface Status {
  /** How long lines wait to be stored. */
  lag_s: number;
  /** How long ago the line was stored that comes next. */
  behind_s: number;
  /** Lines of hosts over their budgets, since the tail began. */
  dropped: number;
}

export type TailEvent =
  | { name: 'row'; row: Row; size: number }
  | { name: 'live'; rowId: number }
  | { name: 'skipped'; skipped: Skipped }
  | { name: 'status'; status: Status }
  | { name: 'end'; detail: string }
  | { name: 'idle'; rowId: number };

/** No event is longer. */
const MAX_CHARS = 16 << 20;

export class EventReader {
  #rest = '';

  /** The events that `text` completes; those that nobody knows are left out. */
  take(text: string): TailEvent[] {
    const blocks = (this.#rest + text).split('\n\n');
    this.#rest = blocks.pop() ?? '';
    if (this.#rest.length > MAX_CHARS) throw new Error('The collector sends an event without end.');
    return blocks.map(eventOf).filter((event) => event !== null);
  }
}

function eventOf(block: string): TailEvent | null {
  let [name, data, id] = ['', '', ''];
  for (const line of block.split('\n')) {
    if (line.startsWith('data: ')) data = line.slice(6);
    else if (line.startsWith('event: ')) name = line.slice(7);
    else if (line.startsWith('id: ')) id = line.slice(4);
  }
  if (data === '') return id === '' ? null : { name: 'idle', rowId: Number(id) };
  const content: unknown = readJson(data);
  switch (name) {
    case 'row':
      return { name, row: content as Row, size: data.length };
    case 'live':
      return { name, rowId: (content as { row_id: number }).row_id };
    case 'skipped':
      return { name, skipped: content as Skipped };
    case 'status':
      return { name, status: content as Status };
    case 'end':
      return { name, detail: (content as { detail: string }).detail };
    default:
      return null;
  }
}
