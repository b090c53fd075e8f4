import { expect, it } from 'vitest';

import { readJson, writeJson } from './json';

/** Whether this JavaScript tells how a number was written. */
const isTold = 'rawJSON' in JSON;

it.skipIf(!isTold)('whole numbers stay as they were written, however large', () => {
  const text = '{"a":9007199254740993,"b":[-12345678901234567890,7],"c":"9007199254740993","d":0.12345678901234566}';
  const content = readJson(text) as Record<string, unknown>;
  expect([content['a'], content['b'], content['c']]).toEqual([
    9007199254740993n,
    [-12345678901234567890n, 7],
    '9007199254740993',
  ]);
  expect(writeJson(content)).toBe(text);
});

it('all else is as JSON has it', () => {
  expect(readJson('{"a":[1,-0.5,1e20,null,true,"12345678901234567890"]}')).toEqual({
    a: [1, -0.5, 1e20, null, true, '12345678901234567890'],
  });
  expect(() => readJson('{"a":')).toThrow(SyntaxError);
  expect(writeJson(9007199254740993n)).toBe('9007199254740993');
  expect(writeJson({ a: 1 }, 2)).toBe('{\n  "a": 1\n}');
});
