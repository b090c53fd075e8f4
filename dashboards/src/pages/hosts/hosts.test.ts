import { expect, it } from 'vitest';

import type { HostReport, HostsAnswer } from '../../lib/api/types';
import { fleetOf } from './fleet';
import { countOf, filtered, ordered, type Sort } from './order';
import { urlFrom, viewFrom } from './view';

const NOON = Date.parse('2027-01-15T12:00:00Z');

function report(name: string | null, silentS: number | null, more: Partial<HostReport> = {}): HostReport {
  const last_seen = silentS === null ? null : new Date(NOON - silentS * 1000).toISOString();
  const nothing = { lines: 1, errors: 0, skew_s: null, dropped: 0, missing: 0, unclosed: 0, gaps: [], services: {} };
  return { name, last_seen, silent_s: silentS, ...nothing, ...more };
}

function answer(...hosts: HostReport[]): HostsAnswer {
  return { hosts, lag_s: 0, is_partial: false, reached: null, since: null, until: null };
}

const seen = (silentS: number): string => new Date(NOON - silentS * 1000).toISOString();
const DAY = answer(
  report('gone', 7200, { lines: 900, errors: 70, missing: 2, skew_s: -0.5, services: { nova: seen(7200) } }),
  report('compute-10', 310, { lines: 5000, services: { nova: seen(310), libvirtd: seen(5000) } }),
);
const HOUR = answer(
  report('compute-2', 1, { lines: 20, errors: 3, skew_s: -4 }),
  report('compute-10', 301, { lines: 30, services: { nova: seen(301) } }),
  report(null, null, { lines: 0, dropped: 9 }),
);

it('who is silent for longer than an hour is known from the day, and all else from the hour', () => {
  const fleet = fleetOf(DAY, HOUR, 0);
  expect(fleet.map((host) => [host.name, host.state, host.silentS, host.lines, host.errors])).toEqual([
    ['compute-2', 'active', 1, 20, 3],
    ['compute-10', 'late', 301, 30, 0],
    [null, 'silent', null, 0, 0],
    ['gone', 'silent', 7200, 0, 0],
  ]);
  expect(fleet[1]?.services).toEqual([
    { name: 'libvirtd', silentS: 5000 },
    { name: 'nova', silentS: 301 },
  ]);
  expect([fleet[3]?.missing, fleet[3]?.skewS, countOf(fleet, 'silent')]).toEqual([2, -0.5, 2]);
});

it.each<[Sort, boolean, (string | null)[]]>([
  ['state', false, [null, 'gone', 'compute-10', 'compute-2']],
  ['name', false, [null, 'compute-2', 'compute-10', 'gone']],
  ['name', true, ['gone', 'compute-10', 'compute-2', null]],
  ['seen', true, ['compute-2', 'compute-10', 'gone', null]],
  ['errors', false, ['compute-2', null, 'compute-10', 'gone']],
  ['clock', false, ['compute-2', 'gone', null, 'compute-10']],
  ['dropped', false, [null, 'compute-2', 'compute-10', 'gone']],
])('by %s, turned around: %s', (sort, isReversed, expected) => {
  expect(ordered(fleetOf(DAY, HOUR, 0), { sort, isReversed }).map((host) => host.name)).toEqual(expected);
});

it('is filtered by hosts and their services', () => {
  const fleet = fleetOf(DAY, HOUR, 0);
  expect(filtered(fleet, ' COMPUTE  libv ').map((host) => host.name)).toEqual(['compute-10']);
  expect(filtered(fleet, '')).toHaveLength(4);
});

it.each(['/hosts', '/hosts?filter=a+b&sort=-errors'])('%s is the URL of its own view', (url) => {
  expect(urlFrom(viewFrom(new URL(url, 'http://x').searchParams))).toBe(url);
});

it('an order that nobody knows is the usual one', () => {
  expect(viewFrom(new URLSearchParams('sort=-nonsense')).order).toEqual({ sort: 'state', isReversed: false });
});
