/** A live tail: lines as they arrive, through interruptions, as far as this page can hold them. */
import { ApiError, isAbort } from '../../lib/api/client';
import { tail } from '../../lib/api/questions';
import type { Row } from '../../lib/api/types';
import { EventReader, type Skipped, type Status, type TailEvent } from './events';
import { Lines } from './lines';
import { Pace } from './pace';
import { clockOffset, Rates } from './rates';

const HISTORY = 200;
const FIRST_WAIT_MS = 1000;
const MAX_WAIT_MS = 15_000;
/** The collector says something every 10 s. */
const SILENT_MS = 30_000;
/** Refusals that asking again does not change. */
const FINAL = [400, 401, 403, 404, 422];

export class Tail {
  rows = $state.raw<readonly Row[]>([]);
  /** Lines that have come and are not shown while `isHeld`. */
  waiting = $state(0);
  letGo = $state(0);
  state = $state<'connecting' | 'live' | 'away' | 'stopped'>('connecting');
  error = $state.raw<ApiError | null>(null);
  /** Why it is away. */
  trouble = $state('');
  /** Lines that were not sent, as many as are known. */
  missed = $state(0);
  /** Whether there are more of them, which nobody has counted. */
  hasUncounted = $state(false);
  skipped = $state.raw<Skipped | null>(null);
  status = $state.raw<Status | null>(null);
  counts = $state.raw<readonly number[]>([]);
  perSecond = $state(0);
  lagS = $state<number | null>(null);
  readonly #lines = new Lines();
  readonly #pace = new Pace(() => this.#draw());
  #rates = new Rates();
  #running = new AbortController();
  #timer = 0;
  #isHeld = false;
  #isLive = false;
  #lastRowId: number | null = null;
  #offsetMs = 0;
  #heardMs = 0;
  #tickedMs = 0;
  /** Before it is asked again, where it is away. */
  #waitMs = FIRST_WAIT_MS;

  /** Show what `q` wants from now on, and a few lines from before; what was shown goes. */
  start(q: string): void {
    this.stop();
    this.#lastRowId = null;
    this.#rates = new Rates();
    this.error = this.status = this.skipped = this.lagS = null;
    this.missed = this.perSecond = 0;
    this.hasUncounted = false;
    this.counts = [];
    this.clear();
    this.#running = new AbortController();
    this.#tickedMs = performance.now();
    this.#timer = window.setInterval(() => this.#tick(), 1000);
    void this.#follow(q, this.#running.signal);
  }

  stop(): void {
    this.#running.abort();
    this.#pace.stop();
    clearInterval(this.#timer);
  }

  /** Whether lines are to stay as they are for now. */
  hold(isHeld: boolean): void {
    this.#isHeld = isHeld;
    this.#pace.ask();
  }

  clear(): void {
    this.#lines.clear();
    this.#draw();
    this.rows = [];
  }

  async #follow(q: string, signal: AbortSignal): Promise<void> {
    this.#waitMs = FIRST_WAIT_MS;
    this.state = 'connecting';
    while (!isOver(signal)) {
      this.#isLive = false;
      try {
        await this.#read(q, signal);
        this.trouble ||= 'The collector has ended the connection.';
      } catch (error) {
        if (isOver(signal)) return;
        if (error instanceof ApiError && FINAL.includes(error.status)) {
          this.error = error;
          this.state = 'stopped';
          return;
        }
        this.trouble = isAbort(error) ? 'The collector has not said anything for a while.' : messageOf(error);
      }
      this.state = 'away';
      await pause(this.#waitMs, signal);
      this.#waitMs = Math.min(2 * this.#waitMs, MAX_WAIT_MS);
    }
  }

  /** Until the connection ends. */
  async #read(q: string, signal: AbortSignal): Promise<void> {
    const silence = new AbortController();
    const watch = window.setInterval(() => {
      if (performance.now() - this.#heardMs > SILENT_MS) silence.abort();
    }, 1000);
    this.#heardMs = performance.now();
    try {
      const begin = this.#lastRowId === null ? { n: HISTORY } : { after: this.#lastRowId };
      const answer = await tail(q, begin, AbortSignal.any([signal, silence.signal]));
      this.status = null; // it was of the connection before
      this.#offsetMs = clockOffset(answer.headers.get('Date'), Date.now());
      const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
      const events = new EventReader();
      for (let read = await reader?.read(); read?.value !== undefined; read = await reader?.read()) {
        if (isOver(signal)) return;
        this.#heardMs = performance.now();
        for (const event of events.take(read.value)) this.#take(event);
        this.#pace.ask();
      }
    } finally {
      clearInterval(watch);
    }
  }

  #take(event: TailEvent): void {
    switch (event.name) {
      case 'row':
        this.#lastRowId = event.row.row_id;
        this.#lines.add(event.row, event.size);
        if (this.#isLive) this.#rates.came(this.#lagOf(event.row));
        break;
      case 'live':
        if (this.#lastRowId !== null && event.rowId < this.#lastRowId) this.clear(); // another store, which counts anew
        this.#lastRowId = event.rowId;
        this.#isLive = true;
        this.#waitMs = FIRST_WAIT_MS;
        this.state = 'live';
        this.trouble = '';
        break;
      case 'idle':
        this.#lastRowId = event.rowId;
        break;
      case 'skipped':
        this.#lastRowId = event.skipped.last_row_id;
        if (event.skipped.lines === 0) break;
        this.skipped = event.skipped;
        if (event.skipped.lines === null) this.hasUncounted = true;
        else this.missed += event.skipped.lines;
        break;
      case 'status':
        this.status = event.status;
        break;
      case 'end':
        this.trouble = event.detail;
    }
  }

  #draw(): void {
    if (!this.#isHeld) this.#lines.show();
    this.rows = this.#lines.shown;
    this.waiting = this.#lines.waiting;
    this.letGo = this.#lines.letGo;
  }

  #tick(): void {
    const now = performance.now();
    this.#rates.tick((now - this.#tickedMs) / 1000);
    this.#tickedMs = now;
    this.counts = this.#rates.counts;
    this.perSecond = this.#rates.perSecond;
    this.lagS = this.#rates.lagS ?? this.lagS;
  }

  #lagOf(row: Row): number {
    return Math.max(0, Date.now() + this.#offsetMs - Date.parse(row.observed_timestamp)) / 1000;
  }
}

/** Asked anew: it changes while one waits. */
function isOver(signal: AbortSignal): boolean {
  return signal.aborted;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = window.setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
