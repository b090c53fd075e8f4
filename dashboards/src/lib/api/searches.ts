/** Searches that somebody has saved, to be asked again. */
import { get, send } from './client';

export interface SavedSearch {
  id: string;
  name: string;
  query: string;
  since: string;
  until: string | null;
  columns: string[];
  owner: string;
  is_shared: boolean;
  is_own: boolean;
  version: number;
}

export interface SearchToSave {
  name: string;
  query: string;
  since: string;
  until: string | null;
  columns: readonly string[];
  is_shared: boolean;
}

/** One's own by name, then those that others share. */
export async function savedSearches(signal?: AbortSignal): Promise<SavedSearch[]> {
  return ((await get('/searches', {}, signal)) as { searches: SavedSearch[] }).searches;
}

export async function saveSearch(search: SearchToSave): Promise<SavedSearch> {
  return (await send('POST', '/searches', search)) as SavedSearch;
}

/** Unless somebody has changed it since it was read. */
export async function dropSearch(search: SavedSearch): Promise<void> {
  await send('DELETE', `/searches/${search.id}`, undefined, { 'If-Match': `"${search.version}"` });
}
