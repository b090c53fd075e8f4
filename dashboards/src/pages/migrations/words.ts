/** An explanation in words, as `cloud log explain` says it. */
import type { Explanation, KnownCause, Position } from '../../lib/api/explain';
import type { Tone } from '../../lib/time-axis/lanes';

const ENDINGS: Readonly<Record<Explanation['ending'], { text: string; tone: Tone }>> = {
  failed: { text: 'failed', tone: 'bad' },
  completed: { text: 'completed', tone: 'good' },
  cancelled: { text: 'given up', tone: 'calm' },
  unknown: { text: 'no end in these lines', tone: 'warning' },
};

export function nameOf(found: Explanation): string {
  return found.migration === null ? found.procedure : `${found.procedure} ${found.migration}`;
}

export function endingOf(found: Explanation): { text: string; tone: Tone } {
  const { text, tone } = ENDINGS[found.ending];
  const step = found.failure?.step ?? null;
  return { text: found.ending === 'failed' && step !== null ? `${text} at ${step}` : text, tone };
}

/** What stands above the causes. */
export function verdictOf(found: Explanation): string {
  switch (found.verdict) {
    case 'known':
      return 'The cause';
    case 'unclear':
      return 'Several known causes fit; the lines do not show which one it is';
    case 'unknown':
      return 'The cause is not known: none of the known ones fits';
    case 'no failure':
      if (found.ending === 'completed') return 'It was completed, and no line tells of a failure';
      return found.ending === 'cancelled' ? 'It was given up' : 'No line tells of its end, nor of a failure';
  }
}

export function certaintyOf(cause: KnownCause): string {
  if (cause.certainty === 'certain') return 'a line says so';
  const { host, service } = cause.seen_in;
  const source = [host, service].filter((each) => each !== null).join(' ');
  return `${cause.certainty}: seen in ${source === '' ? 'a line' : source}`;
}

export function safetyOf(position: Position): { text: string; tone: Tone } {
  if (position.is_safe === null) return { text: 'Whether it is safe is not known', tone: 'warning' };
  return position.is_safe ? { text: 'Safe', tone: 'good' } : { text: 'Not safe', tone: 'bad' };
}

export function placeOf(position: Position): string {
  if (position.host !== null) return `On ${position.host}`;
  return position.certainty === 'not known' ? 'On a host that is not known' : 'On no host';
}

/** With a capital letter. */
export function sentenceOf(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}

/** A sentence of ours: what stands in backquotes is code. */
export function proseOf(text: string): { text: string; isCode: boolean }[] {
  return text
    .split('`')
    .map((part, index) => ({ text: part, isCode: index % 2 === 1 }))
    .filter((part) => part.text !== '');
}
