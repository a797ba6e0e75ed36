import { Recent } from '../auth/recent.js';
import { type BudgetLimits, coveredFrom, takeFrom } from '../credentials/allowance.js';
import { TooManyRequests } from '../http/client-budgets.js';

/** More users than that log in nowhere behind one address; WeChat takes more from one. */
const CALLS: BudgetLimits = { burst: 1000, everyMs: 10 };
const MOST_NETWORKS = 10_000;

/**
 * Bounds what is called with users' own tokens. Nobody has to show anything of the hub's for that, so each network has a
 * budget: nobody is to use up by the hub what WeChat takes from one address.
 */
export class Passersby {
  /** By network, when its budget is full again. */
  private readonly fullAgainAt = new Recent<number>(MOST_NETWORKS);

  /** @param now epoch milliseconds. */
  constructor(private readonly now: () => number) {}

  /** @throws TooManyRequests when the network has used up its budget. */
  take(network: string): void {
    const [fullAgainAt, now] = [this.fullAgainAt.get(network) ?? 0, this.now()];
    const allowedAt = coveredFrom(fullAgainAt, CALLS, now);
    if (allowedAt > now) throw new TooManyRequests(allowedAt);
    this.fullAgainAt.set(network, takeFrom(fullAgainAt, CALLS, now));
  }
}
