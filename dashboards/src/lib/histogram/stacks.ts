/** From the buckets of an answer to the columns that are drawn one on top of the other. */
import { SEVERITIES, type Bucket, type HistogramAnswer, type Severity } from '../api/types';

export interface Level {
  /** Of the colours: `--bar-err`. */
  name: string;
  label: string;
  severities: readonly Severity[];
}

/** From the bottom up: what matters most stands where all columns begin. */
export const LEVELS: readonly Level[] = [
  { name: 'crit', label: 'critical', severities: ['emerg', 'alert', 'crit'] },
  { name: 'err', label: 'error', severities: ['err'] },
  { name: 'warning', label: 'warning', severities: ['warning'] },
  { name: 'notice', label: 'notice', severities: ['notice'] },
  { name: 'info', label: 'info', severities: ['info'] },
  { name: 'debug', label: 'debug', severities: ['debug'] },
];

/** Seconds since the epoch, and for each of LEVELS the height of what stands up to its top. */
export function stacksOf(buckets: readonly Bucket[]): [number[], ...number[][]] {
  const times = buckets.map((bucket) => Date.parse(bucket.time) / 1000);
  const below = buckets.map(() => 0);
  const stacks = LEVELS.map((level) =>
    buckets.map((bucket, index) => (below[index] = below[index]! + countOf(bucket, level))),
  );
  return [times, ...stacks];
}

export function countOf(bucket: Bucket, level: Level): number {
  return level.severities.reduce((sum, severity) => sum + (bucket.severities[severity] ?? 0), 0);
}

/** Of all buckets, by level; those that came. */
export function totalsOf(buckets: readonly Bucket[]): { level: Level; count: number }[] {
  const totals = LEVELS.map((level) => ({
    level,
    count: buckets.reduce((sum, bucket) => sum + countOf(bucket, level), 0),
  }));
  return totals.filter(({ count }) => count > 0);
}

/** A sentence for those who do not see the columns. */
export function summaryOf(answer: HistogramAnswer): string {
  const counts = new Map<Severity, number>();
  for (const bucket of answer.buckets) {
    for (const severity of SEVERITIES) {
      const count = bucket.severities[severity] ?? 0;
      if (count > 0) counts.set(severity, (counts.get(severity) ?? 0) + count);
    }
  }
  const said = SEVERITIES.filter((each) => counts.has(each)).map((each) => `${counts.get(each) ?? 0} ${each}`);
  const peak = answer.buckets.reduce<Bucket | null>((most, each) => (each.count > (most?.count ?? 0) ? each : most), null);
  if (peak === null) return 'No lines in this time.';
  return `${answer.counted} lines in this time: ${said.join(', ')}. Most of them, ${peak.count}, from ${peak.time} on.`;
}
