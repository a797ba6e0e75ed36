import { kidAtAGlance } from '../auth/bearer.js';
import type { KeyRing } from '../auth/key-ring.js';
import { Recent } from '../auth/recent.js';
import { digestBy, type VerifiedTokens } from '../auth/verified-tokens.js';
import { type BudgetLimits, coveredFrom, takeFrom } from '../credentials/allowance.js';
import { Seldom } from './seldom.js';

/**
 * Failures of authentication that are looked at, of those who name nobody and of those who name one client: so many at
 * once cost a second of a core, and 200 a second some percent of one.
 */
const FAILURES: BudgetLimits = { burst: 5000, everyMs: 5 };
/** The same of one network, whomever it names: whoever knows many names must not have as many budgets. */
const FAILURES_IN_ALL: BudgetLimits = { burst: 4 * FAILURES.burst, everyMs: FAILURES.everyMs / 4 };
/** For so long it is taken for certain that what failed fails again: the configuration and the time go on. */
const CERTAIN_MS = 1000;
/** Each is a digest and a number: six megabytes at most, since {@link Recent} may hold twice as many. */
const MOST_SOURCES = 10_000;
const MOST_TOKENS = 10_000;

/** What tells friend from foe. */
export interface FloodSurroundings {
  readonly ring: Pick<KeyRing, 'knows'>;
  readonly verified: Pick<VerifiedTokens, 'wasGood' | 'forget'>;
  /** Epoch milliseconds. */
  now(): number;
  /** Told of the network that a flood comes from, once a minute at most. */
  tell(network: string): void;
}

/**
 * Sheds floods of bad tokens by what they look like from outside, before anybody verifies them. As long as a source has
 * few failures nothing is shed; beyond that only what was not good before, so that a flood does not shut out those who
 * share its address. See docs/decisions/0014-floods.md.
 */
export class Floods {
  /** By source, when its budget of failures is full again. */
  private readonly failures = new Recent<number>(MOST_SOURCES);
  /** What was seen to fail, and until when that is certain. */
  private readonly failed = new Recent<number>(MOST_TOKENS);
  private readonly sources: Seldom;

  constructor(private readonly surroundings: FloodSurroundings) {
    this.sources = new Seldom(
      () => surroundings.now(),
      (network) => surroundings.tell(network),
    );
  }

  /** Whether anybody has failed lately, anywhere: until then there is nothing to look at. */
  get areThere(): boolean {
    return this.failures.size > 0;
  }

  /**
   * Whether a request is refused without a look.
   * @param network where it comes from.
   * @param shown the Authorization header as it came; empty if there was none.
   * @param connection by which it came.
   */
  isShed(network: string, shown: string, connection: object): boolean {
    // Nobody there has failed: that is so nearly always.
    if (this.failures.get(network) === undefined) return false;
    const digest = digestBy(connection, shown);
    if (this.surroundings.verified.wasGood(digest)) return false;
    const now = this.surroundings.now();
    const budgets = this.budgetsOf(network, shown);
    const isRepeated = (this.failed.get(digest) ?? 0) > now;
    // What is sure to fail leaves half of the budget to others.
    const isCovered = budgets.every(([source, { burst, everyMs }]) =>
      this.isCovered(source, { burst: isRepeated ? burst / 2 : burst, everyMs }, now),
    );
    if (isCovered) return false;
    this.sources.tell(network);
    return true;
  }

  /** Remembers that this was no token of a client. Takes what {@link isShed} takes. */
  fail(network: string, shown: string, connection: object): void {
    const now = this.surroundings.now();
    const digest = digestBy(connection, shown);
    this.surroundings.verified.forget(digest);
    this.failed.set(digest, now + CERTAIN_MS);
    for (const [source, limits] of this.budgetsOf(network, shown)) {
      const fullAgainAt = this.failures.get(source) ?? 0;
      // What was on its way when the budget ran out is not counted on top.
      if (coveredFrom(fullAgainAt, limits, now) <= now) this.failures.set(source, takeFrom(fullAgainAt, limits, now));
    }
  }

  /** A flood that names nobody, or nobody who is known, has a budget apart from those who name a client. */
  private budgetsOf(network: string, shown: string): [source: string, limits: BudgetLimits][] {
    const kid = kidAtAGlance(shown);
    const named = kid !== undefined && this.surroundings.ring.knows(kid) ? kid : '';
    return [
      [network, FAILURES_IN_ALL],
      [`${network} ${named}`, FAILURES],
    ];
  }

  private isCovered(source: string, limits: BudgetLimits, now: number): boolean {
    return coveredFrom(this.failures.get(source) ?? 0, limits, now) <= now;
  }
}
