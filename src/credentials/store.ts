import type { Credential } from './policy.js';

/** All that is kept of one credential. */
export interface Entry {
  readonly credential?: Credential;
  /**
   * When calls began whose outcome nobody knows, earliest first: each may have ended the credential early, or begun the
   * life of the next. Written before the call, taken back with its answer; what is found here at a start is a call that
   * a crash cut off.
   */
  readonly intents?: readonly number[];
  /** When a ration was spent, oldest first. */
  readonly spent?: readonly number[];
}

/**
 * Keeps entries over restarts. Names are made of configured apps and known kinds only, so a store does not grow.
 *
 * What may be relied on: when `save` is done, the entry is on disk, and a crash at any instant leaves the entry before
 * or the new one, never half of either. Two saves of one name take effect in the order of the calls. One store has one
 * holder: a second one that opens it is refused.
 */
export abstract class Store {
  /** Every entry, for the start. */
  abstract load(): Promise<Map<string, Entry>>;
  /** @throws Error when the entry could not be written; the one before is still there. */
  abstract save(name: string, entry: Entry): Promise<void>;
  abstract remove(name: string): Promise<void>;
  /** Waits for what is being written, and lets another holder in. */
  abstract close(): Promise<void>;
}

/** Forgets everything at the end of the process: for tests, and as the plainest statement of what a store does. */
export class MemoryStore implements Store {
  private readonly entries = new Map<string, Entry>();

  load(): Promise<Map<string, Entry>> {
    return Promise.resolve(new Map(this.entries));
  }

  save(name: string, entry: Entry): Promise<void> {
    this.entries.set(name, entry);
    return Promise.resolve();
  }

  remove(name: string): Promise<void> {
    this.entries.delete(name);
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** The entry with its instants moved, from one clock's time to another's. */
export function shifted({ credential, intents, spent }: Entry, ms: number): Entry {
  const shift = (instants: readonly number[]): number[] => instants.map((instant) => instant + ms);
  return {
    ...(credential && {
      credential: {
        ...credential,
        issuedAt: credential.issuedAt + ms,
        expiresAt: credential.expiresAt + ms,
        ...(credential.births && { births: shift(credential.births) }),
      },
    }),
    ...(intents && { intents: shift(intents) }),
    ...(spent && { spent: shift(spent) }),
  };
}
