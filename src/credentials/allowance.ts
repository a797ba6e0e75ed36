import type { Ration } from '../wechat/platforms/platform.js';
import type { Outside } from './outside.js';
import { NOTHING_STORED, type Stored } from './store/store.js';

/** Refuses what a budget does not cover now. Nothing was changed. */
export class AllowanceSpent extends Error {
  /** @param retryAt epoch milliseconds from which it is covered again. */
  constructor(readonly retryAt: number) {
    super('The allowance for asking WeChat for a new value is used up for the moment.');
    this.name = 'AllowanceSpent';
  }
}

/** How many things may happen at once, and after how long one more. */
export interface BudgetLimits {
  readonly burst: number;
  readonly everyMs: number;
}

/** Lets a few things happen at once and then one at a time, among all hubs that share the store. */
export class Budget {
  private known: Stored = NOTHING_STORED;

  /** @param name of its entry in the store. */
  constructor(
    readonly name: string,
    private readonly limits: BudgetLimits,
    private readonly outside: Pick<Outside, 'now' | 'store'>,
  ) {}

  /** How many things may happen right now, as far as this hub has heard. */
  get left(): number {
    const { burst, everyMs } = this.limits;
    const missing = Math.ceil((this.fullAgainAt - this.outside.now()) / everyMs);
    return Math.max(0, burst - Math.max(0, missing));
  }

  /** The revision that this hub goes by. */
  get revision(): number {
    return this.known.revision;
  }

  /** Learns what the store has. */
  hear(stored: Stored): void {
    // What was spent stays spent, also when the store has forgotten it.
    const fullAgainAt = Math.max(stored.entry.fullAgainAt ?? 0, this.fullAgainAt);
    this.known = { entry: { fullAgainAt }, revision: stored.revision };
  }

  /** @throws AllowanceSpent when it is used up, StoreUnreachable when nobody can say. */
  async take(): Promise<void> {
    for (;;) {
      const fullAgainAt = takeFrom(this.fullAgainAt, this.limits, this.outside.now());
      const { kept, stored } = await this.outside.store.put(this.name, this.known.revision, { fullAgainAt });
      this.hear(stored);
      if (kept) return;
    }
  }

  private get fullAgainAt(): number {
    return this.known.entry.fullAgainAt ?? 0;
  }
}

/**
 * Takes one out of a budget, which is told by when it is full again.
 * @returns when it is full again after that.
 * @throws AllowanceSpent when it is used up.
 */
export function takeFrom(fullAgainAt: number, limits: BudgetLimits, now: number): number {
  const allowedAt = coveredFrom(fullAgainAt, limits, now);
  if (allowedAt > now) throw new AllowanceSpent(allowedAt);
  return Math.max(fullAgainAt, now) + limits.everyMs;
}

/** From when on a budget covers one more: an instant that has passed if it does now. */
export function coveredFrom(fullAgainAt: number, { burst, everyMs }: BudgetLimits, now: number): number {
  return Math.max(fullAgainAt, now) + everyMs - burst * everyMs;
}

/**
 * Adds one to what was spent of a ration, forgetting what no longer counts.
 * @param spent when it was spent before, oldest first, epoch milliseconds.
 * @throws AllowanceSpent when the ration does not allow it now.
 */
export function spend(spent: readonly number[], { times, withinMs, apartMs }: Ration, now: number): number[] {
  const counting = spent.filter((at) => at > now - withinMs);
  const oldest = counting.at(-times);
  const newest = counting.at(-1);
  const retryAt = Math.max(oldest === undefined ? 0 : oldest + withinMs, newest === undefined ? 0 : newest + apartMs);
  if (retryAt > now) throw new AllowanceSpent(retryAt);
  return [...counting, now];
}
