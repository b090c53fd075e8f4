/** From the text of a regular expression to the steps that pattern.ts follows. */

const MAX_CHARS = 200;
const MAX_STEPS = 500;
const MAX_REPEATS = 100;

type Test = (code: number) => boolean;
export type Place = 'begin' | 'end' | 'edge';
export type Step =
  | { kind: 'sign'; test: Test }
  | { kind: 'place'; place: Place }
  | { kind: 'fork'; to: [number, number] }
  | { kind: 'jump'; to: number }
  | { kind: 'found' };
/** Steps whose numbers count from their own beginning. */
type Part = Step[];

/** The message says what is wrong. */
export class PatternError extends Error {}

export function programOf(source: string): Step[] {
  if (source.length > MAX_CHARS) throw new PatternError(`longer than ${MAX_CHARS} characters`);
  return [...new Parser(source).parse(), { kind: 'found' }];
}

export function isWord(code: number): boolean {
  return (code >= 48 && code <= 57) || (code >= 97 && code <= 122) || (code >= 65 && code <= 90) || code === 95;
}

/** Without its case, as far as that leaves it one character. */
export function folded(code: number): number {
  if (code < 128) return code >= 65 && code <= 90 ? code + 32 : code;
  const lower = String.fromCharCode(code).toLowerCase();
  return lower.length === 1 ? lower.charCodeAt(0) : code;
}

/** The other way round. */
function capital(code: number): number {
  if (code < 128) return code >= 97 && code <= 122 ? code - 32 : code;
  const upper = String.fromCharCode(code).toUpperCase();
  return upper.length === 1 ? upper.charCodeAt(0) : code;
}

class Parser {
  #at = 0;
  readonly #source: string;

  constructor(source: string) {
    this.#source = source;
  }

  parse(): Part {
    const whole = this.#alternatives();
    if (this.#at < this.#source.length) throw new PatternError(`")" that closes nothing`);
    return whole;
  }

  #alternatives(): Part {
    let part = this.#sequence();
    while (this.#takes('|')) {
      const other = this.#sequence();
      part = bounded([
        { kind: 'fork', to: [1, part.length + 2] },
        ...moved(part, 1),
        { kind: 'jump', to: part.length + other.length + 2 },
        ...moved(other, part.length + 2),
      ]);
    }
    return part;
  }

  #sequence(): Part {
    let part: Part = [];
    while (this.#at < this.#source.length && !'|)'.includes(this.#source[this.#at]!)) {
      const repeated = this.#repeated(this.#atom());
      part = bounded([...part, ...moved(repeated, part.length)]);
    }
    return part;
  }

  #repeated(atom: Part): Part {
    const count = /^(?:([*+?])|\{(\d{1,3})(?:(,)(\d{1,3})?)?\})\??/.exec(this.#source.slice(this.#at));
    if (count === null) return atom;
    this.#at += count[0].length;
    const [, sign, few, comma, many] = count;
    const least = sign === undefined ? Number(few) : sign === '+' ? 1 : 0;
    const most = sign === '?' ? 1 : sign !== undefined ? Infinity : comma === undefined ? least : Number(many ?? Infinity);
    if (least > MAX_REPEATS || (most > MAX_REPEATS && most < Infinity)) {
      throw new PatternError(`more than ${MAX_REPEATS} repeats`);
    }
    let part: Part = [];
    const append = (more: Part): void => void (part = bounded([...part, ...moved(more, part.length)]));
    for (let number = 0; number < least; number += 1) append(atom);
    if (most === Infinity) append([{ kind: 'fork', to: [1, atom.length + 2] }, ...moved(atom, 1), { kind: 'jump', to: 0 }]);
    else for (let number = least; number < most; number += 1) append([{ kind: 'fork', to: [1, atom.length + 1] }, ...moved(atom, 1)]);
    return part;
  }

  #atom(): Part {
    const sign = this.#source[this.#at++]!;
    switch (sign) {
      case '(': {
        if (this.#source[this.#at] === '?' && !this.#takes('?:')) throw new PatternError('"(?" that looks around');
        const inner = this.#alternatives();
        if (!this.#takes(')')) throw new PatternError('"(" that is not closed');
        return inner;
      }
      case '[':
        return [{ kind: 'sign', test: this.#set() }];
      case '.':
        return [{ kind: 'sign', test: () => true }];
      case '^':
        return [{ kind: 'place', place: 'begin' }];
      case '$':
        return [{ kind: 'place', place: 'end' }];
      case '*':
      case '+':
      case '?':
        throw new PatternError(`"${sign}" that repeats nothing`);
      case '\\':
        if (this.#takes('b')) return [{ kind: 'place', place: 'edge' }];
        return [{ kind: 'sign', test: testOf(this.#escaped()) }];
      default:
        return [{ kind: 'sign', test: only(sign) }];
    }
  }

  #set(): Test {
    const isNegated = this.#takes('^');
    const tests: Test[] = [];
    // A "]" at the beginning is a sign like others.
    while (tests.length === 0 || !this.#takes(']')) {
      const first = this.#member();
      const isRange = /^-[^\]]/.test(this.#source.slice(this.#at, this.#at + 2));
      tests.push(typeof first === 'string' && isRange ? this.#range(first) : testOf(first));
    }
    return (code) => tests.some((test) => test(code)) !== isNegated;
  }

  #range(first: string): Test {
    this.#at += 1;
    const last = this.#member();
    if (typeof last !== 'string') throw new PatternError(`"${first}-" without an end`);
    if (last < first) throw new PatternError(`"${first}-${last}", which ends before it begins`);
    const [from, to] = [first.charCodeAt(0), last.charCodeAt(0)];
    return (code) => within(code, from, to);
  }

  #member(): string | Test {
    const sign = this.#source[this.#at++];
    if (sign === undefined) throw new PatternError('"[" that is not closed');
    return sign === '\\' ? this.#escaped() : sign;
  }

  /** A sign that stands for itself, or a class of them. */
  #escaped(): string | Test {
    const sign = this.#source[this.#at++];
    if (sign === undefined) throw new PatternError('"\\" at the end');
    const known = CLASSES[sign.toLowerCase()];
    if (known !== undefined) return sign === sign.toLowerCase() ? known : (code) => !known(code);
    if (/[0-9a-z]/i.test(sign)) throw new PatternError(`"\\${sign}", which is not known here`);
    return sign;
  }

  #takes(text: string): boolean {
    if (!this.#source.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }
}

const CLASSES: Readonly<Record<string, Test>> = {
  d: (code) => code >= 48 && code <= 57,
  w: isWord,
  s: (code) => code <= 32 || code === 160,
};

function testOf(member: string | Test): Test {
  return typeof member === 'string' ? only(member) : member;
}

function only(sign: string): Test {
  const wanted = folded(sign.charCodeAt(0));
  return (code) => code === wanted;
}

/** Of a folded code, in either case. */
function within(code: number, from: number, to: number): boolean {
  const upper = capital(code);
  return (code >= from && code <= to) || (upper >= from && upper <= to);
}

function moved(part: Part, by: number): Part {
  return part.map((step) => {
    if (step.kind === 'jump') return { kind: 'jump', to: step.to + by };
    if (step.kind === 'fork') return { kind: 'fork', to: [step.to[0] + by, step.to[1] + by] };
    return step;
  });
}

function bounded(part: Part): Part {
  if (part.length > MAX_STEPS) throw new PatternError('too much to follow at once');
  return part;
}
