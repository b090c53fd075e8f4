/** Why those of the list that failed did: asked one after the other, the collector runs few questions at once. */
import { ApiError, isAbort } from '../../lib/api/client';
import { explain } from '../../lib/api/explain';
import type { MigrationRow } from '../../lib/api/stories';

/** Of one list; beyond that its own page tells. */
const MAX_ASKED = 20;

export class Causes {
  /** By the migration's id; "" where none of the known ones fits. */
  titles = $state.raw<ReadonlyMap<string, string>>(new Map());
  #running = new AbortController();

  async ask(rows: readonly MigrationRow[]): Promise<void> {
    this.close();
    this.#running = new AbortController();
    const { signal } = this.#running;
    for (const row of rows.filter((each) => !this.titles.has(each.id)).slice(0, MAX_ASKED)) {
      try {
        const found = await explain(row.id, '', signal);
        const title = found.verdict === 'known' ? (found.causes[0]?.title ?? '') : '';
        this.titles = new Map([...this.titles, [row.id, title]]);
      } catch (error) {
        if (isAbort(error) || signal.aborted) return;
        // The row has its error in any case; what was only busy is asked again with the next list.
        if (isForGood(error)) this.titles = new Map([...this.titles, [row.id, '']]);
      }
    }
  }

  close(): void {
    this.#running.abort();
  }
}

function isForGood(error: unknown): boolean {
  return error instanceof ApiError && [404, 422].includes(error.status);
}
