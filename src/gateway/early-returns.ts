import type { Client } from '../config/clients.js';
import { coveredFrom, takeFrom } from '../credentials/allowance.js';

/** A question whether a token lives costs a call to WeChat. */
const QUESTIONS = { burst: 3, everyMs: 300_000 } as const;

/**
 * Where clients ask WeChat themselves, the hub does not see that their token is refused; but a client that asks again for
 * what it was just given says that something is wrong with it. Or it has several processes, or no memory: so it is a hint,
 * and few hints are followed.
 */
export class EarlyReturns {
  private readonly given = new WeakMap<Client, Map<string, number>>();
  /** By app, when its budget of questions is full again. */
  private readonly fullAgainAt = new Map<string, number>();

  /** @param now epoch milliseconds. */
  constructor(private readonly now: () => number) {}

  /** Whether the client had this version already. */
  isReturn(client: Client, app: string, version: number): boolean {
    return this.given.get(client)?.get(app) === version;
  }

  /** Remembers which version a client was given. */
  remember(client: Client, app: string, version: number): void {
    const versions = this.given.get(client) ?? new Map<string, number>();
    this.given.set(client, versions.set(app, version));
  }

  /** Whether a hint about an app may be followed now; if so, it is counted. */
  mayAsk(app: string): boolean {
    const [fullAgainAt, now] = [this.fullAgainAt.get(app) ?? 0, this.now()];
    if (coveredFrom(fullAgainAt, QUESTIONS, now) > now) return false;
    this.fullAgainAt.set(app, takeFrom(fullAgainAt, QUESTIONS, now));
    return true;
  }
}
