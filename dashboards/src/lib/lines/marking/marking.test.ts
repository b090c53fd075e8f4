import { expect, it } from 'vitest';

import { markingOf, problemOf, type Rule } from './marking';
import { Pattern } from './pattern';
import { PatternError } from './program';

const TEXT = 'Instance 42: live migration took 1500 ms, 3 retries';

it.each([
  ['migration', ['migration']],
  ['MIGRATION', ['migration']],
  ['\\d+', ['42', '1500', '3']],
  ['\\d+ ms', ['1500 ms']],
  ['took|retries', ['took', 'retries']],
  ['^inst[a-z]*', ['Instance']],
  ['retries$', ['retries']],
  ['\\bm', ['m', 'm']],
  ['(?:mi|ra|gr)+ation', ['migration']],
  ['[^ ,:]{9,}', ['migration']],
  ['t\\S*?k', ['took']],
  ['o{2}k?', ['ook']],
  ['1{0,1}5', ['15']],
  ['x*', []],
  ['[A-M]i', ['li', 'mi']],
])('/%s/ is found where it stands', (source, expected) => {
  const places = new Pattern(source).places(TEXT, 100_000);
  expect(places.map(([from, to]) => TEXT.slice(from, to))).toEqual(expected);
});

it.each([
  ['[À-Þ]+', 'grüße ÜBER é', ['ü', 'Ü', 'é']],
  ['[à-þ]+', 'grüße ÜBER É', ['ü', 'Ü', 'É']],
  ['[!-\\/]+', 'a+b/c\\', ['+', '/']],
  ['[\\[-\\]]+', 'a[]b-', ['[]']],
  ['[]a]+', 'ba]c', ['a]']],
  ['[^]a]+', 'ba]c', ['b', 'c']],
  ['[\\w-]+', 'a-b c', ['a-b', 'c']],
  ['[a-]+', 'b-a', ['-a']],
])('/%s/ is a set of signs', (source, text, expected) => {
  const places = new Pattern(source).places(text, 10_000);
  expect(places.map(([from, to]) => text.slice(from, to))).toEqual(expected);
});

it.each(['(a', 'a)', '[a', '*', 'a\\', '(?=a)', '(a)\\1', 'a{101}', '[]', '[a-\\d]', '[z-a]', '[a-\\', '(a{50}){50}', 'a'.repeat(201)])(
  'refuses /%s/',
  (source) => {
    expect(() => new Pattern(source)).toThrow(PatternError);
    expect(problemOf(`/${source}/`)).toContain('cannot be used');
  },
);

it.each(['(a+)+b', '(a|a)*b', '(.*)*x', 'a*a*a*a*a*a*b', '(a|aa)+$|b', '(?:a?){100}a{100}'])('/%s/ is quick', (source) => {
  const begun = performance.now();
  new Pattern(source).places('a'.repeat(20_000), 200_000);
  expect(performance.now() - begun).toBeLessThan(1000);
});

it('pieces are the text again, and the first rule has the colour', () => {
  const rules: Rule[] = [
    { text: 'live migration', hue: 'green' },
    { text: '/mig\\w+|\\d+ ms/', hue: 'red' },
    { text: '/(/', hue: 'blue' },
  ];
  const pieces = markingOf(rules)!(TEXT);
  expect(pieces.map((piece) => piece.text).join('')).toBe(TEXT);
  expect(pieces.filter((piece) => piece.hue !== null)).toEqual([
    { text: 'live migration', hue: 'green' },
    { text: '1500 ms', hue: 'red' },
  ]);
  expect(markingOf([{ text: '/(/', hue: 'blue' }])).toBeNull();
});
