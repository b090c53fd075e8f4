import { describe, expect, it } from 'vitest';

import {
  age,
  duration,
  fromLocalInput,
  isSpan,
  longTime,
  number,
  plainTime,
  rangeAround,
  rangeLabel,
  shortNumber,
  shortTime,
  toLocalInput,
} from './time';

const TIME = '2027-01-15T12:00:00.250113Z';

describe('a time', () => {
  it('is short in a list and exact in details', () => {
    expect(shortTime(TIME, true)).toBe('01-15 12:00:00.250');
    expect(longTime(TIME, true)).toBe('2027-01-15 12:00:00.250113 UTC');
    expect(longTime('2027-01-15T12:00:00Z', true)).toBe('2027-01-15 12:00:00.000000 UTC');
  });

  it('that is none is shown as it is', () => {
    expect(shortTime('soon', true)).toBe('soon');
    expect(longTime('', false)).toBe('');
  });

  it('goes into an input and out of it', () => {
    expect(toLocalInput('2027-01-15T12:00:07Z', true)).toBe('2027-01-15T12:00:07');
    expect(toLocalInput('15m', true)).toBe('');
    expect(fromLocalInput('2027-01-15T12:00:07', true)).toBe('2027-01-15T12:00:07.000Z');
    expect(fromLocalInput('', true)).toBe('');
    const local = '2027-06-15T08:30:00';
    expect(toLocalInput(fromLocalInput(local, false), false)).toBe(local);
    expect(plainTime(new Date(fromLocalInput(local, false)), false)).toBe('2027-06-15 08:30:00');
  });
});

describe('a range', () => {
  it('says what it is', () => {
    expect(rangeLabel({ since: '15m', until: '' }, true)).toBe('Last 15 minutes');
    expect(rangeLabel({ since: '90s', until: '' }, true)).toBe('Last 90s');
    expect(rangeLabel({ since: '2h', until: '1h' }, true)).toBe('2h to 1h');
    expect(rangeLabel({ since: '2027-01-15T12:00:00Z', until: '' }, true)).toBe('2027-01-15 12:00:00 to now');
  });

  it('is around a time', () => {
    expect(rangeAround('2027-01-15T12:00:00Z', 60)).toEqual({
      since: '2027-01-15T11:59:00.000Z',
      until: '2027-01-15T12:01:00.000Z',
    });
  });

  it.each([
    ['15m', true],
    ['2h30m', true],
    ['1.5h', true],
    ['now', false],
    ['15', false],
    ['2027-01-15', false],
  ])('%s is a span: %s', (text, expected) => {
    expect(isSpan(text)).toBe(expected);
  });
});

it.each([
  [0.0342, '34 ms'],
  [1.25, '1.3 s'],
  [59, '59 s'],
  [125, '2 min 5 s'],
  [3600, '1 h'],
  [93_600, '1 d 2 h'],
])('%d seconds are %s', (seconds, expected) => {
  expect(duration(seconds)).toBe(expected);
});

it('numbers are grouped, and short where room is', () => {
  expect(number(1234567)).toBe('1,234,567');
  expect(shortNumber(9999)).toBe('9,999');
  expect(shortNumber(12_345)).toBe('12.3K');
});

it.each([
  [0, '0 s'],
  [59.9, '59 s'],
  [400, '6 min'],
  [7900, '2 h'],
  [260_000, '3 d'],
])('%d s are an age of %s', (seconds, expected) => {
  expect(age(seconds)).toBe(expected);
});
