import { expect, it } from 'vitest';

import type { Row } from '../api/types';
import { columnsOf } from './columns';
import { blocksOf, detailsOf, plainText } from './details';

const ROW: Row = {
  row_id: 7,
  observed_timestamp: '2027-01-15T12:00:01Z',
  timestamp: '2027-01-15T12:00:00.250113Z',
  hostname: 'compute-01',
  peer: '192.0.2.7',
  facility: 'local1',
  severity: 'err',
  app_name: 'nova-compute',
  procid: '42',
  message: 'cannot start\nguest',
  request_id: 'req-1',
  fields: { status: 500, 'my key': 'a b', traceback: 'Traceback:\n  boom\n', deep: { a: 1 } },
};

it('columns are those that are named, and the message last', () => {
  expect(columnsOf(['host', 'nonsense', 'fields.status']).map((column) => column.name)).toEqual([
    'host',
    'fields.status',
    'message',
  ]);
  const texts = columnsOf(['time', 'host', 'fields.status', 'fields.none', 'event']).map((each) => each.text(ROW, true));
  expect(texts).toEqual(['01-15 12:00:00.250', 'compute-01', '500', '', '', 'cannot start ⏎ guest']);
});

it('a column of a field has what the query language finds under its name', () => {
  const row = { ...ROW, fields: { 'a.b': 'own', a: { b: 'within', c: { d: null } }, list: [7] } };
  const names = ['a.b', 'a.c', 'a.c.d', 'a.none', 'list', 'list.length', 'constructor', 'toString', 'a.__proto__', '__proto__.a'];
  const texts = columnsOf(names.map((name) => `fields.${name}`)).map((each) => each.text(row, true));
  expect(texts.slice(0, -1)).toEqual(['own', '{"d":null}', 'null', '', '[7]', '', '', '', '', '']);
});

it('a number that is too large for JavaScript is shown and asked for with all of its digits', () => {
  expect(detailsOf({ ...ROW, fields: { inode: 9007199254740993n } }, true).at(-1)).toEqual({
    name: 'fields.inode',
    text: '9007199254740993',
    ask: { name: 'fields.inode', value: '9007199254740993' },
  });
});

it('details have what can be asked for', () => {
  const details = detailsOf(ROW, true);
  expect(details.find((each) => each.name === 'host')?.ask).toEqual({ name: 'host', value: 'compute-01' });
  expect(details.find((each) => each.name === 'timestamp')?.text).toBe('2027-01-15 12:00:00.250113 UTC');
  expect(details.find((each) => each.name === 'fields.my key')?.ask).toEqual({ name: 'fields."my key"', value: 'a b' });
  expect(details.find((each) => each.name === 'fields.deep')).toEqual({ name: 'fields.deep', text: '{"a":1}', ask: null });
  expect(details.some((each) => each.name.includes('traceback') || each.name === 'message')).toBe(false);
});

it('a traceback stands apart', () => {
  expect(blocksOf(ROW)).toEqual([{ name: 'traceback', text: 'Traceback:\n  boom' }]);
  expect(blocksOf({ ...ROW, fields: { traceback: 7 } })).toEqual([]);
});

it('is copied as text', () => {
  expect(plainText(ROW, true)).toBe(
    '2027-01-15 12:00:00 UTC compute-01 nova-compute[42] ERR cannot start\nguest\nTraceback:\n  boom',
  );
  expect(plainText(ROW, false)).toMatch(/^2027-01-1\d \d\d:\d\d:00 [+-]\d\d:\d\d compute-01 /);
});
