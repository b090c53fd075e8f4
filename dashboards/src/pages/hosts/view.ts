/** Hosts as the URL says it: which ones, and in which order. */
import { SORTS, type Order, type Sort } from './order';

export interface HostsView {
  filter: string;
  order: Order;
}

export function viewFrom(parameters: URLSearchParams): HostsView {
  const text = parameters.get('sort') ?? '';
  const name = text.replace(/^-/, '');
  const sort: Sort = SORTS.find((each) => each === name) ?? 'state';
  return { filter: parameters.get('filter') ?? '', order: { sort, isReversed: sort === name && text.startsWith('-') } };
}

/** Its URL, without what is as always. */
export function urlFrom({ filter, order }: HostsView): string {
  const search = new URLSearchParams();
  if (filter !== '') search.set('filter', filter);
  if (order.sort !== 'state' || order.isReversed) search.set('sort', `${order.isReversed ? '-' : ''}${order.sort}`);
  const text = search.toString();
  return text === '' ? '/hosts' : `/hosts?${text}`;
}
