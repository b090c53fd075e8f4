import { expect, it } from 'vitest';

import type { Row } from '../api/types';
import { storiesOf } from './stories';

const ROW: Row = {
  row_id: 1,
  observed_timestamp: '2027-01-15T12:00:00Z',
  peer: '192.0.2.7',
  facility: 'local0',
  severity: 'info',
  message: 'a line',
};
const NOON = new Date('2027-01-15T12:00:00Z').getTime();

it('a line leads to what it is part of, and nowhere else', () => {
  expect(storiesOf(ROW, NOON)).toEqual([]);
  expect(storiesOf({ ...ROW, request_id: 'req-1', instance: 'a/b', migration: '42' }, NOON).map((each) => each.url)).toEqual([
    '/requests/req-1',
    '/instances/a%2Fb',
    '/migrations/42',
  ]);
});

it('an old line leads to the week around it', () => {
  const [link] = storiesOf({ ...ROW, request_id: 'req-1' }, NOON + 30 * 86_400_000);
  expect(link!.url).toBe('/requests/req-1?since=2027-01-14T12%3A00%3A00.000Z&until=2027-01-21T12%3A00%3A00.000Z');
});
