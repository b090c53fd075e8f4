/** Highlights: what a reader wants to see at once in the lines that pass, and in which colour. */
import { Pattern } from './pattern';
import { PatternError } from './program';

export const HUES = ['yellow', 'green', 'blue', 'violet', 'red'] as const;
export type Hue = (typeof HUES)[number];

export interface Rule {
  /** A text, or between slashes a regular expression; in any case. */
  text: string;
  hue: Hue;
}

export interface Piece {
  text: string;
  /** Null where no rule fits. */
  hue: Hue | null;
}

/** Cuts a text into pieces, which together are the text. */
export type Marking = (text: string) => readonly Piece[];

export const MAX_RULES = 10;
export const MAX_RULE_CHARS = 200;
/** What is longer is looked at so far only. */
const MAX_TEXT = 1000;
/** Tests of characters for each rule and text. */
const BUDGET = 20_000;

type Finder = (text: string) => readonly [number, number][];

/** Why a rule cannot be used; null where it can. */
export function problemOf(text: string): string | null {
  if (text === '') return 'There is nothing to look for.';
  try {
    finderOf(text);
    return null;
  } catch (error) {
    if (error instanceof PatternError) return `This expression cannot be used: ${error.message}.`;
    throw error;
  }
}

/** Where several rules fit the first one has the colour; rules that cannot be used are left out. Null without any. */
export function markingOf(rules: readonly Rule[]): Marking | null {
  const usable = rules.slice(0, MAX_RULES).filter((rule) => problemOf(rule.text) === null);
  if (usable.length === 0) return null;
  const finders = usable.map((rule) => ({ hue: rule.hue, find: finderOf(rule.text) }));
  return (text) => {
    const searched = text.length > MAX_TEXT ? text.slice(0, MAX_TEXT) : text;
    const hues: (Hue | undefined)[] = [];
    for (const { hue, find } of finders) {
      for (const [from, to] of find(searched)) {
        for (let at = from; at < to; at += 1) hues[at] ??= hue;
      }
    }
    return hues.length === 0 ? [{ text, hue: null }] : piecesOf(text, hues);
  };
}

function piecesOf(text: string, hues: readonly (Hue | undefined)[]): Piece[] {
  const pieces: Piece[] = [];
  let from = 0;
  for (let at = 1; at <= text.length; at += 1) {
    if (at < text.length && hues[at] === hues[from]) continue;
    pieces.push({ text: text.slice(from, at), hue: hues[from] ?? null });
    from = at;
  }
  return pieces;
}

function finderOf(text: string): Finder {
  if (text.length > 2 && text.startsWith('/') && text.endsWith('/')) {
    const pattern = new Pattern(text.slice(1, -1));
    return (searched) => pattern.places(searched, BUDGET);
  }
  const word = text.toLowerCase();
  return (searched) => {
    const lower = searched.toLowerCase();
    if (lower.length !== searched.length) return []; // some letters have more than one in lower case
    const found: [number, number][] = [];
    for (let at = lower.indexOf(word); at >= 0; at = lower.indexOf(word, at + word.length)) {
      found.push([at, at + word.length]);
    }
    return found;
  };
}
