/**
 * Regular expressions that cannot take long, whatever they are: all ways to match are followed at once, character by
 * character, so that time is at most the length of the text times that of the expression. A browser's own go back and
 * try again, and one like `(a+)+b` stops the page.
 */
import { folded, isWord, programOf, type Place, type Step } from './program';

export class Pattern {
  readonly #steps: Step[];

  /** In any case. `PatternError` where it cannot be read, is too long, or asks to look around or back. */
  constructor(source: string) {
    this.#steps = programOf(source);
  }

  /**
   * Where it is found, each place behind the one before: the leftmost, and of these the longest. Ends early when
   * `budget` characters have been tested.
   */
  places(text: string, budget: number): [number, number][] {
    const found: [number, number][] = [];
    const left = { tests: budget };
    let from = 0;
    while (from < text.length) {
      const next = this.#next(text, from, left);
      if (next === null) break;
      if (next[1] > next[0]) found.push(next);
      from = Math.max(next[1], next[0] + 1);
    }
    return found;
  }

  #next(text: string, from: number, left: { tests: number }): [number, number] | null {
    let [now, next] = [new Threads(this.#steps), new Threads(this.#steps)];
    let best: [number, number] | null = null;
    for (let at = from; at <= text.length; at += 1) {
      if (best === null) now.add(0, at, text, at);
      if (now.found !== null && (best === null || now.found <= best[0])) best = [now.found, at];
      if (now.size === 0 && best !== null) break;
      next.clear();
      const code = at < text.length ? folded(text.charCodeAt(at)) : -1;
      for (let place = 0; place < now.size && code >= 0; place += 1) {
        const [number, start] = [now.steps[place]!, now.starts[place]!];
        if (best !== null && start > best[0]) break;
        if ((left.tests -= 1) < 0) return best;
        const step = this.#steps[number]!;
        if (step.kind === 'sign' && step.test(code)) next.add(number + 1, start, text, at + 1);
      }
      [now, next] = [next, now];
    }
    return best;
  }
}

/** The steps that wait for the next character, each once, those that began first before the others. */
class Threads {
  size = 0;
  readonly steps: Uint16Array;
  readonly starts: Uint32Array;
  /** Where one began that needs nothing more. */
  found: number | null = null;
  readonly #program: readonly Step[];
  readonly #has: Uint8Array;

  constructor(program: readonly Step[]) {
    this.#program = program;
    this.steps = new Uint16Array(program.length);
    this.starts = new Uint32Array(program.length);
    this.#has = new Uint8Array(program.length);
  }

  clear(): void {
    this.size = 0;
    this.found = null;
    this.#has.fill(0);
  }

  add(first: number, start: number, text: string, at: number): void {
    const todo = [first];
    for (let number = todo.pop(); number !== undefined; number = todo.pop()) {
      if (this.#has[number] === 1) continue;
      this.#has[number] = 1;
      const step = this.#program[number]!;
      if (step.kind === 'jump') todo.push(step.to);
      else if (step.kind === 'fork') todo.push(step.to[1], step.to[0]);
      else if (step.kind === 'found') this.found ??= start;
      else if (step.kind === 'sign') {
        this.steps[this.size] = number;
        this.starts[this.size++] = start;
      } else if (isAt(step.place, text, at)) todo.push(number + 1);
    }
  }
}

function isAt(place: Place, text: string, at: number): boolean {
  if (place === 'begin') return at === 0;
  if (place === 'end') return at === text.length;
  return isWord(text.charCodeAt(at - 1)) !== isWord(text.charCodeAt(at));
}
