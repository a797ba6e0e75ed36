import type { Given } from './hub-api.js';
import { HubError } from './hub-error.js';

/** A credential in hand; instants are milliseconds of the clock that its holder goes by. */
export interface Held extends Given {
  /** When it was asked for: from then on its seconds count. */
  readonly askedAt: number;
  /** From when on it may be dead. */
  readonly endsAt: number;
}

/** Asks the hub for a credential; for nothing, if the `held` version is the newest still. */
export type Ask = (held?: number) => Promise<Given | undefined>;

/** Seconds between tries in vain, as the hub itself has it with WeChat. */
const PAUSES_S = [1, 2, 4, 8, 15, 30] as const;
/** Pauses are up to so much longer, lest many clients of a hub come back at once. */
const JITTER = 0.25;
/** The hub may be mended long before the time that it told; to ask once in five minutes hurts nobody. */
const LONGEST_PAUSE_S = 300;

/**
 * One credential, held for as long as the hub said and no longer. Once a newer one is to be had, it is asked for while the
 * one in hand is given on; a failure takes nothing away. However many want it, the hub is asked by one at a time.
 */
export class HeldCredential {
  // Out of sight of whatever prints a client.
  #held: Held | undefined;
  private asking: Promise<Held> | undefined;
  private failure: HubError | undefined;
  private vain = 0;
  private due = 0;

  /** @param now milliseconds of a clock that does not jump. */
  constructor(
    private readonly ask: Ask,
    private readonly now: () => number,
  ) {}

  /** When the hub is to be asked next. */
  get dueAt(): number {
    return this.due;
  }

  /** The one in hand, while it lives. */
  get usable(): Held | undefined {
    return this.#held && this.now() < this.#held.endsAt ? this.#held : undefined;
  }

  /**
   * The one in hand, or one from the hub.
   * @throws HubError only when none is in hand that lives.
   */
  async get(): Promise<Held> {
    const held = this.usable;
    if (!held) return this.renew();
    // Nobody waits for it, and nobody misses it while the one in hand is good.
    if (this.now() >= this.due) this.renew().catch(() => undefined);
    return held;
  }

  /**
   * Asks the hub, unless it is being asked.
   * @throws HubError if that was in vain; also when it was a moment ago, and the time to try again has not come.
   */
  renew(): Promise<Held> {
    if (this.failure && this.now() < this.due) return Promise.reject(this.failure);
    this.asking ??= this.tryOnce().finally(() => (this.asking = undefined));
    return this.asking;
  }

  /** Takes what the hub gave, unless something newer is in hand. */
  take(given: Given, askedAt: number): Held {
    const { usable } = this;
    if (usable && usable.version > given.version) {
      this.pause();
      return usable;
    }
    this.#held = { ...given, askedAt, endsAt: askedAt + given.expiresIn * 1000 };
    this.due = askedAt + given.refreshAfter * 1000;
    this.failure = undefined;
    this.vain = 0;
    return this.#held;
  }

  private async tryOnce(): Promise<Held> {
    const askedAt = this.now();
    try {
      const given = await this.ask(this.usable?.version);
      if (given) this.take(given, askedAt);
      // There is nothing newer, though it was time: the hub has trouble of its own, which is no failure of ours.
      else this.pause();
      if (!this.usable) throw new HubError('What the hub gave was at its end when it came');
      this.failure = undefined;
      return this.usable;
    } catch (error) {
      this.failure = error as HubError;
      this.pause(this.failure.retryAfter);
      throw error;
    }
  }

  private pause(atLeast = 0): void {
    const step = PAUSES_S[Math.min(this.vain++, PAUSES_S.length - 1)] ?? 0;
    const seconds = Math.min(LONGEST_PAUSE_S, Math.max(step, atLeast)) * (1 + Math.random() * JITTER);
    this.due = this.now() + seconds * 1000;
  }
}
