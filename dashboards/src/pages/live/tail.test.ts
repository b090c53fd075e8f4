import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { tail as open } from '../../lib/api/questions';
import { Tail } from './tail.svelte';

vi.mock('../../lib/api/questions');

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] });
  vi.stubGlobal('window', globalThis);
  vi.stubGlobal('requestAnimationFrame', (draw: () => void) => setTimeout(draw, 16));
  vi.stubGlobal('cancelAnimationFrame', clearTimeout);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

function skipped(rowId: number, lines: number | null): string {
  const content = { first_row_id: rowId, last_row_id: rowId, lines, query: `row_id:${rowId}` };
  return `event: skipped\ndata: ${JSON.stringify(content)}\nid: ${rowId}\n\n`;
}

it('lines that were missed are told of, and what a connection said of itself ends with it', async () => {
  const late = 'event: status\ndata: {"lag_s":5,"behind_s":0,"dropped":3}\n\n';
  vi.mocked(open)
    .mockResolvedValueOnce(new Response(`${late}${skipped(7, 0)}`))
    .mockResolvedValueOnce(new Response(`${skipped(8, 3)}${skipped(9, 0)}${skipped(10, null)}`))
    .mockReturnValue(new Promise(() => undefined));
  const tail = new Tail();
  tail.start('');
  await vi.waitFor(() => expect(tail.state).toBe('away'), { interval: 1 });
  expect([tail.status?.dropped, tail.skipped, tail.missed]).toEqual([3, null, 0]);
  await vi.advanceTimersByTimeAsync(1500);
  await vi.waitFor(() => expect(tail.hasUncounted).toBe(true), { interval: 1 });
  expect([tail.status, tail.skipped?.query, tail.missed]).toEqual([null, 'row_id:10', 3]);
  tail.stop();
});
