import { type Asking, clientOf } from '../auth/client.guard.js';
import { Recent } from '../auth/recent.js';
import { type BudgetLimits, coveredFrom, takeFrom } from '../credentials/allowance.js';
import { Seldom } from './seldom.js';
import { sourceNetworkOf } from './source-address.js';

/** In a minute, as many as strangers have records in the audit: of one source, and of all strangers together. */
const LINES: BudgetLimits = { burst: 100, everyMs: 600 };
const LINES_IN_ALL: BudgetLimits = { burst: 1000, everyMs: 60 };
const MOST_SOURCES = 10_000;
/** In the place of a source, when it is not a single one that there is too much of. */
const MANY = 'many networks';

/** What bounds lines of the log. */
export interface LinesSurroundings {
  /** Epoch milliseconds. */
  now(): number;
  /** Told of the source that too many refusals come from, once a minute at most. */
  tell(source: string): void;
}

/**
 * Decides which refusals have a line of the log each: neither who guesses tokens and secrets nor a client that repeats
 * what fails, without end, must fill the disk, and to write a line costs more than to refuse.
 */
export class RefusedLines {
  /** By source, when its budget of lines is full again. */
  private readonly fullAgainAt = new Recent<number>(MOST_SOURCES);
  private readonly many: Seldom;
  private allFullAgainAt = 0;

  constructor(private readonly surroundings: LinesSurroundings) {
    this.many = new Seldom(
      () => surroundings.now(),
      (source) => surroundings.tell(source),
    );
  }

  /**
   * Whether the refusal of a request has a line of its own; if so, it is counted.
   * @param isFault whether the hub, or WeChat, fails the client: what it does wrong itself must not hide that.
   */
  isWritten(request: Asking, isFault: boolean): boolean {
    const client = clientOf(request);
    if (!client) return this.mayHave(sourceNetworkOf(request));
    return this.mayHave(`the client ${client.name}${isFault ? ', by no fault of its own' : ''}`, true);
  }

  /**
   * The same of a refusal from somewhere.
   * @param source the network of a stranger, or the client if it is known: of those there are not so many.
   */
  mayHave(source: string, isKnown = false): boolean {
    const now = this.surroundings.now();
    if (!isKnown && coveredFrom(this.allFullAgainAt, LINES_IN_ALL, now) > now) return this.haveNone(MANY);
    const fullAgainAt = this.fullAgainAt.get(source) ?? 0;
    if (coveredFrom(fullAgainAt, LINES, now) > now) return this.haveNone(source);
    if (!isKnown) this.allFullAgainAt = takeFrom(this.allFullAgainAt, LINES_IN_ALL, now);
    this.fullAgainAt.set(source, takeFrom(fullAgainAt, LINES, now));
    return true;
  }

  private haveNone(source: string): false {
    this.many.tell(source);
    return false;
  }
}
