import type { Account, Minted, Need, Recipe } from '../wechat/platforms/platform.js';
import type { Dialect } from '../wechat/wechat.error.js';
import type { Flaw } from './policy.js';
import type { Store } from './store/store.js';

/** A credential that wants to be renewed at some instant, or an app with several. Instants are epoch milliseconds. */
export interface Renewed {
  wake(): Promise<void>;
  /** When it wants to be woken, or the first of several; `undefined` for not at all. */
  readonly wakeAt: number | undefined;
}

/** An app that wants to be renewed at some instant, one credential after another. */
export interface Renewable extends Renewed {
  /** Which host of WeChat it asks. */
  readonly dialect: Dialect;
  /** When it will be too late for the most urgent of those that are due. */
  readonly deadline: number;
}

/** What credentials and apps need from the world, so that tests can be the world. */
export interface Outside {
  /** Epoch milliseconds; never jumps while the process runs. */
  now(): number;
  /** What the log and the audit call this hub, among all that share the store. */
  readonly replica: string;
  /** From 0 to 1. */
  random(): number;
  /** Ends after so many milliseconds, or as soon as the signal says so. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Keeps entries over restarts, and says whose turn it is. */
  readonly store: Pick<Store, 'grant' | 'commit' | 'put' | 'isBehind' | 'catchUp'>;
}

/** What an app is to its credentials. They have no names of their own, and no hands: there may be a hundred thousand of them. */
export interface Host {
  /** Whose they are, as it is configured: another object once that was changed. */
  readonly account: Account;
  /** Since when this hub has the app, epoch milliseconds. */
  readonly startedAt: number;
  /** Whether it begins nothing new. */
  readonly isClosed: boolean;
  /** Under which name the store keeps the credential of a kind. */
  nameOf(kind: string): string;
  /** Asks WeChat for a value. */
  mint(recipe: Recipe, need: Need): Promise<Minted>;
  /** Told of everything that happens to the credential of a kind; never of a value. */
  tell(kind: string, event: SourceEvent): void;
  /** Told that a credential may want to be woken at another time than before. */
  plan(credential: Renewed): void;
}

/** What happened to a credential. */
export type SourceEvent =
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
  /** Another hub has met something that this one did not know of; `by` is its replica, if it has said so. */
  | {
      readonly event: 'failure-heard';
      readonly by: string | undefined;
      readonly error: unknown;
      readonly retryAt: number;
      readonly usable: boolean;
    }
  /** What was in the way is over, by another hub's doing. */
  | { readonly event: 'failure-over' }
  | { readonly event: 'refused-by-wechat'; readonly version: number }
  /** Another hub had the lease: how long it was waited for, and whether it brought nothing. */
  | { readonly event: 'waited'; readonly ms: number; readonly inVain: boolean }
  /** The lease was gone before what it was for was done; somebody else may have asked meanwhile. */
  | { readonly event: 'overtaken' }
  | { readonly event: 'unsaved'; readonly error: unknown }
  | { readonly event: 'saved-again' };

/** Under which circumstances a client reported a token. */
export interface Circumstances {
  readonly client: string;
  readonly requestId: string;
  /** What the client says that WeChat said. */
  readonly errcode?: number;
}

/** What happened to an app, named as in the configuration. */
export type AppEvent = { readonly app: string } & (
  | (SourceEvent & { readonly kind: string })
  /** WeChat was asked, at this path of its API. */
  | { readonly event: 'asked-wechat'; readonly api: string; readonly error?: unknown }
  | ({ readonly event: 'reported'; readonly verdict: Verdict } & Circumstances)
);

/** What became of a report: it was old news, WeChat accepts the value after all, it was replaced, or WeChat did not say. */
export type Verdict = 'superseded' | 'alive' | 'replaced' | 'undecided';
