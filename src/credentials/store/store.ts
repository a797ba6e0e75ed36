import { LATE_ARRIVAL_MS } from '../../wechat/wechat.error.js';
import type { Failure } from '../failure.js';
import type { Credential } from '../policy.js';

/** All that is kept under one name: of a credential, or of a budget. */
export interface Entry {
  readonly credential?: Credential;
  /**
   * When calls began whose outcome nobody knows, earliest first: each may have ended the credential early, or begun the
   * life of the next. Written before the call, taken back with its answer; one that stays was cut off by a crash.
   */
  readonly intents?: readonly number[];
  /** When a ration was spent, oldest first. */
  readonly spent?: readonly number[];
  /** Set when WeChat gave the same value again: when it pays to ask once more. */
  readonly askAgainAt?: number;
  /** What went wrong when WeChat was asked last, so that one chain of tries serves all hubs. */
  readonly failure?: Failure;
  /** Of a budget: when it is full again. */
  readonly fullAgainAt?: number;
}

/** An entry as the store has it. The revision grows with every write, whoever writes; 0 is for what is not there. */
export interface Stored {
  readonly entry: Entry;
  readonly revision: number;
}

/** What a name stands for that nothing was ever written under. */
export const NOTHING_STORED: Stored = { entry: {}, revision: 0 };

/** The sole right, among all hubs that share the store, to ask WeChat for one credential. */
export interface Lease {
  readonly name: string;
  /** Names the turn that it was given for. */
  readonly owner: string;
  readonly revision: number;
  /** When it ends by itself, epoch milliseconds of the steady clock, and rather too early than too late. */
  readonly until: number;
}

/** What became of a write. */
export interface Written {
  /** Whether the entry is the present one now; if not, somebody else was first. */
  readonly kept: boolean;
  /** The present one. */
  readonly stored: Stored;
  /** Set when somebody else has the lease: for how long yet, unless it ends before. */
  readonly heldForMs?: number;
  /** Set when the entry is the present one, but would be lost with this process. */
  readonly fault?: Error;
}

/** What became of asking for a lease: it is there if the write was kept. */
export interface Granted extends Written {
  readonly lease?: Lease;
}

/** Is told what other hubs write. */
export interface Follower {
  /** Whether anybody here wants to hear of a name: others may write of whatever they like. */
  knows(name: string): boolean;
  hear(name: string, stored: Stored): void;
  /**
   * The store may have lost some of what it had, or changed more than can be told one by one: whoever remembers something
   * should look, and write again what is missing. Ends when everybody has looked.
   * @throws StoreUnreachable
   */
  mourn(): Promise<void>;
}

/** Whether a shared store can be reached. */
export interface StoreStatus {
  readonly reachable: boolean;
  /** Since when it is so, epoch milliseconds of the steady clock. */
  readonly since: number;
  /** Why it cannot be. */
  readonly reason?: string;
  /** What is wrong with it though it can be reached. */
  readonly faults: ReadonlySet<StoreFault>;
}

/** Why a server takes no writes, in the first word of its answers. */
export const WRITE_FAULTS = ['OOM', 'READONLY', 'MISCONF', 'NOREPLICAS'] as const;

/** What is wrong with a shared store that answers: it takes no writes, or may throw away what it has. */
export type StoreFault = (typeof WRITE_FAULTS)[number] | 'eviction';

/** What happened to a shared store. */
export type StoreEvent =
  | { readonly event: 'store-away'; readonly reason: string }
  | { readonly event: 'store-back'; readonly seconds: number }
  | { readonly event: 'store-fault' | 'store-fault-over'; readonly fault: StoreFault }
  /** It may have less than it had: another server answers, or the same one after a restart. */
  | { readonly event: 'store-changed' }
  | { readonly event: 'store-clock-moved'; readonly seconds: number }
  /** Others than the user of the hub could look into its folder, or read a file in it, and still can unless `mended`. */
  | { readonly event: 'store-exposed'; readonly what: string; readonly mended: boolean }
  /** An entry was changed by somebody who does not know the key; it is passed over. */
  | { readonly event: 'store-damaged'; readonly name: string };

/**
 * How long a lease lasts: a little longer than a lost call can still arrive. So a call that begins at once has arrived
 * before the next holder's, and one that does not begin at once must not begin at all.
 */
export const LEASE_MS = LATE_ARRIVAL_MS + 1000;

/**
 * Keeps entries over restarts, and where several hubs share it, makes them one: for each credential one of them at a
 * time has the lease to ask WeChat, and what one learns the others hear.
 *
 * What may be relied on:
 * - When a write is done, the entry outlives this process, unless `fault` says otherwise; a crash at any instant leaves
 *   the entry before or the new one, never half of either.
 * - Of those who write on the ground of the same revision one is first; the others are given what it wrote.
 * - A lease ends by itself. What its holder writes later is kept only if nobody else had it since; if somebody had, a
 *   call that may have come in between is noted among the intents.
 * - Only a store that is shared can be out of reach. Then nothing is known of what became of a write; all of them may be
 *   tried again.
 *
 * Instants in entries are of this hub's steady clock; how they are written down is the store's affair. Names are made of
 * configured apps and known kinds only, so a store does not grow.
 */
export abstract class Store {
  /** What is there under these names; a name without anything is left out. @throws StoreUnreachable */
  abstract load(names: readonly string[]): Promise<ReadonlyMap<string, Stored>>;

  /**
   * Asks for a lease on the ground of what was seen, or with a lease for a longer one.
   * @param entry is written along, so that it is known before WeChat is asked; absent, nothing is written.
   * @throws StoreUnreachable
   */
  abstract grant(name: string, seen: number, entry?: Entry, lease?: Lease): Promise<Granted>;

  /**
   * Writes what came of a lease, and ends it.
   * @param calledAt when WeChat was asked, where another one may have asked at the same time should the lease be lost.
   * @throws StoreUnreachable
   */
  abstract commit(lease: Lease, entry: Entry, calledAt?: number): Promise<Written>;

  /** Writes without a lease, if nobody has it, on the ground of what was seen. @throws StoreUnreachable */
  abstract put(name: string, seen: number, entry: Entry): Promise<Written>;

  /** Forgets what is of no use any more, under names that nobody here knows. */
  abstract forgetBut(isKnown: (name: string) => boolean): Promise<void>;

  /** Ends what is being written, and lets go. */
  abstract close(): Promise<void>;

  /** Whether the store can be reached; `undefined` for one that cannot be out of reach. */
  get status(): StoreStatus | undefined {
    return undefined;
  }

  /** Lets somebody hear what other hubs write from now on. A store of one hub has nobody to hear of. */
  follow(_follower: Follower): void {
    // Nobody else writes here.
  }

  /** Whether others may have written much that was not heard: this process was stopped for a while. */
  isBehind(): boolean {
    return false;
  }

  /** Called by the clockwork twice a second: looks, now and then, whether anything was not heard. Never rejects. */
  catchUp(): Promise<void> {
    return Promise.resolve();
  }

  /** Writes every entry anew, for when the wall clock was moved and instants would read differently. */
  restate(): Promise<void> {
    return Promise.resolve();
  }
}

/** Refuses to open a store, and says what an operator can do about it. */
export class StoreRefused extends Error {}

/** The shared store does not answer: who has which lease, nobody knows. */
export class StoreUnreachable extends Error {
  /** @param reason a code or a few words, without anything of an address. */
  constructor(readonly reason: string) {
    super(`The shared store cannot be reached: ${reason}`);
    this.name = 'StoreUnreachable';
  }
}

/** The entry with its instants moved, from one clock's time to another's. */
export function shifted(entry: Entry, ms: number): Entry {
  const shift = (instants: readonly number[]): number[] => instants.map((instant) => instant + ms);
  const { credential, intents, spent, askAgainAt, failure, fullAgainAt } = entry;
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
    ...(askAgainAt !== undefined && { askAgainAt: askAgainAt + ms }),
    ...(failure && { failure: { ...failure, at: failure.at + ms, retryAt: failure.retryAt + ms } }),
    ...(fullAgainAt !== undefined && { fullAgainAt: fullAgainAt + ms }),
  };
}

/** The entry with a call among its intents of which nobody knows what came of it. */
export function doubted(entry: Entry, doubt: number | undefined): Entry {
  if (doubt === undefined) return entry;
  return { ...entry, intents: [...(entry.intents ?? []), doubt].sort((a, b) => a - b) };
}
