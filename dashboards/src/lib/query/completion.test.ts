import { expect, it } from 'vitest';

import { nameOptions, valueOptions, wantedAt } from './completion';

it.each([
  ['', { from: 0, name: null, typed: '' }],
  ['ho', { from: 0, name: null, typed: 'ho' }],
  ['host:', { from: 5, name: 'host', typed: '' }],
  ['host:comp', { from: 5, name: 'host', typed: 'comp' }],
  ['x severity:>=w', { from: 11, name: 'severity', typed: '>=w' }],
  ['x severity:>', { from: 11, name: 'severity', typed: '>' }],
  ['event:"a', { from: 6, name: 'event', typed: '"a' }],
  ['x -', { from: 3, name: null, typed: '' }],
  ['x ', { from: 2, name: null, typed: '' }],
  ['x | count', null],
  ['"in a text', null],
  ['message:/a', { from: 8, name: 'message', typed: '/a' }],
])('at the end of %j', (query, expected) => {
  expect(wantedAt(query, query.length)).toEqual(expected);
});

it('names are offered with their colon, stages only where nothing was typed', () => {
  expect(nameOptions('ser').map((each) => each.apply)).toEqual(['service:']);
  expect(nameOptions('fields')[0]?.apply).toBe('fields.');
  expect(nameOptions('').some((each) => each.apply === '| count by host')).toBe(true);
});

it('values are offered as the language writes them, those that begin with what was typed first', () => {
  const values = ['my b', 'b-1', 'c', 'ab'].map((value) => ({ value, detail: '' }));
  expect(valueOptions('b', values).map((each) => each.apply)).toEqual(['b-1', '"my b"', 'ab']);
});
