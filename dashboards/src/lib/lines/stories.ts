/** From a line to the pages of what it is part of. */
import type { Row } from '../api/types';

export interface StoryLink {
  title: string;
  url: string;
}

/** So far back those pages look of their own accord, and a day less. */
const LOOKED_AT_MS = 6 * 86_400_000;
const BEFORE_MS = 86_400_000;

/** `now` in milliseconds since 1970; pages of an old line look at the week around it. */
export function storiesOf(row: Row, now: number): StoryLink[] {
  const range = weekAround(new Date(row.observed_timestamp).getTime(), now);
  return [
    { title: 'Its request', path: '/requests', id: row.request_id, range },
    { title: 'Its instance', path: '/instances', id: row.instance, range },
    { title: 'Its migration', path: '/migrations', id: row.migration, range: '' },
  ].flatMap((each) =>
    each.id === undefined ? [] : [{ title: each.title, url: `${each.path}/${encodeURIComponent(each.id)}${each.range}` }],
  );
}

function weekAround(at: number, now: number): string {
  if (Number.isNaN(at) || now - at < LOOKED_AT_MS) return '';
  const since = new Date(at - BEFORE_MS).toISOString();
  const until = new Date(at + LOOKED_AT_MS).toISOString();
  return `?${new URLSearchParams({ since, until }).toString()}`;
}
