import { describe, expect, it } from 'vitest';

import { placedBars, placedMarks, rowsOf, type Bar, type Mark } from './lanes';
import { evenScale, isDense, offset, placeOf, ticksOf, widenedScale } from './scale';

describe('a scale', () => {
  it('is in proportion, and what is outside stands at its ends', () => {
    const scale = evenScale(1000, 5000);
    expect([0, 1000, 2000, 5000, 9000].map((at) => placeOf(scale, at))).toEqual([0, 0, 0.25, 1, 1]);
  });

  it('of a single moment has a place for it', () => {
    expect(placeOf(evenScale(1000, 1000), 1000)).toBe(0);
    expect(placeOf(widenedScale(1000, 1000, [1000], 0.1), 1000)).toBe(0);
  });

  it('that is widened keeps the order, and moments apart', () => {
    const moments = [0, 10, 20, 30, 60_000];
    const scale = widenedScale(0, 60_000, moments, 0.05);
    const places = moments.map((at) => placeOf(scale, at));
    expect(places[0]).toBe(0);
    expect(places.at(-1)).toBeCloseTo(1);
    places.slice(1).forEach((place, index) => expect(place - places[index]!).toBeGreaterThanOrEqual(0.05));
    expect(places[4]! - places[3]!).toBeGreaterThan(0.5);
  });

  it('leaves time its room however many moments there are', () => {
    const moments = Array.from({ length: 1000 }, (_, number) => number);
    const scale = widenedScale(0, 1_000_000, moments, 0.05);
    expect(1 - placeOf(scale, 999)).toBeGreaterThan(0.15);
  });

  it('is dense where moments would stand too close', () => {
    expect(isDense(0, 1000, [0, 100, 100, 1000], 0.05)).toBe(false);
    expect(isDense(0, 1000, [0, 10, 1000], 0.05)).toBe(true);
  });
});

it('ticks are at round times, or at moments where it is widened', () => {
  const label = (at: number): string => `${at}`;
  expect(ticksOf(evenScale(0, 10_000), 0.2, label).map((tick) => tick.at)).toEqual([0, 2000, 4000, 6000, 8000]);
  expect(ticksOf(evenScale(0, 10_000), 0.1, label).at(-1)!.at).toBe(9000);
  const scale = widenedScale(0, 10_000, [1, 2, 5000], 0.1);
  expect(ticksOf(scale, 0.15, label).map((tick) => tick.label)).toEqual(['0', '2', '5000', '10000']);
});

it.each([
  [0.25, 1, '+250 ms'],
  [1.254, 5, '+1.25 s'],
  [12.34, 60, '+12.3 s'],
  [2, 60, '+2 s'],
  [125, 600, '+2:05'],
  [5400, 20_000, '+1 h 30 min'],
  [200_000, 400_000, '+2 d 7 h'],
])('%s s of %s s is %s', (seconds, span, text) => {
  expect(offset(seconds, span)).toBe(text);
});

describe('in a lane', () => {
  const bar = (from: number, to: number): Bar => ({ id: `${from}`, from, to, text: '', short: '', title: '', tone: 'calm' });
  const mark = (at: number, more: Partial<Mark> = {}): Mark => ({ id: `${at}`, at, title: `${at}`, tone: 'calm', ...more });

  it('bars that overlap are below each other', () => {
    const placed = placedBars([bar(0, 50), bar(40, 80), bar(50, 60), bar(90, 100)], evenScale(0, 100), 0.01);
    expect(placed.map((each) => [each.id, each.row])).toEqual([
      ['0', 0],
      ['40', 1],
      ['50', 0],
      ['90', 0],
    ]);
    expect(rowsOf(placed)).toBe(2);
    expect(rowsOf([])).toBe(1);
  });

  it('a bar that takes no time can be seen, at the end too', () => {
    const [placed] = placedBars([bar(100, 100)], evenScale(0, 100), 0.1);
    expect([placed!.left, placed!.width]).toEqual([0.9, 0.1]);
  });

  it('marks that stand together are one, the first cause before any other', () => {
    const marks = [mark(0), mark(1, { tone: 'bad' }), mark(2, { tone: 'bad', isFirst: true }), mark(50)];
    const placed = placedMarks(marks, evenScale(0, 100), 0.05);
    expect(placed.map((each) => [each.id, each.count])).toEqual([
      ['2', 3],
      ['50', 1],
    ]);
  });
});
