/** What a chart of lanes shows: bars that last and marks that do not, one lane for each place. */
import { placeOf, type Scale } from './scale';

export type Tone = 'good' | 'bad' | 'warning' | 'calm' | 'accent';

export interface Bar {
  /** Several bars may be of one thing. */
  id: string;
  from: number;
  to: number;
  text: string;
  /** Instead of the text where there is no room for it. */
  short: string;
  title: string;
  tone: Tone;
  /** Beside the bar of the same thing that stands for it. */
  isBeside?: boolean;
  /** Nobody knows when it ended, or when it began. */
  isOpen?: boolean;
  isUnbegun?: boolean;
}

export interface Mark {
  id: string;
  at: number;
  title: string;
  tone: Tone;
  /** The one that matters most. */
  isFirst?: boolean;
}

export interface Lane {
  name: string;
  detail: string;
  bars: readonly Bar[];
  marks: readonly Mark[];
}

export interface PlacedBar extends Bar {
  left: number;
  width: number;
  /** Of the lane, from 0: those that overlap are in different ones. */
  row: number;
}

export interface PlacedMark extends Mark {
  left: number;
  /** How many stand there. */
  count: number;
}

const MAX_ROWS = 6;
const WORST: readonly Tone[] = ['bad', 'warning', 'accent', 'good', 'calm'];

/** Where the bars of a lane stand; each is at least `least` of the axis wide. */
export function placedBars(bars: readonly Bar[], scale: Scale, least: number): PlacedBar[] {
  const ends: number[] = [];
  const placed: PlacedBar[] = [];
  for (const bar of [...bars].sort((one, other) => one.from - other.from || other.to - one.to)) {
    const left = Math.min(placeOf(scale, bar.from), 1 - least);
    const width = Math.max(least, placeOf(scale, bar.to) - left);
    const free = ends.findIndex((end) => end <= left + 1e-9);
    const row = free >= 0 ? free : Math.min(ends.length, MAX_ROWS - 1);
    ends[row] = Math.max(ends[row] ?? 0, left + width);
    placed.push({ ...bar, left, width, row });
  }
  return placed;
}

/** One mark for those that are closer together than `apart`: the first of the worst ones. */
export function placedMarks(marks: readonly Mark[], scale: Scale, apart: number): PlacedMark[] {
  const placed: PlacedMark[] = [];
  for (const mark of [...marks].sort((one, other) => one.at - other.at)) {
    const left = placeOf(scale, mark.at);
    const last = placed.at(-1);
    if (last === undefined || left - last.left >= apart) placed.push({ ...mark, left, count: 1 });
    else if (isWorse(mark, last)) placed[placed.length - 1] = { ...mark, left: last.left, count: last.count + 1 };
    else last.count += 1;
  }
  return placed;
}

export function rowsOf(bars: readonly PlacedBar[]): number {
  return Math.max(1, ...bars.map((bar) => bar.row + 1));
}

function isWorse(mark: Mark, other: Mark): boolean {
  const first = Number(mark.isFirst ?? false) - Number(other.isFirst ?? false);
  return first > 0 || (first === 0 && WORST.indexOf(mark.tone) < WORST.indexOf(other.tone));
}
