/** The newest lines of a tail: those that are shown, and those that wait until they may be. Bounded, both of them. */
import type { Row } from '../../lib/api/types';

/** Of each of the two. */
export const MAX_LINES = 10_000;
/** Of JSON, of each of the two: some lines are very long. */
export const MAX_CHARS = 24_000_000;
/** So many more may come before the oldest are let go, all at once. */
const SLACK = 1000;

export class Lines {
  /** In order of arrival. */
  shown: readonly Row[] = [];
  /** How many have been, and are here no more. */
  letGo = 0;
  #sizes: number[] = [];
  #waiting: Row[] = [];
  #waitingSizes: number[] = [];
  #waitingChars = 0;

  get waiting(): number {
    return this.#waiting.length;
  }

  add(row: Row, size: number): void {
    this.#waiting.push(row);
    this.#waitingSizes.push(size);
    this.#waitingChars += size;
    if (this.#waiting.length < MAX_LINES + SLACK && this.#waitingChars < 2 * MAX_CHARS) return;
    const first = firstOf(this.#waitingSizes);
    this.letGo += first;
    this.#waiting = this.#waiting.slice(first);
    this.#waitingSizes = this.#waitingSizes.slice(first);
    this.#waitingChars = this.#waitingSizes.reduce((sum, each) => sum + each, 0);
  }

  /** Show those that wait, too. */
  show(): void {
    if (this.#waiting.length === 0) return;
    const sizes = [...this.#sizes, ...this.#waitingSizes];
    const first = firstOf(sizes);
    this.letGo += first;
    this.shown = [...this.shown, ...this.#waiting].slice(first);
    this.#sizes = sizes.slice(first);
    this.#waiting = [];
    this.#waitingSizes = [];
    this.#waitingChars = 0;
  }

  clear(): void {
    this.shown = [];
    this.#sizes = [];
    this.#waiting = [];
    this.#waitingSizes = [];
    this.#waitingChars = this.letGo = 0;
  }
}

/** The index of the first one that is within both bounds with all that follow; the last one always is. */
function firstOf(sizes: readonly number[]): number {
  let chars = 0;
  let first = sizes.length;
  while (first > 0 && sizes.length - first < MAX_LINES) {
    chars += sizes[first - 1]!;
    if (chars > MAX_CHARS && first < sizes.length) break;
    first -= 1;
  }
  return first;
}
