/** The values that a name has, to be offered where a query is typed: those of a time, whatever else is asked for. */
import { facets } from '../api/questions';
import { number, type Range } from '../time';
import { fixedValues } from './completion';
import { isFacet } from './names';

const VALUES = 40;
/** Then they are asked for anew. */
const KEPT_MS = 60_000;

export class KnownValues {
  #known: { key: string; askedMs: number; answer: ReturnType<typeof facets> } | null = null;

  /** None where nobody knows; for each range the collector is asked at most once a minute. */
  async of(name: string, range: Range): Promise<readonly { value: string; detail: string }[]> {
    const fixed = fixedValues(name).map((value) => ({ value, detail: '' }));
    if (!isFacet(name) || name === 'severity') return fixed;
    const key = `${range.since} ${range.until}`;
    const now = performance.now();
    if (this.#known?.key !== key || now - this.#known.askedMs > KEPT_MS) {
      this.#known = { key, askedMs: now, answer: facets({ q: '', ...range }, VALUES) };
    }
    try {
      const values = (await this.#known.answer).facets[name] ?? [];
      return values.flatMap(({ value, count }) => (value === null ? [] : [{ value, detail: number(count) }]));
    } catch {
      this.#known = null;
      return [];
    }
  }
}
