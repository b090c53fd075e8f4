import { beforeEach, expect, it, vi } from 'vitest';

import { ApiError } from '../../lib/api/client';
import { hosts } from '../../lib/api/questions';
import { Fleet } from './fleet.svelte';

vi.mock('../../lib/api/questions');
const clock = vi.spyOn(performance, 'now');
const answer = { hosts: [], lag_s: 0, is_partial: false, reached: null, since: null, until: null };
const busy = new ApiError(503, 'busy', 'too busy for that');

beforeEach(() => {
  vi.mocked(hosts).mockReset();
  clock.mockReturnValue(0);
});

async function refreshed(fleet: Fleet): Promise<string[]> {
  vi.mocked(hosts).mockClear();
  fleet.refresh();
  await new Promise((done) => setTimeout(done));
  return vi.mocked(hosts).mock.calls.map(([since]) => since);
}

it('a day is asked for when the hour has answered, and for some minutes not again', async () => {
  const fleet = new Fleet();
  vi.mocked(hosts).mockRejectedValueOnce(busy).mockResolvedValue(answer);
  expect(await refreshed(fleet)).toEqual(['1h']);
  expect([fleet.trouble, fleet.isWhole]).toEqual(['too busy for that', false]);
  expect(await refreshed(fleet)).toEqual(['1h', '24h']);
  expect([fleet.trouble, fleet.isWhole]).toEqual(['', true]);
  clock.mockReturnValue(299_999);
  expect(await refreshed(fleet)).toEqual(['1h']);
  clock.mockReturnValue(300_000);
  expect(await refreshed(fleet)).toEqual(['1h', '24h']);
});

it('a day that cannot be had is tried again after a minute', async () => {
  const fleet = new Fleet();
  vi.mocked(hosts).mockImplementation((since) => (since === '1h' ? Promise.resolve(answer) : Promise.reject(busy)));
  expect(await refreshed(fleet)).toEqual(['1h', '24h']);
  expect([fleet.trouble, fleet.hosts, fleet.isWhole]).toEqual(['too busy for that', [], false]);
  clock.mockReturnValue(59_999);
  expect(await refreshed(fleet)).toEqual(['1h']);
  clock.mockReturnValue(60_000);
  expect(await refreshed(fleet)).toEqual(['1h', '24h']);
});
