/** The values that a name has, to be offered where a query is typed: those of a time, whatever else is asked for. */
import { facets } from '../api/questions';
import { number, type Range } from '../time';
import { FIXED_VALUES } from './completion';
import { isFacet } from './names';

const VALUES = 40;

export class KnownValues {
  #known: { key: string; answer: ReturnType<typeof facets> } | null = null;

  /** None where nobody knows; the collector is asked once for each range. */
  async of(name: string, range: Range): Promise<readonly { value: string; detail: string }[]> {
    const fixed = (FIXED_VALUES[name] ?? []).map((value) => ({ value, detail: '' }));
    if (!isFacet(name) || name === 'severity') return fixed;
    const key = `${range.since} ${range.until}`;
    if (this.#known?.key !== key) this.#known = { key, answer: facets({ q: '', ...range }, VALUES) };
    try {
      const values = (await this.#known.answer).facets[name] ?? [];
      return values.flatMap(({ value, count }) => (value === null ? [] : [{ value, detail: number(count) }]));
    } catch {
      this.#known = null;
      return [];
    }
  }
}
