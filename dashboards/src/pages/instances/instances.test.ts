import { describe, expect, it } from 'vitest';

import type { Row } from '../../lib/api/types';
import { movesOf, titleOf, toneOf } from './moves';
import { chosen, timelineOf } from './timeline';

let rowId = 0;

function row(seconds: number, more: Partial<Row> = {}): Row {
  rowId += 1;
  const time = new Date(Date.parse('2027-01-15T12:00:00Z') + seconds * 1000).toISOString();
  return {
    row_id: rowId,
    observed_timestamp: time,
    hostname: 'ctl',
    peer: '192.0.2.7',
    facility: 'local0',
    severity: 'info',
    message: 'step',
    ...more,
  };
}

const WAY = { type: 'live-migration', source_compute: 'compute-01', dest_compute: 'compute-02' };
const ROWS: Row[] = [
  row(0, { event: 'build.spawn.started', request_id: 'req-1' }),
  row(5, { event: 'build.spawn.completed', request_id: 'req-1' }),
  row(10, { event: 'migration.pre.started', migration: '42', fields: WAY }),
  row(12, { event: 'migration.pre.failed', migration: '42', severity: 'err' }),
  row(15, { message: 'migration ended', migration: '42', fields: { status: 'failed' } }),
  row(20, { event: 'instance.stop', hostname: 'compute-01' }),
  row(30, { event: 'resize.pre.started', migration: '43' }),
];

describe('what an instance went through', () => {
  it('is told from the first to the last line of each, with its end', () => {
    const moves = movesOf(ROWS);
    expect(moves.map((move) => [move.subject, move.name, move.state, (move.ended - move.began) / 1000, toneOf(move)])).toEqual([
      ['req-1', 'build', 'completed', 5, 'good'],
      ['42', 'live-migration 42', 'failed', 5, 'bad'],
      ['43', 'resize 43', '', 0, 'accent'],
    ]);
    expect(titleOf(moves[1]!)).toBe('live-migration 42, compute-01 → compute-02: failed');
    expect(titleOf(moves[2]!)).toBe('resize 43: no end in these lines');
  });

  it('is not made of lines that only name a migration', () => {
    expect(movesOf([row(0, { migration: '7', message: 'looks at it' })])).toEqual([]);
  });
});

describe('a timeline', () => {
  it('has a lane for each host that spoke, or that it left or came to', () => {
    const { lanes, from, to } = timelineOf(ROWS);
    expect(lanes.map((lane) => [lane.name, lane.detail, lane.bars.length, lane.marks.length])).toEqual([
      ['Moves and builds', '3', 3, 0],
      ['ctl', '', 0, 6],
      ['compute-01', '1 from it', 1, 1],
      ['compute-02', '1 to it', 1, 0],
    ]);
    expect((to - from) / 1000).toBe(30);
  });

  it('marks errors, and what its owner did', () => {
    const tones = timelineOf(ROWS).lanes.flatMap((lane) => lane.marks.map((mark) => mark.tone));
    expect(tones).toEqual(['calm', 'calm', 'calm', 'bad', 'calm', 'calm', 'accent']);
  });

  it('leads to an explanation, or to a line', () => {
    expect(chosen('move-42')).toEqual({ subject: '42' });
    expect(chosen('line-7')).toEqual({ line: 7 });
  });
});
