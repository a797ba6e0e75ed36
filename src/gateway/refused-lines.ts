import { Recent } from '../auth/recent.js';
import { type BudgetLimits, coveredFrom, takeFrom } from '../credentials/allowance.js';

/** In a minute, as many as there are records in the audit: of one network, and of all together. */
const LINES: BudgetLimits = { burst: 100, everyMs: 600 };
const LINES_IN_ALL: BudgetLimits = { burst: 1000, everyMs: 60 };
const TELL_AGAIN_MS = 60_000;
const MOST_NETWORKS = 10_000;
/** In the place of a network, when it is not a single one that there is too much of. */
const MANY = 'many networks';

/** What bounds lines of the log. */
export interface LinesSurroundings {
  /** Epoch milliseconds. */
  now(): number;
  /** Told of the network that too many refusals come from, once a minute at most. */
  tell(network: string): void;
}

/**
 * Decides which refusals of strangers have a line of the log each. To find that a secret is wrong costs next to nothing, so a
 * flood of them need not be shed; but whoever guesses must not fill the disk.
 */
export class RefusedLines {
  /** By network, when its budget of lines is full again. */
  private readonly fullAgainAt = new Recent<number>(MOST_NETWORKS);
  private readonly told = new Recent<number>(MOST_NETWORKS);
  private allFullAgainAt = 0;

  constructor(private readonly surroundings: LinesSurroundings) {}

  /** Whether a refusal has a line of its own; if so, it is counted. */
  mayHave(network: string): boolean {
    const now = this.surroundings.now();
    const fullAgainAt = this.fullAgainAt.get(network) ?? 0;
    if (coveredFrom(fullAgainAt, LINES, now) > now) return this.tell(network, now);
    if (coveredFrom(this.allFullAgainAt, LINES_IN_ALL, now) > now) return this.tell(MANY, now);
    this.fullAgainAt.set(network, takeFrom(fullAgainAt, LINES, now));
    this.allFullAgainAt = takeFrom(this.allFullAgainAt, LINES_IN_ALL, now);
    return true;
  }

  private tell(network: string, now: number): false {
    if ((this.told.get(network) ?? -Infinity) + TELL_AGAIN_MS <= now) {
      this.told.set(network, now);
      this.surroundings.tell(network);
    }
    return false;
  }
}
