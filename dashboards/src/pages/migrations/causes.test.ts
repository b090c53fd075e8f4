import { expect, it, vi } from 'vitest';

import { ApiError } from '../../lib/api/client';
import { explain, type Explanation } from '../../lib/api/explain';
import type { MigrationRow } from '../../lib/api/stories';
import { Causes } from './causes.svelte';

vi.mock('../../lib/api/explain');

it('a cause that could not be had is asked for again, and one that there is not is not', async () => {
  const known = { verdict: 'known', causes: [{ title: 'a file system is full' }] } as Explanation;
  vi.mocked(explain)
    .mockRejectedValueOnce(new ApiError(503, 'busy', 'too busy'))
    .mockRejectedValueOnce(new ApiError(404, 'not_found', 'no line of it'))
    .mockResolvedValue(known);
  const rows = ['42', '43'].map((id) => ({ id }) as MigrationRow);
  const causes = new Causes();
  await causes.ask(rows);
  expect([...causes.titles]).toEqual([['43', '']]);
  await causes.ask(rows);
  expect(causes.titles.get('42')).toBe('a file system is full');
  expect(vi.mocked(explain).mock.calls.map(([id]) => id)).toEqual(['42', '43', '42']);
});
