import { expect, it, vi } from 'vitest';

import { ApiError } from '../../lib/api/client';
import { facets, histogram, nextPage, search } from '../../lib/api/questions';
import type { FacetsAnswer, HistogramAnswer, Row, SearchAnswer } from '../../lib/api/types';
import { Results } from './results.svelte';

vi.mock('../../lib/api/questions');
const QUESTION = { q: 'host:a', since: '15m', until: '' };
const COUNTED = { counted: 2 } as HistogramAnswer;
const VALUES = { facets: {} } as FacetsAnswer;

function page(rowId: number, next: string | null): SearchAnswer {
  const row = { row_id: rowId } as Row;
  return { rows: [row], next, is_partial: false, reached: null, since: null, until: null, took_s: 0 };
}

function answered(): Results {
  vi.mocked(search).mockResolvedValue(page(2, 'behind 2'));
  vi.mocked(histogram).mockResolvedValue(COUNTED);
  vi.mocked(facets).mockResolvedValue(VALUES);
  return new Results();
}

it('a page that fails is asked for again when somebody says so', async () => {
  const results = answered();
  await results.ask(QUESTION);
  vi.mocked(nextPage).mockRejectedValueOnce(new ApiError(503, 'busy', 'too busy'));
  for (let scrolled = 0; scrolled < 3; scrolled += 1) await results.more();
  expect(nextPage).toHaveBeenCalledTimes(1);
  expect([results.pageError?.message, results.error, results.rows.length]).toEqual(['too busy', null, 1]);
  vi.mocked(nextPage).mockResolvedValueOnce(page(1, null));
  await results.retry();
  expect([results.pageError, results.isWhole, results.rows.map((row) => row.row_id)]).toEqual([null, true, [2, 1]]);
});

it('numbers and values are old until those of the question have come', async () => {
  const results = answered();
  await results.ask(QUESTION);
  expect([results.isHistogramOld, results.areFacetsOld]).toEqual([false, false]);
  let answer: (counted: HistogramAnswer) => void = () => undefined;
  vi.mocked(histogram).mockReturnValueOnce(new Promise((resolve) => (answer = resolve)));
  const asking = results.ask({ ...QUESTION, q: 'host:b' });
  await vi.waitFor(() => expect(results.areFacetsOld).toBe(false));
  expect([results.question, results.isHistogramOld, results.histogram]).toEqual([2, true, COUNTED]);
  answer({ ...COUNTED, counted: 1 });
  await asking;
  expect([results.isHistogramOld, results.histogram?.counted]).toEqual([false, 1]);
});
