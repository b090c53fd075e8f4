import { expect, it } from 'vitest';

import type { Row } from '../../lib/api/types';
import { EventReader } from './events';
import { rulesFrom } from './highlights.svelte';
import { Lines, MAX_CHARS, MAX_LINES } from './lines';
import { nextMs } from './pace';
import { clockOffset, Rates } from './rates';
import { urlFrom, viewFrom } from './view';

function row(rowId: number): Row {
  const time = '2027-01-15T12:00:01Z';
  return { row_id: rowId, observed_timestamp: time, peer: 'p', facility: 'user', severity: 'info', message: 'm' };
}

function fill(lines: Lines, from: number, count: number, size = 100): void {
  for (let rowId = from; rowId < from + count; rowId += 1) lines.add(row(rowId), size);
}

it('events come whole, wherever their text is cut', () => {
  const text =
    'event: live\ndata: {"row_id": 6}\nid: 6\n\n' +
    `event: row\ndata: ${JSON.stringify(row(7))}\nid: 7\n\n` +
    ': idle\nid: 9\n\n' +
    'event: skipped\ndata: {"first_row_id":10,"last_row_id":12,"lines":null,"query":"row_id:[10 TO 12]"}\nid: 12\n\n' +
    'event: later\ndata: {}\n\n' +
    'event: end\ndata: {"detail":"it stops"}\n\n';
  for (const size of [1, 7, 10_000]) {
    const reader = new EventReader();
    const events = Array.from({ length: Math.ceil(text.length / size) }, (_, at) =>
      reader.take(text.slice(at * size, (at + 1) * size)),
    ).flat();
    expect(events).toEqual([
      { name: 'live', rowId: 6 },
      { name: 'row', row: row(7), size: JSON.stringify(row(7)).length },
      { name: 'idle', rowId: 9 },
      { name: 'skipped', skipped: { first_row_id: 10, last_row_id: 12, lines: null, query: 'row_id:[10 TO 12]' } },
      { name: 'end', detail: 'it stops' },
    ]);
  }
});

it('the newest lines are shown, and those let go of are counted', () => {
  const lines = new Lines();
  fill(lines, 0, 300);
  lines.show();
  fill(lines, 300, MAX_LINES);
  expect([lines.shown.length, lines.waiting]).toEqual([300, MAX_LINES]);
  lines.show();
  expect([lines.shown.length, lines.shown[0]?.row_id, lines.letGo, lines.waiting]).toEqual([MAX_LINES, 300, 300, 0]);
});

it('what waits is bounded too', () => {
  const lines = new Lines();
  fill(lines, 0, 5 * MAX_LINES);
  expect(lines.waiting).toBeLessThanOrEqual(MAX_LINES + 1000);
  lines.show();
  expect([lines.shown.length, lines.shown.at(-1)?.row_id]).toEqual([MAX_LINES, 5 * MAX_LINES - 1]);
  expect(lines.letGo).toBe(4 * MAX_LINES);
});

it('lines that are very long are fewer, and one is always there', () => {
  const lines = new Lines();
  fill(lines, 0, 7, MAX_CHARS / 4);
  lines.show();
  expect(lines.shown.map((each) => each.row_id)).toEqual([3, 4, 5, 6]);
  fill(lines, 7, 1, 3 * MAX_CHARS);
  lines.show();
  expect([lines.shown.map((each) => each.row_id), lines.letGo]).toEqual([[7], 7]);
});

it('frames take a part of the time, however long one takes', () => {
  expect(nextMs(1000, 1003)).toBe(1010);
  expect(nextMs(1000, 9000)).toBe(1500);
});

it('rates are those of whole seconds', () => {
  const rates = new Rates();
  expect(rates.perSecond).toBe(0);
  for (const count of [10, 20]) {
    for (let each = 0; each < count; each += 1) rates.came(each / 10);
    rates.tick(1.02);
  }
  expect([rates.perSecond, rates.lagS, rates.counts]).toEqual([15, 1.9, [10, 20]]);
});

it('lines that came while nobody looked are those of all of these seconds', () => {
  const rates = new Rates();
  for (let each = 0; each < 120; each += 1) rates.came(0);
  rates.tick(4.1);
  expect([rates.perSecond, rates.counts]).toEqual([30, [30, 30, 30, 30]]);
  for (let each = 0; each < 120; each += 1) rates.came(0);
  rates.tick(120);
  expect([rates.perSecond, rates.counts.length]).toEqual([1, 60]);
});

it('a clock that is off is set right, as far as the header says it', () => {
  const now = Date.parse('2027-01-15T12:00:00.900Z');
  expect(clockOffset('Fri, 15 Jan 2027 12:00:00 GMT', now)).toBe(0);
  expect(clockOffset('Fri, 15 Jan 2027 13:00:00 GMT', now)).toBe(3_599_600);
  expect(clockOffset(null, now)).toBe(0);
});

it('highlights that were kept are read, whatever else is there', () => {
  const rule = { text: 'error', hue: 'red' };
  expect(rulesFrom(JSON.stringify([rule, { text: '', hue: 'red' }, { text: 'x', hue: '"><b>' }, null, 7]))).toEqual([rule]);
  for (const text of [null, '', '{', '{"a":1}', '"x"']) expect(rulesFrom(text)).toEqual([]);
});

it.each(['/live', '/live?q=host%3Aa&columns=time%2Cevent&wrap=1'])('%s is the URL of its own view', (url) => {
  expect(urlFrom(viewFrom(new URL(url, 'http://x').searchParams))).toBe(url);
});
