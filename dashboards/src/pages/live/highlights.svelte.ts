/** A person's highlights, kept in this browser alone. */
import { HUES, MAX_RULE_CHARS, MAX_RULES, markingOf, type Hue, type Rule } from '../../lib/lines/marking/marking';

const NAME = 'cloud.highlights';

export class Highlights {
  rules = $state.raw<readonly Rule[]>(rulesFrom(kept()));
  readonly marking = $derived(markingOf(this.rules));

  add(rule: Rule): void {
    this.#keep([...this.rules.filter((each) => each.text !== rule.text), rule].slice(0, MAX_RULES));
  }

  drop(rule: Rule): void {
    this.#keep(this.rules.filter((each) => each !== rule));
  }

  /** A colour that no rule has, as long as there is one. */
  get freeHue(): Hue {
    return HUES.find((hue) => this.rules.every((rule) => rule.hue !== hue)) ?? HUES[this.rules.length % HUES.length]!;
  }

  #keep(rules: readonly Rule[]): void {
    this.rules = rules;
    try {
      localStorage.setItem(NAME, JSON.stringify(rules));
    } catch {
      // a browser that keeps nothing: then they last until the page is left
    }
  }
}

/** The rules of a text that may hold anything. */
export function rulesFrom(text: string | null): Rule[] {
  let content: unknown;
  try {
    content = JSON.parse(text ?? '[]');
  } catch {
    return [];
  }
  return Array.isArray(content) ? content.filter(isRule).slice(0, MAX_RULES) : [];
}

function isRule(value: unknown): value is Rule {
  if (typeof value !== 'object' || value === null) return false;
  const { text, hue } = value as Record<string, unknown>;
  return typeof text === 'string' && text !== '' && text.length <= MAX_RULE_CHARS && HUES.some((each) => each === hue);
}

function kept(): string | null {
  try {
    return localStorage.getItem(NAME);
  } catch {
    return null;
  }
}
