/** From moments to places on an axis: in proportion, or with more room for what happens close together. */

/** A moment, in milliseconds since 1970, and where it stands: from 0 to 1. */
export interface Knot {
  at: number;
  place: number;
}

export interface Scale {
  from: number;
  to: number;
  isEven: boolean;
  /** In order; between two of them time runs evenly. */
  knots: readonly Knot[];
}

export interface Tick extends Knot {
  label: string;
}

/** That much of the axis at most is given to moments because there are so many of them, not because they last. */
const MAX_WIDENED = 0.6;
/** Of places, which are sums. */
const ROUNDING = 1e-9;
const STEPS_S = [
  0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200,
  14_400, 21_600, 43_200, 86_400, 172_800, 604_800, 2_592_000, 31_536_000,
];

/** All of it in proportion. */
export function evenScale(from: number, to: number): Scale {
  const end = Math.max(to, from + 1);
  return { from, to: end, isEven: true, knots: [knot(from, 0), knot(end, 1)] };
}

/**
 * At least `apart` of the axis between two moments, where it has room for that; what lasts longer has still more, though
 * less than in proportion.
 */
export function widenedScale(from: number, to: number, moments: readonly number[], apart: number): Scale {
  const even = evenScale(from, to);
  const inside = moments.filter((at) => at > from && at < even.to);
  const all = [...new Set([from, ...inside, even.to])].sort((one, other) => one - other);
  const count = all.length - 1;
  const least = Math.min(apart, MAX_WIDENED / count);
  const roots = all.slice(1).map((at, index) => Math.sqrt(at - all[index]!));
  const sum = roots.reduce((total, root) => total + root, 0);
  let place = 0;
  const behind = all.slice(1).map((at, index) => {
    place += least + (1 - least * count) * (roots[index]! / sum);
    return knot(at, Math.min(1, place));
  });
  return { ...even, isEven: false, knots: [knot(from, 0), ...behind] };
}

/** From 0 to 1; what is outside of it stands at its ends. */
export function placeOf(scale: Scale, at: number): number {
  const { knots } = scale;
  if (at <= scale.from) return 0;
  const next = knots.findIndex((each) => each.at >= at);
  if (next < 0) return 1;
  const [low, high] = [knots[next - 1]!, knots[next]!];
  return low.place + ((at - low.at) / (high.at - low.at)) * (high.place - low.place);
}

/** Whether two of these moments would stand closer together than `apart` if all were in proportion. */
export function isDense(from: number, to: number, moments: readonly number[], apart: number): boolean {
  const ordered = [...new Set(moments)].sort((one, other) => one - other);
  return ordered.some((at, index) => index > 0 && (at - ordered[index - 1]!) / Math.max(1, to - from) < apart);
}

/** At round times of an even scale, at the knots of another; at least `apart` between two of them. */
export function ticksOf(scale: Scale, apart: number, label: (at: number) => string): Tick[] {
  const places = scale.isEven ? round(scale, apart) : scale.knots;
  const ticks: Tick[] = [];
  for (const each of places) {
    const last = ticks.at(-1);
    const text = label(each.at);
    const needed = each.place > 1 - apart ? 2 * apart : apart; // the last one has its label in front of it
    const isFree = last === undefined || each.place - last.place >= needed - ROUNDING;
    if (isFree && text !== last?.label) ticks.push({ ...each, label: text });
  }
  return ticks;
}

/** `+1.25 s` from the beginning, with as many places as tell two ticks of that span apart. */
export function offset(seconds: number, spanS: number): string {
  if (spanS >= 7200) return `+${hours(seconds)}`;
  if (spanS >= 120) return `+${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`;
  if (spanS < 2) return `+${Math.round(seconds * 1000)} ms`;
  return `+${Number(seconds.toFixed(spanS < 20 ? 2 : 1))} s`;
}

function round(scale: Scale, apart: number): Knot[] {
  const wanted = ((scale.to - scale.from) / 1000) * apart;
  const step = (STEPS_S.find((each) => each >= wanted) ?? wanted) * 1000;
  const places: Knot[] = [];
  for (let number = 0; number * step <= scale.to - scale.from; number += 1) {
    const at = scale.from + number * step;
    places.push(knot(at, placeOf(scale, at)));
  }
  return places;
}

function hours(seconds: number): string {
  const whole = Math.floor(seconds / 3600);
  return whole < 48 ? `${whole} h ${Math.floor((seconds % 3600) / 60)} min` : `${Math.floor(whole / 24)} d ${whole % 24} h`;
}

function knot(at: number, place: number): Knot {
  return { at, place };
}
