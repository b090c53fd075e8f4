/** Who is signed in. The session itself is a cookie that no script can read. */
import { ApiError, get, send, whenSignedOut } from './api/client';
import type { SessionAnswer, Who } from './api/types';

export type Credentials = { key: string } | { user: string; password: string; project: string };

class Session {
  /** `asking` until the collector has said it, `away` while it does not. */
  state = $state<'asking' | 'away' | 'out' | 'in'>('asking');
  who = $state.raw<Who | null>(null);
  /** Whether nobody is asked who he is: there is nothing to sign out of. */
  isOpen = $state(false);
  hasIdentity = $state(false);
  trouble = $state('');
  /** Whether there is no answer at all while it is `away`. */
  isSilent = $state(false);

  constructor() {
    whenSignedOut(() => {
      if (this.state === 'in') this.state = 'out';
    });
  }

  may(action: string): boolean {
    return this.who?.may.includes(action) ?? false;
  }

  async ask(): Promise<void> {
    try {
      this.#take((await get('/session', {})) as SessionAnswer);
    } catch (error) {
      this.trouble = error instanceof Error ? error.message : String(error);
      this.isSilent = error instanceof ApiError && error.status === 0;
      this.state = error instanceof ApiError && [401, 403].includes(error.status) ? 'out' : 'away';
    }
  }

  /** `ApiError` where the collector does not let these in. */
  async signIn(credentials: Credentials): Promise<void> {
    this.#take((await send('POST', '/session', credentials)) as SessionAnswer);
  }

  async signOut(): Promise<void> {
    await send('DELETE', '/session');
    this.who = null;
    this.state = 'out';
  }

  #take(answer: SessionAnswer): void {
    this.who = answer.signed_in;
    this.isOpen = answer.is_open;
    this.hasIdentity = answer.has_identity;
    this.state = answer.signed_in === null ? 'out' : 'in';
  }
}

export const session = new Session();
