import type { Flaw } from './policy.js';
import type { Store } from './store/store.js';

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
  /** Keeps entries over restarts, and says whose turn it is. */
  readonly store: Pick<Store, 'grant' | 'commit' | 'put' | 'isBehind' | 'catchUp'>;
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
  /** Another hub had the lease; how long it was waited for. */
  | { readonly event: 'waited'; readonly ms: number }
  /** The lease was gone before what it was for was done; somebody else may have asked meanwhile. */
  | { readonly event: 'overtaken' }
  | { readonly event: 'unsaved'; readonly error: unknown }
  | { readonly event: 'saved-again' }
);
