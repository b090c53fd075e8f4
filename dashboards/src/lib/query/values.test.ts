import { expect, it, vi } from 'vitest';

import { facets } from '../api/questions';
import { DEFAULT_RANGE } from '../time';
import { KnownValues } from './values';

vi.mock('../api/questions');
const answer = { others: {}, is_partial: false, reached: null, since: null, until: null };

it('values are asked for once a minute, and where that fails the next time', async () => {
  const clock = vi.spyOn(performance, 'now').mockReturnValue(1000);
  const known = new KnownValues();
  vi.mocked(facets).mockRejectedValueOnce(new Error('busy'));
  expect(await known.of('host', DEFAULT_RANGE)).toEqual([]);
  vi.mocked(facets).mockImplementation((_question, top) =>
    Promise.resolve({ ...answer, facets: { host: [{ value: `compute-${performance.now()}`, count: top }] } }),
  );
  expect(await known.of('host', DEFAULT_RANGE)).toEqual([{ value: 'compute-1000', detail: '40' }]);
  clock.mockReturnValue(61_000);
  expect(await known.of('host', DEFAULT_RANGE)).toEqual([{ value: 'compute-1000', detail: '40' }]);
  clock.mockReturnValue(61_001);
  expect(await known.of('host', DEFAULT_RANGE)).toEqual([{ value: 'compute-61001', detail: '40' }]);
  expect(facets).toHaveBeenCalledTimes(3);
});

it('a name that JavaScript knows has no values', async () => {
  for (const name of ['constructor', 'toString', '__proto__']) expect(await new KnownValues().of(name, DEFAULT_RANGE)).toEqual([]);
});
