/** A request's trace as lanes: one for each service on each host, from its first line to its last. */
import type { Part, TraceAnswer } from '../../lib/api/stories';
import { SEVERITIES, type Row, type Severity } from '../../lib/api/types';
import { timeOf } from '../../lib/lines/columns';
import type { Lane, Tone } from '../../lib/time-axis/lanes';
import { duration, number } from '../../lib/time';
import { oneLine } from '../../lib/text';

const ERR = SEVERITIES.indexOf('err');
const WARNING = SEVERITIES.indexOf('warning');
const MARK = 'line-';
const PART = 'part-';

export interface Waterfall {
  lanes: Lane[];
  from: number;
  to: number;
}

export function waterfallOf(answer: TraceAnswer): Waterfall {
  const lanes = answer.parts.map((part, index) => laneOf(part, index, rowsOf(answer, index)));
  const began = answer.parts.map((part) => ms(part.began));
  const ended = answer.parts.map((part) => ms(part.ended));
  return { lanes, from: Math.min(...began), to: Math.max(...ended) };
}

/** The lines of the part of that index; all of them for null. */
export function rowsOf(answer: TraceAnswer, index: number | null): Row[] {
  const part = index === null ? undefined : answer.parts[index];
  if (part === undefined) return answer.rows;
  return answer.rows.filter((row) => (row.hostname ?? null) === part.host && (row.app_name ?? null) === part.service);
}

export function nameOf(part: Part): string {
  return `${part.service ?? 'no service'} on ${part.host ?? 'no host'}`;
}

/** What a choice in the chart is of: a part by its index, or a line by its id. */
export function chosen(id: string): { part: number } | { line: number } {
  return id.startsWith(MARK) ? { line: Number(id.slice(MARK.length)) } : { part: Number(id.slice(PART.length)) };
}

export function idOfPart(index: number): string {
  return `${PART}${index}`;
}

export function toneOf(severity: Severity): Tone {
  const place = SEVERITIES.indexOf(severity);
  return place <= ERR ? 'bad' : place <= WARNING ? 'warning' : 'calm';
}

function laneOf(part: Part, index: number, rows: readonly Row[]): Lane {
  const errors = part.errors === 0 ? '' : `, ${number(part.errors)} errors`;
  return {
    name: part.service ?? 'no service',
    detail: part.host ?? 'no host',
    bars: [
      {
        id: idOfPart(index),
        from: ms(part.began),
        to: ms(part.ended),
        text: `${duration(part.duration_s)} · ${number(part.lines)} ${part.lines === 1 ? 'line' : 'lines'}`,
        short: duration(part.duration_s),
        title: `${nameOf(part)}: ${duration(part.duration_s)}, ${number(part.lines)} lines${errors}`,
        tone: part.errors > 0 ? 'bad' : 'good',
      },
    ],
    marks: rows
      .filter((row) => toneOf(row.severity) !== 'calm')
      .map((row) => ({
        id: `${MARK}${row.row_id}`,
        at: ms(timeOf(row)),
        title: `${row.severity}: ${oneLine(row.message)}`,
        tone: toneOf(row.severity),
      })),
  };
}

function ms(time: string): number {
  return new Date(time).getTime();
}
