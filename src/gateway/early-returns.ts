import type { Client } from '../config/clients.js';
import { type BudgetLimits, coveredFrom, takeFrom } from '../credentials/allowance.js';

/** A question whether a token lives costs a call to WeChat. Each client of an app may have so many asked. */
const QUESTIONS: BudgetLimits = { burst: 3, everyMs: 300_000 };
/** As many as four clients may, all clients of an app together. */
const QUESTIONS_IN_ALL: BudgetLimits = { burst: 4 * QUESTIONS.burst, everyMs: QUESTIONS.everyMs / 4 };

/**
 * Where clients ask WeChat themselves, the hub does not see that their token is refused; but a client that asks again for
 * what it was just given says that something is wrong with it. Or it has several processes, or no memory: so it is a hint,
 * and few hints are followed. A client that always comes back must not use up those of the others.
 */
export class EarlyReturns {
  private readonly given = new WeakMap<Client, Map<string, number>>();
  /** By app, when the budgets of its clients, and that of all together, are full again. */
  private readonly fullAgainAt = new WeakMap<Client, Map<string, number>>();
  private readonly allFullAgainAt = new Map<string, number>();

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

  /** Whether a client's hint about an app may be followed now; if so, it is counted. */
  mayAsk(client: Client, app: string): boolean {
    const now = this.now();
    const ofClient = this.fullAgainAt.get(client) ?? new Map<string, number>();
    const [fullAgainAt, allFullAgainAt] = [ofClient.get(app) ?? 0, this.allFullAgainAt.get(app) ?? 0];
    if (coveredFrom(fullAgainAt, QUESTIONS, now) > now) return false;
    if (coveredFrom(allFullAgainAt, QUESTIONS_IN_ALL, now) > now) return false;
    this.fullAgainAt.set(client, ofClient.set(app, takeFrom(fullAgainAt, QUESTIONS, now)));
    this.allFullAgainAt.set(app, takeFrom(allFullAgainAt, QUESTIONS_IN_ALL, now));
    return true;
  }
}
