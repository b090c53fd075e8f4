/** The options of the histogram's uPlot: columns over their intervals, the colours of the page, dragging. */
import uPlot from 'uplot';

import type { Bucket } from '../api/types';
import { plainTime } from '../time';
import { LEVELS, stacksOf } from './stacks';

export const CHART_HEIGHT = 92;
/** Shorter drags are clicks. */
const MIN_DRAG_PX = 4;

interface Chart {
  width: number;
  utc: boolean;
  /** Seconds of a column. */
  interval: number;
  /** Of the whole range, in seconds since the epoch. */
  bounds: { since: number; until: number };
  styles: CSSStyleDeclaration;
  /** The column below the pointer, or null where there is none. */
  onpoint: (index: number | null) => void;
  onpick: (since: number, until: number) => void;
}

export function chartOptions(chart: Chart): uPlot.Options {
  const colour = (name: string): string => chart.styles.getPropertyValue(name).trim();
  const columns = uPlot.paths.bars!({ align: 1, size: [1, Infinity], gap: 1 });
  const axis = {
    stroke: colour('--muted'),
    font: `11px ${colour('--font')}`,
    ticks: { show: false },
  };
  const times = (_plot: uPlot, splits: number[], _axis: number, _space: number, step: number): string[] =>
    splits.map((seconds) => tick(seconds, step, chart.utc));
  return {
    width: chart.width,
    height: CHART_HEIGHT,
    padding: [6, 18, 0, 0],
    tzDate: (seconds) => (chart.utc ? uPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC') : new Date(seconds * 1000)),
    legend: { show: false },
    scales: {
      x: { range: [chart.bounds.since, Math.max(chart.bounds.until, chart.bounds.since + chart.interval)] },
      y: { range: (_plot, _least, most) => [0, Math.max(most, 1)] },
    },
    axes: [
      { ...axis, size: 20, gap: 3, space: 64, grid: { show: false }, values: times },
      {
        ...axis,
        size: 44,
        gap: 3,
        space: 26,
        grid: { stroke: colour('--line'), width: 1 },
        values: (_plot, values) => values.map((value) => (Number.isInteger(value) ? short(value) : '')),
      },
    ],
    series: [
      {},
      ...LEVELS.toReversed().map((level) => ({
        label: level.label,
        fill: colour(`--bar-${level.name}`),
        width: 0,
        paths: columns,
        points: { show: false },
      })),
    ],
    cursor: {
      y: false,
      points: { show: false },
      drag: { x: true, y: false, setScale: false },
      dataIdx: (plot) => below(plot, chart.interval),
    },
    hooks: {
      setCursor: [(plot) => chart.onpoint(plot.cursor.left! < 0 ? null : (plot.cursor.idx ?? null))],
      setSelect: [
        (plot) => {
          const { left, width } = plot.select;
          if (width < MIN_DRAG_PX) return;
          const since = plot.posToVal(left, 'x');
          const until = plot.posToVal(left + width, 'x');
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          chart.onpick(since, until);
        },
      ],
    },
  };
}

/** For the series of `chartOptions`: the highest stack is drawn first, and over its lower part what stands below it. */
export function chartData(buckets: readonly Bucket[]): uPlot.AlignedData {
  const [times, ...stacks] = stacksOf(buckets);
  return [times, ...stacks.toReversed()];
}

/** The column in whose interval the pointer is. */
function below(plot: uPlot, interval: number): number {
  const times = plot.data[0];
  const at = plot.posToVal(plot.cursor.left ?? 0, 'x');
  const first = times[0] ?? 0;
  return Math.min(Math.max(Math.floor((at - first) / interval), 0), Math.max(times.length - 1, 0));
}

/** A tick of the time axis: the day at midnight, seconds where ticks are closer than a minute. */
function tick(seconds: number, step: number, utc: boolean): string {
  const [day, clock] = plainTime(new Date(seconds * 1000), utc).split(' ') as [string, string];
  if (step >= 86_400 || clock === '00:00:00') return day.slice(5);
  return step < 60 ? clock : clock.slice(0, 5);
}

function short(value: number): string {
  if (value >= 1e6) return `${Number((value / 1e6).toFixed(1))}M`;
  return value >= 1e4 ? `${Number((value / 1e3).toFixed(1))}K` : String(value);
}
