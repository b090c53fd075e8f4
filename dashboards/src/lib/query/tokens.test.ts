import { describe, expect, it } from 'vitest';

import { splitPipe, tokensOf } from './tokens';

function kinds(query: string): string {
  return tokensOf(query)
    .map((token) => `${token.kind}:${token.text}`)
    .join(' ');
}

describe('tokens', () => {
  it.each([
    ['', ''],
    ['timeout', 'word:timeout'],
    ['host:compute-01 severity:>=err', 'name:host: value:compute-01 name:severity: order:>= value:err'],
    ['"live migration" -service:nova-api', 'string:"live migration" logic:- name:service: value:nova-api'],
    ['a AND NOT b OR and', 'word:a logic:AND logic:NOT word:b logic:OR word:and'],
    ['host:(a OR b)', 'name:host: paren:( word:a logic:OR word:b paren:)'],
    ['message:/timed out after \\d+/', 'name:message: regex:/timed out after \\d+/'],
    ['status:[500 TO 599]', 'name:status: range:[ value:500 range:TO value:599 range:]'],
    ['status:{500 TO *] x', 'name:status: range:{ value:500 range:TO value:* range:] word:x'],
    ['fields."my key":x', 'name:fields."my key": value:x'],
    ['10:32:11 cannot\\ be', 'word:10:32:11 word:cannot\\ be'],
    ['live-migration', 'word:live-migration'],
    ['x | count by host, 5m', 'word:x pipe:| stage:count stage:by stage:host, stage:5m'],
  ])('of %s', (query, expected) => {
    expect(kinds(query)).toBe(expected);
  });

  it.each(['"open', 'host:', 'host:"', '((', '\\', 'a |', '|', 'x:[1', '/x', '-', 'fields."a'])(
    'cover what is unfinished: %s',
    (query) => {
      const tokens = tokensOf(query);
      expect(tokens.map((token) => token.text).join('')).toBe(query.replaceAll(' ', ''));
      expect(tokens.every((token) => query.slice(token.from, token.to) === token.text)).toBe(true);
    },
  );
});

it('a pipe in quotation marks is none', () => {
  expect(splitPipe('"a | b" host:x')).toEqual({ condition: '"a | b" host:x', stage: '' });
  expect(splitPipe('host:x | count by host')).toEqual({ condition: 'host:x', stage: '| count by host' });
  expect(splitPipe('| top 10 message')).toEqual({ condition: '', stage: '| top 10 message' });
});
