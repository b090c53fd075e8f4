/** An instance's timeline as lanes: what it went through, then one lane for each host that had to do with it. */
import { SEVERITIES, type Row } from '../../lib/api/types';
import { timeOf } from '../../lib/lines/columns';
import { oneLine } from '../../lib/text';
import type { Bar, Lane, Mark, Tone } from '../../lib/time-axis/lanes';
import { movesOf, titleOf, toneOf, type Move } from './moves';

export interface Timeline {
  lanes: Lane[];
  from: number;
  to: number;
}

const ERR = SEVERITIES.indexOf('err');
const WARNING = SEVERITIES.indexOf('warning');
const LINE = 'line-';
const MOVE = 'move-';
const LIFE = 'instance.';

/** Of at least one row. */
export function timelineOf(rows: readonly Row[]): Timeline {
  const moves = movesOf(rows);
  const hosts = new Set([
    ...rows.map(hostOf),
    ...moves.flatMap((move) => [move.source ?? [], move.destination ?? []].flat()),
  ]);
  const times = rows.map((row) => ms(timeOf(row)));
  const all: Lane = {
    name: 'Moves and builds',
    detail: `${moves.length}`,
    bars: moves.map((move) => barOf(move, move.name)),
    marks: [],
  };
  const ofHosts = [...hosts].map((host) => ({
    name: host,
    detail: partOf(host, moves),
    bars: moves.flatMap((move) => besideOf(move, host)),
    marks: rows.filter((row) => hostOf(row) === host).map(markOf),
  }));
  return { lanes: [...(moves.length > 0 ? [all] : []), ...ofHosts], from: Math.min(...times), to: Math.max(...times) };
}

/** What a choice in the chart is of: something to explain, or a line. */
export function chosen(id: string): { subject: string } | { line: number } {
  return id.startsWith(LINE) ? { line: Number(id.slice(LINE.length)) } : { subject: id.slice(MOVE.length) };
}

function barOf(move: Move, text: string): Bar {
  return {
    id: `${MOVE}${move.subject}`,
    from: move.began,
    to: move.ended,
    text,
    short: '',
    title: titleOf(move),
    tone: toneOf(move),
    isOpen: move.isOpen,
  };
}

function besideOf(move: Move, host: string): Bar[] {
  if (host !== move.source && host !== move.destination) return [];
  const way = host === move.source ? 'from here' : 'to here';
  const bar = barOf(move, `${way}: ${move.name}`);
  return [{ ...bar, title: `${way}: ${bar.title}`, isBeside: true }];
}

function partOf(host: string, moves: readonly Move[]): string {
  const [out, into] = [moves.filter((move) => move.source === host), moves.filter((move) => move.destination === host)];
  return [out.length > 0 ? `${out.length} from it` : '', into.length > 0 ? `${into.length} to it` : ''].filter(Boolean).join(', ');
}

function markOf(row: Row): Mark {
  return { id: `${LINE}${row.row_id}`, at: ms(timeOf(row)), title: titleOfRow(row), tone: toneOfRow(row) };
}

function titleOfRow(row: Row): string {
  return `${row.event ?? row.severity}: ${oneLine(row.message)}`;
}

function toneOfRow(row: Row): Tone {
  const severity = SEVERITIES.indexOf(row.severity);
  if (severity <= ERR) return 'bad';
  if (severity <= WARNING) return 'warning';
  return row.event?.startsWith(LIFE) ? 'accent' : 'calm';
}

function hostOf(row: Row): string {
  return row.hostname ?? row.peer;
}

function ms(time: string): number {
  return new Date(time).getTime();
}
