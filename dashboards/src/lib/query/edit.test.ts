import { describe, expect, it } from 'vitest';

import { fieldName, partOf, quoted, term, toggled } from './edit';

it.each([
  ['compute-01', 'compute-01'],
  ['migration.transfer.failed', 'migration.transfer.failed'],
  ['two words', '"two words"'],
  ['a"b\\c\n', '"a\\"b\\\\c\\n"'],
  ['OR', '"OR"'],
  ['not', '"not"'],
  ['*', '"*"'],
  ['-x', '"-x"'],
  ['10.0.0.1:80', '"10.0.0.1:80"'],
  ['', '""'],
])('%j is written %s', (value, expected) => {
  expect(quoted(value)).toBe(expected);
});

it('a key of the fields may need quotation marks', () => {
  expect([fieldName('status'), fieldName('a.b'), fieldName('my key'), fieldName('x"y')]).toEqual([
    'fields.status',
    'fields.a.b',
    'fields."my key"',
    'fields."x\\"y"',
  ]);
});

it('lines without a value are asked for by their lack of one', () => {
  expect([term('event', null), term('event', null, true)]).toEqual(['-event:*', 'event:*']);
});

describe('a click', () => {
  it.each<[string, string, string | null, boolean, string]>([
    ['', 'host', 'a', false, 'host:a'],
    ['', 'host', 'a', true, '-host:a'],
    ['timeout', 'host', 'a', false, 'timeout host:a'],
    ['host:a', 'host', 'a', false, ''],
    ['host:a x', 'host', 'a', true, 'x -host:a'],
    ['-host:a', 'host', 'a', false, 'host:a'],
    ['host:a', 'host', 'b', false, 'host:(a OR b)'],
    ['host:(a OR b)', 'host', 'c', false, 'host:(a OR b OR c)'],
    ['host:(a OR b) x', 'host', 'a', false, 'host:b x'],
    ['-host:a', 'host', 'b', true, '-host:a -host:b'],
    ['a OR b', 'host', 'a', false, '(a OR b) host:a'],
    ['x | count by host', 'host', 'a', false, 'x host:a | count by host'],
    ['| count', 'severity', 'err', false, 'severity:err | count'],
    ['', 'event', null, false, '-event:*'],
    ['-event:*', 'event', null, false, ''],
    ['event:*', 'event', 'canary', false, 'event:* event:canary'],
    ['NOT host:a', 'host', 'a', true, 'NOT host:a -host:a'],
    ['severity:>=err', 'severity', 'err', false, 'severity:>=err severity:err'],
  ])('on %j with %s %j (excluding: %s) makes %j', (query, name, value, isExcluding, expected) => {
    expect(toggled(query, name, value, isExcluding)).toBe(expected);
  });

  it('shows in the list', () => {
    expect(partOf('host:(a OR b) -service:x', 'host', 'b')).toBe('included');
    expect(partOf('host:(a OR b) -service:x', 'service', 'x')).toBe('excluded');
    expect(partOf('host:a', 'host', 'b')).toBe(null);
    expect(partOf('-event:*', 'event', null)).toBe('included');
    expect(partOf('host:a OR x', 'host', 'a')).toBe(null);
  });
});
