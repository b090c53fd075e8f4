import { expect, it } from 'vitest';

import type { Bucket, HistogramAnswer } from '../api/types';
import { stacksOf, summaryOf, totalsOf } from './stacks';

const BUCKETS: Bucket[] = [
  { time: '2027-01-15T12:00:00Z', count: 4, severities: { emerg: 1, err: 1, info: 2 } },
  { time: '2027-01-15T12:01:00Z', count: 0, severities: {} },
  { time: '2027-01-15T12:02:00Z', count: 3, severities: { warning: 2, debug: 1 } },
];
const ANSWER: HistogramAnswer = {
  interval_s: 60,
  buckets: BUCKETS,
  counted: 7,
  is_partial: false,
  reached: null,
  since: '2027-01-15T12:00:00Z',
  until: '2027-01-15T12:03:00Z',
};

it('each level stands on those that are worse', () => {
  expect(stacksOf(BUCKETS)).toEqual([
    [1800014400, 1800014460, 1800014520],
    [1, 0, 0],
    [2, 0, 0],
    [2, 0, 2],
    [2, 0, 2],
    [4, 0, 2],
    [4, 0, 3],
  ]);
});

it('the legend has the levels that came', () => {
  expect(totalsOf(BUCKETS).map(({ level, count }) => [level.name, count])).toEqual([
    ['crit', 1],
    ['err', 1],
    ['warning', 2],
    ['info', 2],
    ['debug', 1],
  ]);
});

it('is also a sentence', () => {
  expect(summaryOf(ANSWER)).toBe(
    '7 lines in this time: 1 emerg, 1 err, 2 warning, 2 info, 1 debug. Most of them, 4, from 2027-01-15T12:00:00Z on.',
  );
  expect(summaryOf({ ...ANSWER, buckets: [], counted: 0 })).toBe('No lines in this time.');
});
