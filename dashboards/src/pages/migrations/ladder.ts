/** An explanation's ladder: its steps in order, and the lanes of the hosts on which they ran. */
import type { Explanation, Quote, Rung } from '../../lib/api/explain';
import type { Bar, Lane, Mark, Tone } from '../../lib/time-axis/lanes';
import { duration } from '../../lib/time';

export interface Step {
  /** From 1. */
  number: number;
  rung: Rung;
  /** Milliseconds since 1970; null where no line tells of it. */
  began: number | null;
  ended: number | null;
  /** No line tells its end, or its beginning: what stands for that is the step before or behind it. */
  isOpen: boolean;
  isUnbegun: boolean;
}

export interface Ladder {
  steps: Step[];
  lanes: Lane[];
  from: number;
  to: number;
}

/** What a mark leads to. */
export const LINE = 'line-';
const GOING_ON = 0.25;
/** Outcomes of steps of which there are lines. */
const SEEN = ['completed', 'failed', 'refused', 'cut off', 'no end seen'];
const NOWHERE = 'host not told';
const TONES: Readonly<Record<string, Tone>> = {
  completed: 'good',
  failed: 'bad',
  refused: 'warning',
  'cut off': 'warning',
  'no end seen': 'warning',
};

export function toneOf(outcome: string): Tone {
  return Object.hasOwn(TONES, outcome) ? TONES[outcome]! : 'calm';
}

export function ladderOf(found: Explanation): Ladder {
  const steps = goingOn(stepsOf(found), found);
  const quotes = quotesOf(found);
  const moments = [
    ms(found.began),
    ms(found.ended),
    ...steps.flatMap((step) => [step.began ?? [], step.ended ?? []].flat()),
    ...quotes.map(({ quote }) => ms(quote.time)),
  ];
  return { steps, lanes: lanesOf(found, steps, quotes), from: Math.min(...moments), to: Math.max(...moments) };
}

/** Nobody knows how long a last step that has no end goes on: long enough to be seen. */
function goingOn(steps: Step[], found: Explanation): Step[] {
  const last = steps.findLastIndex((step) => step.began !== null);
  const step = steps[last];
  if (step === undefined || step.began === null || !step.isOpen || step.isUnbegun) return steps;
  const span = Math.max(step.began, ms(found.ended)) - ms(found.began);
  return steps.with(last, { ...step, ended: Math.max(step.ended ?? 0, step.began + Math.max(span * GOING_ON, 1)) });
}

function stepsOf(found: Explanation): Step[] {
  let before = ms(found.began);
  return found.ladder.map((rung, index) => {
    const number = index + 1;
    const next = found.ladder.slice(number).find((each) => each.began !== null)?.began ?? found.ended;
    if (rung.began === null) {
      if (!SEEN.includes(rung.outcome)) return { number, rung, began: null, ended: null, isOpen: true, isUnbegun: true };
      const { failure } = found;
      const isOfFailure = failure !== null && rung.outcome === 'failed' && rung.step === failure.step;
      const ended = Math.max(before, ms(isOfFailure ? failure.first.time : next));
      return { number, rung, began: before, ended, isOpen: !isOfFailure, isUnbegun: true };
    }
    const began = ms(rung.began);
    const ended = rung.took_s === null ? Math.max(began, ms(next)) : began + rung.took_s * 1000;
    before = ended;
    return { number, rung, began, ended, isOpen: rung.took_s === null, isUnbegun: false };
  });
}

interface Told {
  quote: Quote;
  title: string;
  tone: Tone;
  isFirst: boolean;
}

function quotesOf(found: Explanation): Told[] {
  const told = (quotes: readonly Quote[], title: string, tone: Tone, isFirst = false): Told[] =>
    quotes.map((quote) => ({ quote, title, tone, isFirst }));
  const { failure } = found;
  return [
    ...(failure === null ? [] : told([failure.first], 'First error', 'bad', true)),
    ...told(failure?.echoes ?? [], 'Echo of it', 'warning'),
    ...told(failure?.others ?? [], 'Another error then', 'calm'),
    ...told(
      found.earlier_failures.map((each) => each.first),
      'Error of another attempt',
      'bad',
    ),
  ];
}

/** Source, destination, controllers, then whoever else did or said something. */
function lanesOf(found: Explanation, steps: readonly Step[], quotes: readonly Told[]): Lane[] {
  const parts = new Map<string, Set<string>>();
  const add = (host: string | null, part: string | null): void => {
    if (host === null) return;
    const known = parts.get(host) ?? new Set<string>();
    if (part !== null) known.add(part);
    parts.set(host, known);
  };
  const seen = steps.filter((step) => step.began !== null);
  add(found.source, 'source');
  add(found.destination, 'destination');
  found.controllers.forEach((host) => add(host, 'controller'));
  for (const { rung } of seen) rung.hosts.forEach((host, index) => add(host, index === 0 ? rung.side : null));
  if (seen.some(({ rung }) => rung.hosts.length === 0)) add(NOWHERE, null);
  quotes.forEach(({ quote }) => add(quote.host ?? NOWHERE, null));
  return [...parts].map(([host, kinds]) => ({
    name: host,
    detail: [...kinds].join(', '),
    bars: seen.flatMap((step) => barOf(step, host)),
    marks: quotes.filter(({ quote }) => (quote.host ?? NOWHERE) === host).map(markOf),
  }));
}

function barOf(step: Step, host: string): Bar[] {
  const { rung, number, began, ended, isOpen, isUnbegun } = step;
  const hosts = rung.hosts.length === 0 ? [NOWHERE] : rung.hosts;
  const place = hosts.indexOf(host);
  if (place < 0 || began === null || ended === null) return [];
  const took = rung.took_s !== null ? `took ${duration(rung.took_s)}` : isUnbegun ? 'its beginning is not told' : 'its end is not told';
  return [
    {
      id: `${number}`,
      from: began,
      to: ended,
      text: rung.step,
      short: `${number}`,
      title: `${number}. ${rung.step} on ${hosts.join(' and ')}: ${rung.outcome}, ${took}`,
      tone: toneOf(rung.outcome),
      isBeside: place > 0,
      isOpen,
      isUnbegun,
    },
  ];
}

function markOf({ quote, title, tone, isFirst }: Told, index: number): Mark {
  return {
    id: `${LINE}${quote.row_id}${isFirst ? '' : `-${index}`}`,
    at: ms(quote.time),
    title: `${title}: ${quote.text}`,
    tone,
    isFirst,
  };
}

function ms(time: string): number {
  return new Date(time).getTime();
}
