/** Live as its URL says it: which lines, and how they are shown. */
import { columnNames, DEFAULT_COLUMNS } from '../../lib/lines/columns';

export interface LiveView {
  q: string;
  columns: readonly string[];
  wrap: boolean;
}

export function viewFrom(parameters: URLSearchParams): LiveView {
  return {
    q: parameters.get('q') ?? '',
    columns: columnNames(parameters.get('columns')),
    wrap: parameters.get('wrap') === '1',
  };
}

/** Its URL, without what is as always. */
export function urlFrom(view: LiveView): string {
  const search = new URLSearchParams();
  if (view.q !== '') search.set('q', view.q);
  if (view.columns.join() !== DEFAULT_COLUMNS.join()) search.set('columns', view.columns.join());
  if (view.wrap) search.set('wrap', '1');
  const text = search.toString();
  return text === '' ? '/live' : `/live?${text}`;
}
