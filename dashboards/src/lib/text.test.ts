import { expect, it } from 'vitest';

import { oneLine, shown, shownValue } from './text';

it.each([
  ['plain <b>text</b> & "more"', 'plain <b>text</b> & "more"'],
  ['\u001b[31mred\u001b[0m', '\\x1b[31mred\\x1b[0m'],
  ['invoice\u202efdp.exe', 'invoice\\u202efdp.exe'],
  ['zero\u200bwidth\ufeff', 'zero\\u200bwidth\\ufeff'],
  ['tab\tand\nnewline stay', 'tab\tand\nnewline stay'],
  ['grüße 你好 🚀', 'grüße 你好 🚀'],
])('%j is shown as %j', (text, expected) => {
  expect(shown(text)).toBe(expected);
});

it('a list shows a line on one', () => {
  expect(oneLine('one\ntwo\r\nthree')).toBe('one ⏎ two ⏎ three');
});

it('values that are no text are shown as JSON', () => {
  expect([shownValue({ a: [1, null] }), shownValue(7), shownValue('x'), shownValue(undefined)]).toEqual([
    '{"a":[1,null]}',
    '7',
    'x',
    '',
  ]);
});
