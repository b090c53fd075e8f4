/** What a question has found: lines page by page, their number over time, and their most frequent values. */
import { ApiError, isAbort } from '../../lib/api/client';
import { facets, histogram, nextPage, search, type Question } from '../../lib/api/questions';
import type { CountedTable, FacetsAnswer, HistogramAnswer, Row, SearchAnswer } from '../../lib/api/types';
import { splitPipe } from '../../lib/query/tokens';

/** Few, so that they are there at once. */
const FIRST_ROWS = 200;
const PAGE_ROWS = 2000;
/** Beyond that a browser's memory is filled with what nobody reads. */
export const MAX_ROWS = 200_000;
const BUCKETS = 120;
const TOP = 12;

export class Results {
  rows = $state.raw<readonly Row[]>([]);
  /** Instead of rows, where the query counts. */
  table = $state.raw<CountedTable | null>(null);
  histogram = $state.raw<HistogramAnswer | null>(null);
  facets = $state.raw<FacetsAnswer | null>(null);
  error = $state.raw<ApiError | null>(null);
  /** Why the next page has not come; nobody asks for it again by scrolling then. */
  pageError = $state.raw<ApiError | null>(null);
  /** Of the search's last answer. */
  last = $state.raw<SearchAnswer | null>(null);
  isSearching = $state(false);
  isPaging = $state(false);
  /** Whether these are still of the question before. */
  isHistogramOld = $state(false);
  areFacetsOld = $state(false);
  /** Counts questions, so that a list can begin anew with each. */
  question = $state(0);
  #asked: Question | null = null;
  #running = new AbortController();

  /** Whether there are no more rows than those that are here. */
  get isWhole(): boolean {
    return this.last !== null && (this.last.next ?? null) === null;
  }

  /** Ask anew; what was asked before is not waited for any more. */
  async ask(question: Question): Promise<void> {
    this.close();
    this.#running = new AbortController();
    const { signal } = this.#running;
    this.#asked = question;
    this.isSearching = this.isHistogramOld = this.areFacetsOld = true;
    this.isPaging = false;
    this.pageError = null;
    const { condition } = splitPipe(question.q);
    const overview = { ...question, q: condition };
    const found = this.#search(question, signal);
    // The rows first: the collector runs few questions at once.
    await Promise.all([
      found,
      this.#take(histogram(overview, BUCKETS, signal), signal, (answer) => {
        this.histogram = answer;
        this.isHistogramOld = false;
      }),
      this.#take(facets(overview, TOP, signal), signal, (answer) => {
        this.facets = answer;
        this.areFacetsOld = false;
      }),
    ]);
  }

  /** Fetch the next page, if there is one, none is under way, and the last one has not failed. */
  async more(): Promise<void> {
    const cursor = this.last?.next ?? null;
    if (cursor === null || this.isPaging || this.isSearching || this.#asked === null) return;
    if (this.rows.length >= MAX_ROWS || this.pageError !== null) return;
    const { signal } = this.#running;
    this.isPaging = true;
    try {
      const page = await nextPage(this.#asked.q, cursor, PAGE_ROWS, signal);
      if (signal.aborted) return;
      this.rows = [...this.rows, ...(page.rows ?? [])];
      this.last = page;
    } catch (error) {
      if (!isAbort(error) && !signal.aborted) this.pageError = asApiError(error);
    } finally {
      if (!signal.aborted) this.isPaging = false;
    }
  }

  /** Fetch the page that has failed. */
  async retry(): Promise<void> {
    this.pageError = null;
    await this.more();
  }

  close(): void {
    this.#running.abort();
  }

  async #search(question: Question, signal: AbortSignal): Promise<void> {
    try {
      const answer = await search(question, FIRST_ROWS, signal);
      if (signal.aborted) return;
      this.table = answer.table ?? null;
      this.rows = answer.rows ?? [];
      this.last = answer;
      this.error = null;
      this.question += 1;
    } catch (error) {
      if (isAbort(error) || signal.aborted) return;
      this.error = asApiError(error);
      this.rows = [];
      this.table = this.last = null;
    } finally {
      if (!signal.aborted) this.isSearching = false;
    }
  }

  /** What goes with the rows; whatever is wrong with it, the search has said so. */
  async #take<Answer>(asked: Promise<Answer>, signal: AbortSignal, take: (answer: Answer | null) => void): Promise<void> {
    const answer = await asked.catch(() => null);
    if (!signal.aborted) take(answer);
  }
}

export function asApiError(error: unknown): ApiError {
  return error instanceof ApiError ? error : new ApiError(0, 'page', String(error));
}
