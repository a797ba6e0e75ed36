import type { ClientKey } from '../config/client-key.js';

/** The keys of an issuer cannot be had at the moment. */
export class KeySetUnavailable extends Error {}

/** After this the keys are fetched anew while those at hand are in use. */
export const RENEW_AFTER_MS = 5 * 60_000;
/** After this nobody was let in for long, and a key may have been withdrawn meanwhile: who comes first waits. */
export const OLD_AFTER_MS = 60 * 60_000;
/** So long made-up kids cost the issuer nothing, and a key that it has just begun to sign with is not known. */
export const COOL_DOWN_MS = 30_000;
/** How soon an issuer that failed is asked again, while there is no key of it at all. */
export const RETRY_AFTER_MS = 5000;

/** What operators should know of keys. */
export interface AuthEvent {
  readonly event: 'keys-unavailable';
  readonly issuer: string;
  readonly reason: string;
  /** Whether older ones are used on. */
  readonly keepsOlder: boolean;
}

/** How a key set stands. */
export interface KeySetStatus {
  /** How many keys are at hand. */
  readonly keys: number;
  /** Why newer ones could not be had when somebody wanted them, and for how many seconds that has been so. */
  readonly failure?: { readonly reason: string; readonly seconds: number };
}

/** How a key set learns of the world. */
export interface KeySetSurroundings {
  /** Gets the keys by their kid; whatever it throws leaves those at hand in force. */
  readonly fetch: () => Promise<ReadonlyMap<string, ClientKey>>;
  /** Milliseconds, of a clock that does not jump. */
  readonly now: () => number;
  /** Hears why the keys could not be had, and whether older ones are used on. */
  readonly onFailure: (reason: string, keepsOlder: boolean) => void;
}

/**
 * The public keys of an issuer: fetched when the first is wanted, by one call however many want them, and kept as long
 * as the issuer has no newer ones to give.
 */
export class KeySet {
  private keys: ReadonlyMap<string, ClientKey> | undefined;
  private fetchedAt = -Infinity;
  private mayFetchAt = -Infinity;
  private failure: { readonly reason: string; readonly since: number } | undefined;
  private wantedAt = -Infinity;
  private fetching: Promise<void> | undefined;

  constructor(private readonly surroundings: KeySetSurroundings) {}

  /**
   * The key of this kid, if the issuer has one.
   * @throws KeySetUnavailable when the keys were never to be had.
   */
  async find(kid: string): Promise<ClientKey | undefined> {
    this.wantedAt = this.surroundings.now();
    const age = this.wantedAt - this.fetchedAt;
    if (!this.keys?.has(kid) || age > RENEW_AFTER_MS) {
      const renewed = this.renew();
      const mayBeWithdrawn = age > OLD_AFTER_MS && this.failure === undefined;
      if (!this.keys?.has(kid) || mayBeWithdrawn) await renewed;
    }
    if (!this.keys) throw new KeySetUnavailable(this.failure?.reason);
    return this.keys.get(kid);
  }

  /** The key of this kid, if it is there, and so new that the issuer need not be asked. */
  atHand(kid: string): ClientKey | undefined {
    return this.surroundings.now() - this.fetchedAt > RENEW_AFTER_MS ? undefined : this.keys?.get(kid);
  }

  /** How it stands; nothing as long as nobody has come to know, and when nobody has come for an hour. */
  get status(): KeySetStatus | undefined {
    const { keys, failure, surroundings } = this;
    const now = surroundings.now();
    if (!(keys ?? failure) || now - this.wantedAt > OLD_AFTER_MS) return undefined;
    return {
      keys: keys?.size ?? 0,
      ...(failure && { failure: { reason: failure.reason, seconds: Math.round((now - failure.since) / 1000) } }),
    };
  }

  private async renew(): Promise<void> {
    if (!this.fetching && this.surroundings.now() >= this.mayFetchAt) {
      this.fetching = this.fetch().finally(() => (this.fetching = undefined));
    }
    await this.fetching;
  }

  private async fetch(): Promise<void> {
    const { fetch, now, onFailure } = this.surroundings;
    try {
      this.keys = await fetch();
      this.fetchedAt = now();
      this.failure = undefined;
      this.mayFetchAt = now() + COOL_DOWN_MS;
    } catch (error) {
      const reason = error instanceof KeySetUnavailable ? error.message : 'unknown error';
      this.failure = { reason, since: this.failure?.since ?? now() };
      this.mayFetchAt = now() + (this.keys ? COOL_DOWN_MS : RETRY_AFTER_MS);
      onFailure(reason, this.keys !== undefined);
    }
  }
}
