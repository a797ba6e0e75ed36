import { hash } from 'node:crypto';
import { isIPv6 } from 'node:net';
import { type BudgetLimits, coveredFrom, takeFrom } from '../credentials/allowance.js';
import { Recent } from './recent.js';

/** Failures of authentication per source: a thousand cost half a second of a core, and 50 a second some percent of one. */
const FAILURES: BudgetLimits = { burst: 1000, everyMs: 20 };
/** For so long it is taken for certain that what failed fails again: the configuration and the time go on. */
const CERTAIN_MS = 1000;
const TELL_AGAIN_MS = 60_000;
/** Each is a digest and a number: three megabytes in all. */
const MOST_SOURCES = 10_000;
const MOST_TOKENS = 10_000;

/** What there is to say of a request that need not be looked at: it failed before, or there are too many like it. */
export type Shed = 'failed' | 'too-many';

/**
 * Sheds floods of bad tokens by what they look like from outside, before anybody reads them. As long as a source has few
 * failures nothing is shed; beyond that only what has not been good before, so that a flood does not shut out those who
 * share its address. See docs/decisions/0014-floods.md.
 */
export class Floods {
  /** By source, when its budget of failures is full again. */
  private readonly failures = new Recent<number>(MOST_SOURCES);
  /** What was seen to be good: tokens, and beginnings of tokens. */
  private readonly proven = new Recent<true>(MOST_TOKENS);
  /** What was seen to fail, and until when that is certain. */
  private readonly failed = new Recent<number>(MOST_TOKENS);
  private readonly told = new Recent<number>(MOST_SOURCES);

  /**
   * @param now epoch milliseconds.
   * @param tell of the address that a flood comes from, once a minute at most.
   */
  constructor(
    private readonly now: () => number,
    private readonly tell: (address: string) => void,
  ) {}

  /**
   * Whether there is any need to look at a request.
   * @param shown the Authorization header as it came; empty if there was none.
   */
  shed(address: string, shown: string): Shed | undefined {
    const now = this.now();
    const fullAgainAt = this.failures.get(this.sourceOf(address, shown));
    if (fullAgainAt === undefined || coveredFrom(fullAgainAt, FAILURES, now) <= now) return undefined;
    const token = digest(shown);
    if (this.proven.get(token)) return undefined;
    if ((this.told.get(address) ?? -Infinity) + TELL_AGAIN_MS <= now) {
      this.told.set(address, now);
      this.tell(address);
    }
    return (this.failed.get(token) ?? 0) > now ? 'failed' : 'too-many';
  }

  /** Remembers that this is the token of a client. */
  prove(shown: string): void {
    this.proven.set(digest(shown), true);
    this.proven.set(digest(beginningOf(shown)), true);
  }

  /** Remembers that this was no token of a client. */
  fail(address: string, shown: string): void {
    const now = this.now();
    const token = digest(shown);
    this.proven.delete(token);
    this.failed.set(token, now + CERTAIN_MS);
    const source = this.sourceOf(address, shown);
    const fullAgainAt = this.failures.get(source) ?? 0;
    // What was on its way when the budget ran out is not counted on top.
    if (coveredFrom(fullAgainAt, FAILURES, now) > now) return;
    this.failures.set(source, takeFrom(fullAgainAt, FAILURES, now));
  }

  /** A flood that names nobody, or nobody who is known, has a budget apart from those who name a client as it does itself. */
  private sourceOf(address: string, shown: string): string {
    const network = networkOf(address);
    const beginning = digest(beginningOf(shown));
    return this.proven.get(beginning) ? `${network} ${beginning}` : network;
  }
}

/** What comes before the payload: with most libraries it is the same in all tokens of a client. */
function beginningOf(shown: string): string {
  return shown.slice(0, Math.max(0, shown.indexOf('.')));
}

/** Whoever has one address of IPv6 has a whole /64 of them. */
function networkOf(address: string): string {
  if (!isIPv6(address)) return address;
  const [head = '', tail] = address.split('::');
  const left = head.split(':');
  const right = tail === undefined ? [] : tail.split(':');
  const zeros = Array<string>(Math.max(0, 8 - left.length - right.length)).fill('0');
  return [...left, ...zeros, ...right].slice(0, 4).join(':');
}

function digest(text: string): string {
  return hash('sha256', text, 'base64');
}
