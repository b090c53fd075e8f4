/** One question of a page: its answer, or why there is none; what was asked before is not waited for any more. */
import { ApiError, isAbort } from './client';

export class Asking<Answer> {
  answer = $state.raw<Answer | null>(null);
  error = $state.raw<ApiError | null>(null);
  isAsking = $state(false);
  #running = new AbortController();

  /** The answer of before stays until there is another. */
  async ask(call: (signal: AbortSignal) => Promise<Answer>): Promise<void> {
    this.close();
    this.#running = new AbortController();
    const { signal } = this.#running;
    this.isAsking = true;
    try {
      const answer = await call(signal);
      if (signal.aborted) return;
      this.answer = answer;
      this.error = null;
    } catch (error) {
      if (isAbort(error) || signal.aborted) return;
      this.answer = null;
      this.error = error instanceof ApiError ? error : new ApiError(0, 'page', String(error));
    } finally {
      if (!signal.aborted) this.isAsking = false;
    }
  }

  /** As if nothing had been asked. */
  clear(): void {
    this.close();
    this.answer = this.error = null;
    this.isAsking = false;
  }

  close(): void {
    this.#running.abort();
  }
}
