import { expect, it } from 'vitest';

import type { TraceAnswer } from '../../lib/api/stories';
import type { Row } from '../../lib/api/types';
import { chosen, idOfPart, rowsOf, waterfallOf } from './parts';

function row(rowId: number, service: string | undefined, severity: Row['severity']): Row {
  const found: Row = {
    row_id: rowId,
    observed_timestamp: `2027-01-15T12:00:0${rowId}Z`,
    hostname: 'compute-01',
    peer: '192.0.2.7',
    facility: 'local0',
    severity,
    message: 'a line',
  };
  return service === undefined ? found : { ...found, app_name: service };
}

const FOUND: TraceAnswer = {
  request_id: 'req-1',
  duration_s: 3,
  parts: [
    { host: 'compute-01', service: 'nova-api', began: '2027-01-15T12:00:01Z', ended: '2027-01-15T12:00:04Z', duration_s: 3, lines: 2, errors: 1 },
    { host: 'compute-01', service: null, began: '2027-01-15T12:00:02Z', ended: '2027-01-15T12:00:02Z', duration_s: 0, lines: 1, errors: 0 },
  ],
  rows: [row(1, 'nova-api', 'info'), row(2, undefined, 'warning'), row(4, 'nova-api', 'err')],
  is_cut: false,
};

it('a service on a host is a lane, with its errors and warnings marked', () => {
  const { lanes, from, to } = waterfallOf(FOUND);
  expect(lanes.map((lane) => [lane.name, lane.detail, lane.bars[0]!.text, lane.bars[0]!.tone])).toEqual([
    ['nova-api', 'compute-01', '3 s · 2 lines', 'bad'],
    ['no service', 'compute-01', '0 ms · 1 line', 'good'],
  ]);
  expect(lanes.map((lane) => lane.marks.map((mark) => [mark.id, mark.tone]))).toEqual([[['line-4', 'bad']], [['line-2', 'warning']]]);
  expect(to - from).toBe(3000);
});

it('a part has its own lines, also where it has no name', () => {
  expect(rowsOf(FOUND, 0).map((each) => each.row_id)).toEqual([1, 4]);
  expect(rowsOf(FOUND, 1).map((each) => each.row_id)).toEqual([2]);
  expect(rowsOf(FOUND, null)).toHaveLength(3);
});

it('a choice is of a part or of a line', () => {
  expect(chosen(idOfPart(1))).toEqual({ part: 1 });
  expect(chosen('line-4')).toEqual({ line: 4 });
});
