/** How many lines came in each of the last seconds, and how late. */

export const SECONDS = 60;
/** The rate that is told is that of so many whole seconds. */
const TOLD_S = 5;

export class Rates {
  /** Of whole seconds, the newest last. */
  counts: readonly number[] = [];
  /** Of the latest line of the last second; null where none came. */
  lagS: number | null = null;
  #count = 0;
  #lagS: number | null = null;

  came(lagS: number): void {
    this.#count += 1;
    this.#lagS = Math.max(this.#lagS ?? 0, lagS);
  }

  /** So long it is since the last time: about a second, or more where nobody sees the page. */
  tick(passedS: number): void {
    const seconds = Math.min(Math.max(1, Math.round(passedS)), SECONDS);
    const each = this.#count / Math.max(1, Math.round(passedS));
    this.counts = [...this.counts, ...Array.from({ length: seconds }, () => each)].slice(-SECONDS);
    this.lagS = this.#lagS;
    this.#count = 0;
    this.#lagS = null;
  }

  get perSecond(): number {
    const told = this.counts.slice(-TOLD_S);
    return told.length === 0 ? 0 : told.reduce((sum, each) => sum + each, 0) / told.length;
  }
}

/** What to add to this computer's clock, in ms: nothing, where it is near the collector's, whose header has seconds. */
export function clockOffset(date: string | null, nowMs: number): number {
  const at = date === null ? NaN : Date.parse(date) + 500;
  return Number.isNaN(at) || Math.abs(at - nowMs) < 1500 ? 0 : at - nowMs;
}
