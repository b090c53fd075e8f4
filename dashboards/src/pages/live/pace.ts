/** When to show what has come: with the browser's next frame, and less often where a frame costs too much. */

/** So much of the time goes into frames at most. */
const SHARE = 0.3;
const MAX_WAIT_MS = 500;

export class Pace {
  #frame = 0;
  #timer = 0;
  #nextMs = 0;
  readonly #draw: () => void;

  constructor(draw: () => void) {
    this.#draw = draw;
  }

  /** Draw soon; once, however often it is asked for. A page that nobody sees draws nothing. */
  ask(): void {
    if (this.#frame !== 0 || this.#timer !== 0) return;
    const waitMs = this.#nextMs - performance.now();
    if (waitMs > 0) this.#timer = window.setTimeout(() => this.#schedule(), waitMs);
    else this.#schedule();
  }

  stop(): void {
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#timer);
    this.#frame = this.#timer = 0;
  }

  #schedule(): void {
    this.#timer = 0;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      const begunMs = performance.now();
      this.#draw();
      // What runs next comes after the layout and the painting of this frame.
      window.setTimeout(() => (this.#nextMs = nextMs(begunMs, performance.now())), 0);
    });
  }
}

/** When the next frame may begin, after one from `begunMs` to `endedMs`. */
export function nextMs(begunMs: number, endedMs: number): number {
  return begunMs + Math.min((endedMs - begunMs) / SHARE, MAX_WAIT_MS);
}
