import type { Ration } from '../wechat/platforms/platform.js';

/** Refuses what a budget does not cover now. Nothing was changed. */
export class AllowanceSpent extends Error {
  /** @param retryAt epoch milliseconds from which it is covered again. */
  constructor(readonly retryAt: number) {
    super('The allowance for asking WeChat for a new value is used up for the moment.');
    this.name = 'AllowanceSpent';
  }
}

/** Lets a few things happen at once and then one at a time: the budget of an app for rotations. */
export class Bucket {
  private left: number;
  private filledAt: number;

  constructor(
    private readonly burst: number,
    private readonly everyMs: number,
    now: number,
  ) {
    this.left = burst;
    this.filledAt = now;
  }

  /** @throws AllowanceSpent when the bucket is empty. */
  take(now: number): void {
    const refilled = Math.floor((now - this.filledAt) / this.everyMs);
    this.left = Math.min(this.burst, this.left + refilled);
    this.filledAt = this.left === this.burst ? now : this.filledAt + refilled * this.everyMs;
    if (this.left === 0) throw new AllowanceSpent(this.filledAt + this.everyMs);
    this.left -= 1;
  }
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
