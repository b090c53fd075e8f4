import { expect, it } from 'vitest';

import { urlFrom, viewFrom } from './view';

it.each([
  '/explore',
  '/explore?q=host%3Aa+%22b+c%22&since=1h',
  '/explore?since=2027-01-15T12%3A00%3A00Z&until=2027-01-15T13%3A00%3A00Z&columns=time%2Cfields.status&wrap=1',
  '/explore?columns=',
])('%s is the URL of its own view', (url) => {
  expect(urlFrom(viewFrom(new URL(url, 'http://x').searchParams))).toBe(url);
});

it('what is no column is left out, and none comes twice', () => {
  expect(viewFrom(new URLSearchParams('columns=host,<b>,host,event')).columns).toEqual(['host', 'event']);
});
