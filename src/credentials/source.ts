import type { Kept, Need, Ration } from '../wechat/platforms/platform.js';
import { LATE_ARRIVAL_MS, WechatError, WechatNonsense } from '../wechat/wechat.error.js';
import { AllowanceSpent, spend } from './allowance.js';
import { failureOf, NotTheCredential } from './failure.js';
import { accept, allArrivedAt, isExclusive, withIntent } from './lost-calls.js';
import { type Credential, deadlineOf, type Flaw, freshUntil, otherThan, type Policy, usable } from './policy.js';
import { isHarmless, type Obstacle, Recollection, SPREAD_MS, STORE_AGAIN_MS } from './recollection.js';
import { reconciled } from './reconcile.js';
import { type Entry, type Stored, StoreUnreachable } from './store/store.js';
import { Closed, Unavailable } from './unavailable.js';

/** Allows to ask WeChat on a client's word alone, or throws. */
export type Permit = () => Promise<void> | void;

interface Turn {
  readonly flaw: Flaw;
  readonly outcome: Promise<Credential>;
}

/** How long to wait for WeChat to see that a life is over, before asking again. */
const LIFE_ENDS_LATER_MS = [250, 500, 1000];
/** Without the store each hub asks by itself: this far apart, since there may be many of them. */
const ALONE_APART_MS = 10_000;
/** How long to wait for another hub before looking again, at first; it doubles, up to the next. */
const LOOK_AGAIN_MS = 50;
const LOOK_AGAIN_AT_LEAST_MS = 1000;

/** The lease ended before what it was for was done: somebody else may have asked meanwhile. */
class Overtaken extends Error {}

/**
 * One credential of one app, kept good: the one thing here that changes. Its verbs are one operation under different
 * policies: find the flaw, take the turn, look again, ask WeChat, keep what is true. The turn is taken twice: among those
 * who ask this hub, and among the hubs that share the store.
 */
export class Source extends Recollection implements Kept {
  private turn: Turn | undefined;
  /** When it was asked for without the store. */
  private aloneAt: number | undefined;
  /** Aborted when something is heard of the credential; there while somebody waits for that. */
  private news: AbortController | undefined;

  override get wakeAt(): number | undefined {
    // Whoever has the turn sees to it all, and plans anew at its end.
    if (this.host.isClosed || this.turn) return undefined;
    const at = Math.min(this.unsaved?.againAt ?? Infinity, this.renewalAt);
    return at === Infinity ? undefined : at;
  }

  /** When it will be too late for what there is to do for the clock. */
  get deadline(): number {
    return deadlineOf(this.current, this.wakeAt ?? Infinity, this.outside.now());
  }

  /**
   * Learns what the store has: at a start, and whenever another hub wrote.
   * @param seen the revision that was known when the store was asked; absent where it told by itself.
   */
  hear(stored: Stored, seen?: number): void {
    // With the lease nobody else writes; what doubts there are, the end of the lease tells.
    if (this.lease) return;
    this.learn(stored, seen);
    this.wakeWaiters();
  }

  /**
   * For clients: a usable credential, at once if there is one.
   * @throws Unavailable when there is none and WeChat gives none.
   */
  get(): Promise<Credential> {
    return this.obtain(usable);
  }

  /** For clients: a usable credential, if there is one for which nobody has to be asked. */
  get ready(): Credential | undefined {
    if (this.outside.store.isBehind()) return undefined;
    const credential = this.current;
    return this.flawOf(credential, usable) === undefined ? credential : undefined;
  }

  /**
   * For a client that WeChat refused: a credential with another value than `refused`, if WeChat has one.
   * @param permit asked before WeChat is asked on the client's word alone.
   * @throws Unavailable, or what `permit` throws. The present value stays as it was.
   */
  replace(refused: string, permit: Permit): Promise<Credential> {
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
        this.tell({ event: 'refused-by-wechat', version: credential.version });
      }
      this.condemned = refused;
      this.remember({ entry: this.entry, revision: this.revision });
      // With the lease, the end of it writes this down too.
      if (!this.lease) await this.keep(this.entry);
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

  /** Failures are told, not thrown. */
  override async wake(): Promise<void> {
    const now = this.outside.now();
    if (this.unsaved && now >= this.unsaved.againAt && !this.turn) await this.keep(this.entry, this.unsaved);
    if (now >= this.renewalAt) await this.obtain(freshUntil(() => this.due)).catch(() => undefined);
    this.host.plan(this);
  }

  /** For when the app is closed: ends with the call under way, its outcome stored, or with that of another hub if it is waited for. */
  async close(): Promise<void> {
    this.host.plan(this);
    await this.turn?.outcome.catch(() => undefined);
  }

  private async obtain(policy: Policy, permit?: Permit): Promise<Credential> {
    if (this.outside.store.isBehind()) await this.outside.store.catchUp();
    for (;;) {
      const credential = this.current;
      const flaw = this.flawOf(credential, policy);
      if (credential && !flaw) return credential;
      if (!this.turn) return this.takeTurn(flaw ?? 'missing', policy, permit);
      // Somebody is asking already. If for the strongest reason, the answer is ours too, whatever it is;
      // else look again, for it may not do.
      const { flaw: reason, outcome } = this.turn;
      try {
        const answer = await outcome;
        if (reason === 'refused') return answer;
      } catch (error) {
        // A budget is theirs who asked on their own word.
        if (!(error instanceof AllowanceSpent) || permit) throw error;
      }
    }
  }

  private flawOf(credential: Credential | undefined, policy: Policy): Flaw | undefined {
    return credential ? policy(credential, this.outside.now()) : 'missing';
  }

  /** Runs up to the first await at once, so that nobody can come in between looking and taking. */
  private async takeTurn(flaw: Flaw, policy: Policy, permit: Permit | undefined): Promise<Credential> {
    this.assertOpen();
    const outcome = this.askInTurn(policy, permit).finally(() => {
      this.turn = undefined;
      this.host.plan(this);
    });
    this.turn = { flaw, outcome };
    return outcome;
  }

  /**
   * One chain of tries for everybody: between two of them the last failure is the answer.
   * @param overAt until when another hub may bring what is wanted, though this one begins nothing new.
   */
  private assertOpen(overAt = -Infinity): void {
    const { obstacle } = this;
    const now = this.outside.now();
    if (obstacle && now < obstacle.retryAt) throw new Unavailable(obstacle.error, obstacle.retryAt);
    if (this.host.isClosed && now >= overAt) throw new Closed();
  }

  /** Takes the turn among the hubs, and asks, unless what another one got meanwhile will do. */
  private async askInTurn(policy: Policy, permit: Permit | undefined): Promise<Credential> {
    const startedAt = this.outside.now();
    /** When the turn of another hub is over, whatever comes of it. */
    let overAt = -Infinity;
    for (let look = 0; ; look += 1) {
      const tellOfWait = (inVain: boolean): void => {
        if (look > 0) this.tell({ event: 'waited', ms: this.outside.now() - startedAt, inVain });
      };
      if (this.unsaved) await this.keep(this.entry, this.unsaved);
      const credential = this.current;
      const flaw = this.flawOf(credential, policy);
      if (credential && !flaw) {
        tellOfWait(false);
        return credential;
      }
      // The first look was made before the turn was taken.
      if (look > 0) this.assertOpen(overAt);
      if (this.host.isClosed && look > 0) {
        await this.awaitNews(overAt - this.outside.now(), look);
        continue;
      }
      try {
        const before = this.entry;
        const heldForMs = await this.takeLease();
        if (heldForMs === undefined) {
          tellOfWait(true);
          const got = await this.ask(before, flaw ?? 'missing', permit);
          // It may have ended while it was written down.
          if (usable(got, this.outside.now()) === undefined) return got;
          continue;
        }
        overAt = this.outside.now() + heldForMs;
        if (heldForMs === 0) continue;
        const present = this.current;
        const left = this.flawOf(present, policy);
        if (present && left === 'due') {
          // Who has a usable value has something better to do than to wait for another hub.
          this.due = this.outside.now() + heldForMs + this.outside.random() * SPREAD_MS;
          return present;
        }
        if (left) await this.awaitNews(heldForMs, look);
      } catch (error) {
        if (error instanceof Overtaken) {
          this.tell({ event: 'overtaken' });
          continue;
        }
        // What another hub got while this one failed may do.
        const present = this.current;
        if (!(error instanceof Unavailable) || !present || this.flawOf(present, policy)) throw error;
        return present;
      }
    }
  }

  /**
   * Asks the store for the lease, with a note that a call begins.
   * @returns for how long another hub has it yet; 0 when another one wrote meanwhile; `undefined` when WeChat may be
   *   asked: with the lease, or without where that does no harm.
   * @throws Unavailable when the store is away, and only it could say whether WeChat may be asked.
   */
  private async takeLease(): Promise<number | undefined> {
    const { entry, revision } = this;
    const now = this.outside.now();
    const intending = withIntent(entry, this.nature, now);
    try {
      const note = intending === entry ? undefined : intending;
      const { lease, stored, heldForMs, fault } = await this.outside.store.grant(this.name, revision, note);
      this.storeAway = undefined;
      if (!lease) {
        this.learn(stored, revision);
        return heldForMs ?? 0;
      }
      this.lease = lease;
      if (note) this.take(stored, fault);
      return undefined;
    } catch (error) {
      if (!(error instanceof StoreUnreachable)) throw error;
      if (isHarmless(this.nature) && now >= (this.aloneAt ?? -Infinity) + ALONE_APART_MS) {
        this.aloneAt = now;
        return undefined;
      }
      this.storeAway = { error, retryAt: now + STORE_AGAIN_MS };
      throw new Unavailable(error, this.storeAway.retryAt);
    }
  }

  /** Waits until something is heard of the credential, or it is time to look again. */
  private async awaitNews(atMostMs: number, look: number): Promise<void> {
    const patience = Math.min(LOOK_AGAIN_MS * 2 ** look, LOOK_AGAIN_AT_LEAST_MS) * (0.5 + this.outside.random());
    this.news ??= new AbortController();
    await this.outside.sleep(Math.min(patience, atMostMs), this.news.signal);
  }

  private wakeWaiters(): void {
    this.news?.abort();
    this.news = undefined;
  }

  private async ask(before: Entry, flaw: Flaw, permit: Permit | undefined): Promise<Credential> {
    const { account } = this.host;
    const onWordAlone = flaw === 'refused' && !before.credential?.refused;
    try {
      if (onWordAlone) await permit?.();
      const need: Need = {
        ...(flaw === 'refused' && before.credential && { refused: before.credential.value }),
        spend: (ration) => this.spend(ration),
      };
      await this.askUntilUsable(need, before, flaw);
      const { current } = this;
      if (!current) throw new Overtaken();
      return current;
    } catch (error) {
      const { entry } = this;
      const after = isInDoubt(error) ? entry : withIntentsOf(before, entry);
      if (error instanceof Overtaken) {
        if (this.lease) await this.conclude(after, before);
        throw error;
      }
      // These say nothing of WeChat: the present value stays as it was, and so does the chain of tries.
      if ((error instanceof AllowanceSpent && onWordAlone) || error instanceof Closed) {
        await this.conclude(after, before);
        throw error;
      }
      const obstacle = await this.fail(error, after, before, flaw);
      // What failed is a configuration that is not in force any more.
      if (account !== this.host.account) this.adopt();
      throw new Unavailable(obstacle.error, obstacle.retryAt);
    }
  }

  /** Asks once; but WeChat's count of a life began a moment after ours, and so may its end be. */
  private async askUntilUsable(need: Need, before: Entry, flaw: Flaw): Promise<void> {
    let base = before;
    for (const [time, patience] of [...LIFE_ENDS_LATER_MS, undefined].entries()) {
      if (time > 0) await this.renewLease(withIntent(base, this.nature, this.outside.now()));
      const askedAt = this.outside.now();
      this.assertLease(askedAt);
      const minted = await this.host.mint(this.recipe, need);
      const known = base.credential;
      const credential = accept(base, this.nature, minted, askedAt);
      const isNew = credential.version !== known?.version;
      // A lost call that arrives only now would supersede the new value, or bring one where we were told the old.
      const isOver = askedAt >= allArrivedAt(base) || (isNew && !isExclusive(this.nature));
      const isRefused = this.entry.credential?.refused && !isNew;
      base = {
        credential: isRefused ? { ...credential, refused: true } : credential,
        ...(!isOver && { intents: [askedAt] }),
        ...(this.entry.spent && { spent: this.entry.spent }),
      };
      if (usable(base.credential ?? credential, this.outside.now()) === undefined) {
        await this.succeed(base, before, isNew, flaw);
        return;
      }
      if (patience === undefined || isRefused || this.host.isClosed) break;
      await this.outside.sleep(patience);
    }
    this.remember({ entry: base, revision: this.revision });
    throw new WechatNonsense('it is the value that has ended, once more');
  }

  private async succeed(entry: Entry, before: Entry, isNew: boolean, flaw: Flaw): Promise<void> {
    const now = this.outside.now();
    const { version = 0, expiresAt = 0 } = entry.credential ?? {};
    // WeChat may give the same value until shortly before its end: ask again after half of what is left.
    await this.conclude(isNew ? entry : { ...entry, askAgainAt: now + (expiresAt - now) / 2 }, before);
    const event = isNew ? 'minted' : 'unchanged';
    this.tell({ event, flaw, version, seconds: Math.round((expiresAt - now) / 1000) });
  }

  private async fail(error: unknown, after: Entry, before: Entry, flaw: Flaw): Promise<Obstacle> {
    const now = this.outside.now();
    const cause = error instanceof Unavailable ? error.cause : error;
    if (cause instanceof StoreUnreachable) {
      this.storeAway = { error: cause, retryAt: now + STORE_AGAIN_MS };
      await this.conclude(after, before);
      return this.storeAway;
    }
    const failure = failureOf(cause, this.failure, now, this.outside.random());
    // What failed may be the credential that this one is made with: its chain of tries is ours.
    const met = {
      ...failure,
      retryAt: error instanceof Unavailable ? error.retryAt : failure.retryAt,
      by: this.outside.replica,
    };
    await this.conclude({ ...after, failure: met }, before);
    const { usable } = this.status;
    const retryAt = this.againAfter(met);
    this.tell({ event: 'failed', flaw, error: cause, retryAt, usable });
    return { error: cause, retryAt };
  }

  /** What is rationed ends the old value, if anything does. */
  private async spend(ration: Ration): Promise<void> {
    if (!this.lease) throw new StoreUnreachable('what is rationed has to be counted');
    const { entry } = this;
    const now = this.outside.now();
    const spent = spend(entry.spent ?? [], ration, now);
    const intents = isExclusive(this.nature) ? [...(entry.intents ?? []).slice(0, 1), now] : entry.intents;
    await this.renewLease({ ...entry, spent, ...(intents && { intents }) });
    this.assertLease(this.outside.now());
  }

  private async renewLease(entry: Entry): Promise<void> {
    if (!this.lease) return;
    const { revision } = this;
    const { lease, stored, fault } = await this.outside.store.grant(this.name, revision, entry, this.lease);
    this.lease = lease;
    if (!lease) {
      this.learn(stored, revision);
      throw new Overtaken();
    }
    this.take(stored, fault);
  }

  /** A call that may end what others hold must have arrived, if it ever does, before anybody else may ask. */
  private assertLease(now: number): void {
    if (this.lease && now + LATE_ARRIVAL_MS > this.lease.until) throw new Overtaken();
  }

  /** Ends the turn among the hubs: writes down what came of it, on the ground of what was known before. */
  private conclude(entry: Entry, before: Entry): Promise<void> {
    const { lease } = this;
    // Without a lease, others may have written meanwhile.
    if (!lease) return this.keep(this.entry === before ? entry : reconciled(entry, this.entry, this.nature));
    const calledAt = isExclusive(this.nature) ? this.entry.intents?.at(-1) : undefined;
    return this.keep(entry, { lease, ...(calledAt !== undefined && { calledAt }) });
  }
}

/** An entry as it stands, but with the doubts that there were before. */
function withIntentsOf({ intents }: Entry, { intents: _, ...entry }: Entry): Entry {
  return intents ? { ...entry, intents } : entry;
}

function isInDoubt(error: unknown): boolean {
  return error instanceof WechatError && error.inDoubt;
}

function blamesCredential(error: unknown): error is WechatError {
  return error instanceof WechatError && error.remedy === 'credential';
}
