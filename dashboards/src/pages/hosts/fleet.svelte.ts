/** The fleet, asked for again and again while somebody looks at it. */
import { ApiError, isAbort } from '../../lib/api/client';
import { hosts } from '../../lib/api/questions';
import type { HostsAnswer } from '../../lib/api/types';
import { fleetOf, type Host } from './fleet';

export const REFRESH_MS = 15_000;
/** A day of lines is more to read, and only says who is silent for longer than an hour. */
const DAY_REFRESH_MS = 300_000;
/** Where it could not be had. */
const DAY_RETRY_MS = 60_000;

export class Fleet {
  hosts = $state.raw<readonly Host[] | null>(null);
  /** The age of the oldest line that the collector has not stored. */
  lagS = $state(0);
  isPartial = $state(false);
  /** Whether hosts are known that are silent for longer than an hour. */
  isWhole = $state(false);
  at = $state.raw<Date | null>(null);
  trouble = $state('');
  #day: HostsAnswer | null = null;
  #hour: HostsAnswer | null = null;
  #dayDueMs = -Infinity;
  #hourMs = -Infinity;
  #timer = 0;
  #running: AbortController | null = null;
  readonly #look = (): void => this.#refreshIfDue();

  start(): void {
    document.addEventListener('visibilitychange', this.#look);
    this.#timer = window.setInterval(this.#look, 1000);
    this.refresh();
  }

  stop(): void {
    document.removeEventListener('visibilitychange', this.#look);
    clearInterval(this.#timer);
    this.#running?.abort();
  }

  /** Ask now, unless that is being done. */
  refresh(): void {
    if (this.#running !== null) return;
    this.#running = new AbortController();
    void this.#ask(this.#running.signal).finally(() => (this.#running = null));
  }

  #refreshIfDue(): void {
    if (document.visibilityState === 'visible' && performance.now() - this.#hourMs >= REFRESH_MS) this.refresh();
  }

  async #ask(signal: AbortSignal): Promise<void> {
    this.#hourMs = performance.now();
    try {
      this.#hour = await hosts('1h', signal);
      this.#show();
      if (performance.now() >= this.#dayDueMs) {
        this.#dayDueMs = performance.now() + DAY_RETRY_MS;
        this.#day = await hosts('24h', signal);
        this.#dayDueMs = performance.now() + DAY_REFRESH_MS;
        this.isWhole = true;
        this.#show();
      }
      this.trouble = '';
    } catch (error) {
      if (!isAbort(error)) this.trouble = error instanceof ApiError ? error.message : String(error);
    }
  }

  #show(): void {
    if (this.#hour === null) return;
    this.hosts = fleetOf(this.#day, this.#hour, Date.now());
    this.lagS = this.#hour.lag_s;
    this.isPartial = this.#hour.is_partial || (this.#day?.is_partial ?? false);
    this.at = new Date();
  }
}
