import { describe, expect, it } from 'vitest';

import type { Explanation, Quote, Rung } from '../../lib/api/explain';
import type { MigrationRow } from '../../lib/api/stories';
import { ladderOf } from './ladder';
import { exploreUrl, questionOf } from './stepLines';
import { explainedAt, groupOf, kindsOf, ofKindAndHost, urlFrom, viewFrom } from './view';
import { endingOf, proseOf } from './words';

const NOON = Date.parse('2027-01-15T12:00:00Z');

function at(seconds: number): string {
  return new Date(NOON + seconds * 1000).toISOString();
}

function rung(step: string, began: number | null, tookS: number | null, outcome: string, more: Partial<Rung> = {}): Rung {
  return {
    step,
    attempt: 1,
    side: 'source',
    hosts: ['compute-01'],
    began: began === null ? null : at(began),
    took_s: tookS,
    outcome,
    notes: [],
    ...more,
  };
}

function quote(rowId: number, seconds: number, host: string): Quote {
  return { row_id: rowId, time: at(seconds), host, service: 'nova-compute', level: 'ERROR', text: 'no room' };
}

const FOUND: Explanation = {
  asked: '42',
  kind: 'migration',
  id: '42',
  note: null,
  procedure: 'live-migration',
  migration: '42',
  instance: 'uuid-1',
  instance_names: [],
  requests: ['req-1'],
  source: 'compute-01',
  destination: 'compute-02',
  controllers: ['ctl'],
  began: at(0),
  ended: at(10),
  ending: 'failed',
  verdict: 'unknown',
  causes: [],
  failure: {
    step: 'pre',
    hosts: ['compute-02'],
    error: 'no room',
    first: quote(7, 4, 'compute-02'),
    echoes: [quote(9, 5, 'ctl')],
    others: [quote(8, 4.5, 'compute-09')],
  },
  earlier_failures: [],
  position: null,
  ladder: [
    rung('source_check', 0, 1, 'completed'),
    rung('dest_check', 1, 1, 'completed', { side: 'destination', hosts: ['compute-02', 'compute-01'] }),
    rung('pre', 2, 3, 'failed', { side: 'destination', hosts: ['compute-02'] }),
    rung('rollback', 6, null, 'no end seen', { side: 'destination', hosts: ['compute-02'] }),
    rung('transfer', null, null, 'not reached', { side: null, hosts: [] }),
  ],
  not_seen: [],
  others: [],
};

describe('the ladder', () => {
  it('has a lane for each host: source, destination, controller, then who else spoke', () => {
    const { lanes, from, to } = ladderOf(FOUND);
    expect(lanes.map((lane) => [lane.name, lane.detail])).toEqual([
      ['compute-01', 'source'],
      ['compute-02', 'destination'],
      ['ctl', 'controller'],
      ['compute-09', ''],
    ]);
    expect([from, to]).toEqual([NOON, NOON + 10_000]);
  });

  it('places a step on the host that does most of it, and beside that on the other', () => {
    const [source, destination] = ladderOf(FOUND).lanes;
    expect(source!.bars.map((bar) => [bar.text, bar.isBeside])).toEqual([
      ['source_check', false],
      ['dest_check', true],
    ]);
    expect(destination!.bars.map((bar) => [bar.text, bar.isBeside, bar.tone, bar.from - NOON, bar.to - NOON])).toEqual([
      ['dest_check', false, 'good', 1000, 2000],
      ['pre', false, 'bad', 2000, 5000],
      ['rollback', false, 'warning', 6000, 10_000],
    ]);
  });

  it('marks the first error apart from its echoes and from others', () => {
    const marks = ladderOf(FOUND).lanes.flatMap((lane) => lane.marks.map((mark) => [lane.name, mark.tone, mark.isFirst]));
    expect(marks).toEqual([
      ['compute-02', 'bad', true],
      ['ctl', 'warning', false],
      ['compute-09', 'calm', false],
    ]);
  });

  it('places a failed step whose beginning no line tells between the step before and its error', () => {
    const ladder = [rung('claim', 1, 1, 'completed'), rung('pre', null, null, 'failed')];
    const [, failed] = ladderOf({ ...FOUND, ladder }).steps;
    expect([failed!.began! - NOON, failed!.ended! - NOON, failed!.isUnbegun, failed!.isOpen]).toEqual([2000, 4000, true, false]);
  });

  it('without a step is what was said', () => {
    const { steps, lanes } = ladderOf({ ...FOUND, ladder: [], source: null, destination: null, controllers: [] });
    expect(steps).toEqual([]);
    expect(lanes.map((lane) => lane.name)).toEqual(['compute-02', 'ctl', 'compute-09']);
  });
});

describe('the lines of a step', () => {
  const [, check] = ladderOf(FOUND).steps;

  it('are those of the procedure in its time, by the emitters clocks', () => {
    expect(questionOf(FOUND, check!, 'own')).toEqual({
      q: 'migration:42 OR request_id:req-1 OR instance:uuid-1',
      since: at(0.98),
      until: at(2.02),
      clock: 'emitted',
    });
  });

  it('are all of its hosts where that is asked, and none where no host is known', () => {
    expect(questionOf(FOUND, check!, 'hosts')!.q).toBe('host:(compute-02 OR compute-01)');
    expect(questionOf(FOUND, { ...check!, rung: rung('x', 0, 1, 'completed', { hosts: [] }) }, 'hosts')).toBeNull();
  });

  it('are found by arrival too where a clock is off', () => {
    const skewed = { ...FOUND, not_seen: ['the clock of host compute-02 is 90 s ahead; times here are as it has them'] };
    const question = questionOf(skewed, check!, 'hosts')!;
    expect(question.q).toContain(`OR time:["${at(0.5)}" TO "${at(3.5)}"]`);
    expect(question.since).toBe(at(0.5 - 3600));
  });

  it('are explored in the time in which they arrived', () => {
    const row = { row_id: 1, peer: '', facility: '', severity: 'info', message: '' } as const;
    const rows = [60, 50].map((seconds) => ({ ...row, observed_timestamp: at(seconds) }));
    const url = new URL(exploreUrl(questionOf(FOUND, check!, 'own')!, rows), 'http://x');
    expect([url.searchParams.get('since'), url.searchParams.get('until')]).toEqual([at(50), at(60.001)]);
  });
});

describe('the list', () => {
  const ROW: MigrationRow = {
    id: '1',
    state: 'completed',
    type: 'resize',
    instance: null,
    source: 'compute-01',
    dest: null,
    request_id: null,
    began: at(0),
    last: at(1),
    duration_s: 1,
    step: null,
    error: null,
  };

  it.each(['/migrations', '/migrations?since=2d&until=2027-01-15T12%3A00%3A00Z&state=failed&kind=resize&host=c'])(
    '%s is the URL of its own view',
    (url) => {
      expect(urlFrom(viewFrom(new URL(url, 'http://x').searchParams))).toBe(url);
    },
  );

  it('has four groups of states, of which an unknown one is under way', () => {
    expect(['error', 'failed', 'running', 'confirmed', 'cancelled', 'x', 'toString'].map(groupOf)).toEqual([
      'failed',
      'failed',
      'running',
      'completed',
      'cancelled',
      'running',
      'running',
    ]);
  });

  it('is narrowed by kind and by a part of a host', () => {
    const rows = [ROW, { ...ROW, id: '2', type: 'evacuate', dest: 'Compute-02' }, { ...ROW, id: '3', type: null }];
    const view = viewFrom(new URLSearchParams());
    expect(kindsOf(rows)).toEqual(['evacuate', 'resize']);
    expect(ofKindAndHost(rows, { ...view, host: 'compute-02' }).map((row) => row.id)).toEqual(['2']);
    expect(ofKindAndHost(rows, { ...view, kind: 'resize', host: '01' }).map((row) => row.id)).toEqual(['1']);
  });

  it('leads to an explanation of any name', () => {
    expect(explainedAt('a/b?c')).toBe('/migrations/a%2Fb%3Fc');
  });
});

it('how it ended names the step that failed', () => {
  expect(endingOf(FOUND)).toEqual({ text: 'failed at pre', tone: 'bad' });
  expect(endingOf({ ...FOUND, ending: 'completed', failure: null })).toEqual({ text: 'completed', tone: 'good' });
});

it('what stands in backquotes is code', () => {
  expect(proseOf('`df -h` on that host')).toEqual([
    { text: 'df -h', isCode: true },
    { text: ' on that host', isCode: false },
  ]);
});
