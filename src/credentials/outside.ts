import type { Flaw } from './policy.js';
import type { Entry } from './store.js';

/** Something that wants to be woken at some instant. */
export interface Sleeper {
  wake(): Promise<void>;
}

/** What a source needs from the world, so that tests can be the world. */
export interface Outside {
  /** Epoch milliseconds; never jumps while the process runs. */
  now(): number;
  /** From 0 to 1. */
  random(): number;
  /** Ends after so many milliseconds, or as soon as the signal says so. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Keeps an entry over restarts; rejects when it could not be written. */
  save(name: string, entry: Entry): Promise<void>;
  /** Told of everything that happens to a credential; never of a value. */
  tell(event: SourceEvent): void;
  /** Told when something wants to be woken next; `undefined` for not at all. */
  wake(sleeper: Sleeper, at: number | undefined): void;
}

/** What happened to a credential. `name` is the name of its entry in the store. */
export type SourceEvent = { readonly name: string } & (
  | {
      /** `unchanged`: WeChat gave the value that we knew, whose life does not get longer by that. */
      readonly event: 'minted' | 'unchanged';
      readonly flaw: Flaw;
      readonly version: number;
      readonly seconds: number;
    }
  | {
      readonly event: 'failed';
      readonly flaw: Flaw;
      readonly error: unknown;
      readonly retryAt: number;
      readonly usable: boolean;
    }
  | { readonly event: 'refused-by-wechat'; readonly version: number }
  | { readonly event: 'unsaved'; readonly error: unknown }
  | { readonly event: 'saved-again' }
);
