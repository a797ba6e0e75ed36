import type { Kept, Mint, Nature, Need, Ration } from '../wechat/platforms/platform.js';
import { WechatError, WechatNonsense } from '../wechat/wechat.error.js';
import { AllowanceSpent, spend } from './allowance.js';
import { accept, isExclusive, LATE_ARRIVAL_MS, standing, withIntent } from './lost-calls.js';
import type { Outside } from './outside.js';
import { type Credential, dueOf, type Flaw, freshUntil, otherThan, type Policy, usable } from './policy.js';
import { NotTheCredential, waitAfter } from './retry.js';
import type { Entry } from './store.js';
import { Closed, Unavailable } from './unavailable.js';

interface Failure {
  readonly error: unknown;
  readonly count: number;
  readonly retryAt: number;
}

interface Turn {
  readonly flaw: Flaw;
  readonly outcome: Promise<Credential>;
}

/** How a credential stands, for those who watch. */
export interface SourceStatus {
  readonly credential: Credential | undefined;
  readonly usable: boolean;
  readonly failure: { readonly error: unknown; readonly retryAt: number } | undefined;
  readonly unsaved: boolean;
  readonly foreignMints: ForeignMints;
}

/** How often WeChat refused a value that should have been good: somebody else mints for the same account. */
export interface ForeignMints {
  readonly count: number;
  /** Epoch milliseconds of the last time. */
  readonly lastAt?: number;
}

/** Clocks are put right by a little all the time; a stored instant that is further ahead is not to be trusted. */
const CLOCK_SLACK_MS = 5000;
/** How long to wait for WeChat to see that a life is over, before asking again. */
const LIFE_ENDS_LATER_MS = [250, 500, 1000];
const NO_FOREIGN_MINTS: ForeignMints = { count: 0 };
/** A store that refused a write is tried again this much later. */
const SAVE_AGAIN_MS = 5000;

/**
 * One credential of one app, kept good: the one thing here that changes. Its verbs are one operation under different
 * policies: find the flaw, take the turn, look again, ask WeChat, keep what is true.
 */
export class Source implements Kept {
  private entry: Entry;
  private turn: Turn | undefined;
  private failure: Failure | undefined;
  /** When the credential wants to be renewed. */
  private due = Infinity;
  /** When the last call began whose outcome nobody knows. */
  private lostAt = -Infinity;
  private foreignMints: ForeignMints = NO_FOREIGN_MINTS;
  private saveAgainAt: number | undefined;
  private closed = false;

  constructor(
    readonly name: string,
    private mint: Mint,
    private readonly nature: Nature,
    private readonly outside: Outside,
    entry: Entry = {},
  ) {
    this.entry = entry;
    if (entry.intents) this.lostAt = outside.now();
    if (entry.credential) {
      // The clock went back since the value was stored: how long it has lived, nobody knows. Its version still counts.
      if (entry.credential.issuedAt > outside.now() + CLOCK_SLACK_MS) {
        this.entry = { ...entry, credential: { ...entry.credential, value: '', expiresAt: 0 } };
      }
      this.due = entry.intents ? outside.now() : dueOf(entry.credential, outside.random());
      this.plan();
    }
  }

  /** The credential as it stands, usable or not; its life is cut where a call may have ended it early. */
  get current(): Credential | undefined {
    return standing(this.entry, this.nature);
  }

  get status(): SourceStatus {
    const credential = this.current;
    return {
      credential,
      usable: credential !== undefined && usable(credential, this.outside.now()) === undefined,
      failure: this.failure,
      unsaved: this.saveAgainAt !== undefined,
      foreignMints: this.foreignMints,
    };
  }

  /** When a new value can be expected, epoch milliseconds. */
  get renewalAt(): number {
    return Math.max(this.due, this.failure?.retryAt ?? 0);
  }

  /**
   * For clients: a usable credential, at once if there is one.
   * @throws Unavailable when there is none and WeChat gives none.
   */
  get(): Promise<Credential> {
    return this.obtain(usable);
  }

  /** For a client that WeChat refused: a credential with another value than `refused`, if WeChat has one.
   * @param permit called before WeChat is asked on the client's word alone; throws to forbid it.
   * @throws Unavailable, or what `permit` throws. The present value stays as it was.
   */
  replace(refused: string, permit: () => void): Promise<Credential> {
    return this.obtain(otherThan(refused), permit);
  }

  /**
   * For when WeChat itself refused the value, before our eyes: it is not handed out again.
   * @throws Unavailable when WeChat gives no other.
   */
  async condemn(refused: string): Promise<Credential> {
    const { credential } = this.entry;
    if (credential?.value === refused && !credential.refused) {
      if (!this.turn) {
        this.foreignMints = { count: this.foreignMints.count + 1, lastAt: this.outside.now() };
        this.outside.tell({ event: 'refused-by-wechat', name: this.name, version: credential.version });
      }
      await this.keep({ ...this.entry, credential: { ...credential, refused: true } });
    }
    return this.obtain(usable);
  }

  /** For recipes: lends the value, and if WeChat blames it, replaces it and lets the work try once more. */
  async use<T>(work: (value: string) => Promise<T>): Promise<T> {
    const lent = await this.get();
    try {
      return await work(lent.value);
    } catch (error) {
      if (!blamesCredential(error)) throw error;
      const other = await this.condemn(lent.value);
      try {
        return await work(other.value);
      } catch (again) {
        throw blamesCredential(again) ? new NotTheCredential(again) : again;
      }
    }
  }

  /** For the clock: does what has become due, if anything; failures are told, not thrown. */
  async wake(): Promise<void> {
    const now = this.outside.now();
    if (this.saveAgainAt !== undefined && now >= this.saveAgainAt) await this.keep(this.entry);
    if (now >= this.renewalAt) await this.obtain(freshUntil(() => this.due)).catch(() => undefined);
    this.plan();
  }

  /** Takes over a new recipe, for a configuration that changed: what failed before may work now. */
  adopt(mint: Mint): void {
    this.mint = mint;
    if (!this.failure) return;
    this.failure = undefined;
    this.due = this.outside.now();
    this.plan();
  }

  /** Writes the entry anew, for when its instants read differently now. */
  async save(): Promise<void> {
    if (this.entry.credential) await this.keep(this.entry);
  }

  /** Begins nothing new. The returned promise ends with the call under way, its outcome stored. */
  async close(): Promise<void> {
    this.closed = true;
    this.outside.wake(this, undefined);
    await this.turn?.outcome.catch(() => undefined);
  }

  private async obtain(policy: Policy, permit?: () => void): Promise<Credential> {
    for (;;) {
      const credential = this.current;
      const flaw = credential ? policy(credential, this.outside.now()) : 'missing';
      if (credential && !flaw) return credential;
      if (this.turn) {
        // Somebody is asking already. If for the strongest reason, the answer is ours too, whatever it is;
        // else look again, for it may not do.
        const { flaw: reason, outcome } = this.turn;
        const answer = await outcome;
        if (reason === 'refused') return answer;
        continue;
      }
      return this.takeTurn(flaw ?? 'missing', permit);
    }
  }

  /** Runs up to the first await at once, so that nobody can come in between looking and taking. */
  private async takeTurn(flaw: Flaw, permit: (() => void) | undefined): Promise<Credential> {
    // One chain of tries for everybody: between two of them the last failure is the answer.
    if (this.failure && this.outside.now() < this.failure.retryAt) throw unavailable(this.failure);
    if (this.closed) throw new Closed();
    const onWordAlone = flaw === 'refused' && !this.entry.credential?.refused;
    if (onWordAlone) permit?.();
    const outcome = this.ask(flaw, onWordAlone).finally(() => {
      this.turn = undefined;
      this.plan();
    });
    this.turn = { flaw, outcome };
    return outcome;
  }

  private async ask(flaw: Flaw, onWordAlone: boolean): Promise<Credential> {
    const { entry: before, mint } = this;
    try {
      const need: Need = {
        ...(flaw === 'refused' && before.credential && { refused: before.credential.value }),
        spend: (ration) => this.spend(ration),
      };
      const credential = await this.askUntilUsable(need);
      this.succeed(flaw, credential, credential.version !== before.credential?.version);
      return this.current ?? credential;
    } catch (error) {
      if (!isInDoubt(error)) await this.settle(this.entry.credential, before.intents);
      // These say nothing of WeChat: the present value stays as it was, and so does the chain of tries.
      if ((error instanceof AllowanceSpent && onWordAlone) || error instanceof Closed) throw error;
      const failure = this.fail(flaw, error);
      // What failed is a configuration that is not in force any more.
      if (mint !== this.mint) this.adopt(this.mint);
      throw unavailable(failure);
    }
  }

  /** Asks once; but WeChat's count of a life began a moment after ours, and so may its end be. */
  private async askUntilUsable(need: Need): Promise<Credential> {
    for (const patience of [...LIFE_ENDS_LATER_MS, undefined]) {
      const askedAt = this.outside.now();
      const intending = withIntent(this.entry, this.nature, askedAt);
      if (intending !== this.entry) await this.keep(intending);
      const minted = await this.mint(need).catch((error: unknown) => {
        if (isInDoubt(error) && this.entry.intents) this.lostAt = askedAt;
        throw error;
      });
      const known = this.entry.credential;
      const credential = accept(this.entry, this.nature, minted, askedAt);
      const isNew = credential.version !== known?.version;
      // A lost call that arrives only now would supersede the new value, or bring one where we were told the old.
      const isOver = askedAt >= this.lostAt + LATE_ARRIVAL_MS || (isNew && !isExclusive(this.nature));
      await this.settle(credential, isOver ? undefined : [askedAt]);
      if (usable(credential, this.outside.now()) === undefined) return credential;
      if (patience === undefined || credential.refused || this.closed) break;
      await this.outside.sleep(patience);
    }
    throw new WechatNonsense('it is the value that has ended, once more');
  }

  private succeed(flaw: Flaw, credential: Credential, isNew: boolean): void {
    const now = this.outside.now();
    this.failure = undefined;
    this.due = dueOf(credential, this.outside.random());
    // WeChat may give the same value until shortly before its end: ask again after half of what is left.
    if (!isNew) this.due = Math.max(this.due, now + (credential.expiresAt - now) / 2);
    if (this.entry.intents) this.due = Math.min(this.due, this.lostAt + LATE_ARRIVAL_MS);
    const event = isNew ? 'minted' : 'unchanged';
    const seconds = Math.round((credential.expiresAt - now) / 1000);
    this.outside.tell({ event, name: this.name, flaw, version: credential.version, seconds });
  }

  /** Writes down what is known now that a call has its outcome: the credential, and the doubts that remain. */
  private async settle(credential: Credential | undefined, intents: Entry['intents']): Promise<void> {
    if (credential === this.entry.credential && intents === this.entry.intents) return;
    const { spent } = this.entry;
    await this.keep({ ...(credential && { credential }), ...(intents && { intents }), ...(spent && { spent }) });
  }

  private fail(flaw: Flaw, error: unknown): Failure {
    const count = (this.failure?.count ?? 0) + 1;
    // What failed may be the credential that this one is made with: its chain of tries is ours.
    this.failure =
      error instanceof Unavailable
        ? { error: error.cause, count, retryAt: error.retryAt }
        : { error, count, retryAt: this.outside.now() + waitAfter(error, count, this.outside.random()) };
    const { retryAt } = this.failure;
    this.due = Math.min(this.due, retryAt);
    const { usable } = this.status;
    this.outside.tell({ event: 'failed', name: this.name, flaw, error: this.failure.error, retryAt, usable });
    return this.failure;
  }

  /** What is rationed ends the old value, if anything does. */
  private async spend(ration: Ration): Promise<void> {
    const now = this.outside.now();
    const spent = spend(this.entry.spent ?? [], ration, now);
    await this.keep({
      ...this.entry,
      spent,
      ...(isExclusive(this.nature) && { intents: this.entry.intents ?? [now] }),
    });
  }

  /** A store that cannot write takes nothing away: the entry holds in memory, the fault is told, and tried again. */
  private async keep(entry: Entry): Promise<void> {
    this.entry = entry;
    try {
      await this.outside.save(this.name, entry);
      if (this.saveAgainAt !== undefined) this.outside.tell({ event: 'saved-again', name: this.name });
      this.saveAgainAt = undefined;
    } catch (error) {
      if (this.saveAgainAt === undefined) this.outside.tell({ event: 'unsaved', name: this.name, error });
      this.saveAgainAt = this.outside.now() + SAVE_AGAIN_MS;
      this.plan();
    }
  }

  private plan(): void {
    if (this.closed) return;
    const at = Math.min(this.saveAgainAt ?? Infinity, this.turn ? Infinity : this.renewalAt);
    this.outside.wake(this, at === Infinity ? undefined : at);
  }
}

function unavailable({ error, retryAt }: Failure): Unavailable {
  return new Unavailable(error, retryAt);
}

function isInDoubt(error: unknown): boolean {
  return error instanceof WechatError && error.inDoubt;
}

function blamesCredential(error: unknown): error is WechatError {
  return error instanceof WechatError && error.remedy === 'credential';
}
