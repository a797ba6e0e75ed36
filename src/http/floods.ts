import type { KeyRing } from '../auth/key-ring.js';
import { Recent } from '../auth/recent.js';
import { type Showing, showingBy } from '../auth/showing.js';
import { Sightings } from '../auth/sightings.js';
import type { VerifiedTokens } from '../auth/verified-tokens.js';
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
/** Networks, and names that they named besides: some megabytes each, since {@link Recent} may hold twice as many. */
const MOST_SOURCES = 10_000;

/** What tells friend from foe. */
export interface FloodSurroundings {
  readonly ring: Pick<KeyRing, 'knows'>;
  readonly verified: Pick<VerifiedTokens, 'wasGood' | 'forget'>;
  /** Epoch milliseconds. */
  now(): number;
  /** Told of the network that a flood comes from, once a minute at most. */
  tell(network: string): void;
}

/** How a network stands: when its budgets of failures are full again. */
interface Failures {
  inAll: number;
  /** Whom it named first, as most that fail name one client or nobody. */
  readonly named: string;
  ofNamed: number;
}

/**
 * Sheds floods of bad tokens by what they look like from outside, before anybody verifies them. As long as a source has
 * few failures nothing is shed; beyond that only what was not good before, so that a flood does not shut out those who
 * share its address. See docs/decisions/0014-floods.md.
 */
export class Floods {
  private readonly failures = new Recent<Failures>(MOST_SOURCES);
  /** When the budgets for whom networks named besides are full again. */
  private readonly ofOthers = new Recent<number>(MOST_SOURCES);
  private readonly failed = new Sightings();
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
    const failures = this.failures.get(network);
    // Nobody there has failed: that is so nearly always.
    if (!failures) return false;
    const showing = showingBy(connection, shown);
    if (this.surroundings.verified.wasGood(showing.digest)) return false;
    const now = this.surroundings.now();
    // What is sure to fail leaves half of the budget to others.
    const share = this.failed.lastOf(showing.digest) > now - CERTAIN_MS ? 0.5 : 1;
    const ofName = this.ofName(failures, network, this.namedIn(showing));
    if (covers(FAILURES_IN_ALL, share, failures.inAll, now) && covers(FAILURES, share, ofName, now)) return false;
    this.sources.tell(network);
    return true;
  }

  /** Remembers that this was no token of a client. Takes what {@link isShed} takes. */
  fail(network: string, shown: string, connection: object): void {
    const now = this.surroundings.now();
    const showing = showingBy(connection, shown);
    this.surroundings.verified.forget(showing.digest);
    this.failed.note(showing.digest, now);
    const named = this.namedIn(showing);
    const known = this.failures.get(network);
    const failures = known ?? { inAll: 0, named, ofNamed: 0 };
    if (!known) this.failures.set(network, failures);
    failures.inAll = countedIn(FAILURES_IN_ALL, failures.inAll, now);
    const ofName = countedIn(FAILURES, this.ofName(failures, network, named), now);
    if (named === failures.named) failures.ofNamed = ofName;
    else this.ofOthers.set(`${network} ${named}`, ofName);
  }

  /** Whom a token names that the hub knows. A flood that names nobody has a budget apart from those who name a client. */
  private namedIn({ seemingKid: kid }: Showing): string {
    return kid !== undefined && this.surroundings.ring.knows(kid) ? kid : '';
  }

  /** When the budget of a network for those who name somebody is full again. */
  private ofName(failures: Failures, network: string, named: string): number {
    return named === failures.named ? failures.ofNamed : (this.ofOthers.get(`${network} ${named}`) ?? 0);
  }
}

/** Whether a budget, or a share of it, covers one more failure. */
function covers({ burst, everyMs }: BudgetLimits, share: number, fullAgainAt: number, now: number): boolean {
  return coveredFrom(fullAgainAt, { burst: burst * share, everyMs }, now) <= now;
}

/** When a budget is full again after one more failure; what was on its way when it ran out is not counted on top. */
function countedIn(limits: BudgetLimits, fullAgainAt: number, now: number): number {
  return covers(limits, 1, fullAgainAt, now) ? takeFrom(fullAgainAt, limits, now) : fullAgainAt;
}
