/** Lines of an instance -> what it went through: its procedures from their first line to their last. */
import type { Row } from '../../lib/api/types';
import { timeOf } from '../../lib/lines/columns';
import type { Tone } from '../../lib/time-axis/lanes';

/** A migration, a resize, an evacuation or a build. */
export interface Move {
  /** What explains it: a migration's id, or a request's. */
  subject: string;
  name: string;
  source: string | null;
  destination: string | null;
  began: number;
  ended: number;
  /** As its last line says it, or "". */
  state: string;
  isOpen: boolean;
}

/** What a conductor says last of each, with its status. */
const ENDED = 'migration ended';
const EVENT = /^(migration|resize|evacuate|build)\.([a-z_]+)\.(started|progress|completed|failed)$/;
const BAD = ['error', 'failed'];
const LAST_OF_BUILD = 'build.spawn.completed';

/** In the order in which they began. */
export function movesOf(rows: readonly Row[]): Move[] {
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    const key = keyOf(row);
    if (key === null) continue;
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  const moves = [...groups.values()].map(moveOf);
  return moves.sort((one, other) => one.began - other.began);
}

export function toneOf(move: Move): Tone {
  if (BAD.includes(move.state)) return 'bad';
  if (move.isOpen) return 'accent';
  return move.state === 'cancelled' ? 'calm' : 'good';
}

export function titleOf(move: Move): string {
  const way = move.source === null && move.destination === null ? '' : `, ${move.source ?? 'none'} → ${move.destination ?? 'none yet'}`;
  return `${move.name}${way}: ${move.isOpen ? 'no end in these lines' : move.state}`;
}

function keyOf(row: Row): string | null {
  const procedure = EVENT.exec(row.event ?? '')?.[1];
  if (row.migration !== undefined && (procedure !== undefined || row.message === ENDED)) return `migration ${row.migration}`;
  return procedure !== undefined && row.request_id !== undefined ? `${procedure} ${row.request_id}` : null;
}

function moveOf(rows: readonly Row[]): Move {
  const first = rows[0]!;
  const procedure = rows.map((row) => EVENT.exec(row.event ?? '')?.[1]).find((each) => each !== undefined) ?? 'migration';
  const kind = lastField(rows, 'type') ?? procedure;
  const state = stateOf(rows);
  const times = rows.map((row) => new Date(timeOf(row)).getTime());
  return {
    subject: first.migration ?? first.request_id ?? '',
    name: first.migration === undefined ? kind : `${kind} ${first.migration}`,
    source: lastField(rows, 'source_compute'),
    destination: lastField(rows, 'dest_compute'),
    began: Math.min(...times),
    ended: Math.max(...times),
    state: state ?? '',
    isOpen: state === null,
  };
}

function stateOf(rows: readonly Row[]): string | null {
  const end = rows.findLast((row) => row.message === ENDED)?.fields?.['status'];
  if (typeof end === 'string') return end;
  if (rows.some((row) => row.event?.endsWith('.failed'))) return 'failed';
  return rows.some((row) => row.event === LAST_OF_BUILD) ? 'completed' : null;
}

function lastField(rows: readonly Row[], name: string): string | null {
  const value = rows.findLast((row) => typeof row.fields?.[name] === 'string')?.fields?.[name];
  return typeof value === 'string' ? value : null;
}
