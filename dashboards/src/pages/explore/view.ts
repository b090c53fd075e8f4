/** Explore as its URL says it: the query, the time, and how lines are shown. */
import type { Question } from '../../lib/api/questions';
import { columnNames, DEFAULT_COLUMNS } from '../../lib/lines/columns';
import { DEFAULT_RANGE, type Range } from '../../lib/time';

export interface ExploreView {
  q: string;
  range: Range;
  columns: readonly string[];
  wrap: boolean;
}

export function viewFrom(parameters: URLSearchParams): ExploreView {
  return {
    q: parameters.get('q') ?? '',
    range: { since: parameters.get('since') ?? DEFAULT_RANGE.since, until: parameters.get('until') ?? '' },
    columns: columnNames(parameters.get('columns')),
    wrap: parameters.get('wrap') === '1',
  };
}

export function questionOf(view: ExploreView): Question {
  return { q: view.q, since: view.range.since, until: view.range.until };
}

/** Its URL, without what is as always. */
export function urlFrom(view: ExploreView): string {
  const search = new URLSearchParams();
  if (view.q !== '') search.set('q', view.q);
  if (view.range.since !== DEFAULT_RANGE.since || view.range.until !== '') search.set('since', view.range.since);
  if (view.range.until !== '') search.set('until', view.range.until);
  if (view.columns.join() !== DEFAULT_COLUMNS.join()) search.set('columns', view.columns.join());
  if (view.wrap) search.set('wrap', '1');
  const text = search.toString();
  return text === '' ? '/explore' : `/explore?${text}`;
}
