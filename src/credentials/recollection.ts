import type { Nature, Recipe } from '../wechat/platforms/platform.js';
import { causeOf } from './chronicle.js';
import { errorOf, type Failure, isForPerson, isPassing } from './failure.js';
import { allArrivedAt, isExclusive, latestBirthOf, standing, withoutSettled } from './lost-calls.js';
import type { Host, Outside, Renewed, SourceEvent } from './outside.js';
import { type Credential, dueOf, usable } from './policy.js';
import { reconciled } from './reconcile.js';
import { type Entry, type Lease, NOTHING_STORED, type Stored, StoreUnreachable } from './store/store.js';

/** Why the credential cannot be had for the moment. */
export interface Obstacle {
  readonly error: unknown;
  readonly retryAt: number;
  /** The replica that met it, if that is known. */
  readonly by?: string;
}

/** What the store has not been told yet. */
interface Unsaved {
  /** The lease under which it came about, which ends with the telling. */
  readonly lease?: Lease;
  readonly calledAt?: number;
  readonly againAt: number;
  /** From when on another hub, which does not know of it, may have asked WeChat; absent while only a crash would matter. */
  readonly since?: number;
}

/** How a credential stands, for those who watch. */
export interface SourceStatus {
  readonly credential: Credential | undefined;
  readonly usable: boolean;
  readonly failure: Obstacle | undefined;
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
/** A store that refused a write is tried again this much later. */
const SAVE_AGAIN_MS = 5000;
/** While the store is away, it is asked once in this time, for all who want the credential. */
export const STORE_AGAIN_MS = 1000;
/** Where hubs would do the same at the same instant, they do it up to this much later, each at its own. */
export const SPREAD_MS = 1000;
/** How much later than all others whoever has met what may be wrong at itself alone tries again. */
const OTHERS_FIRST_MS = 3 * SPREAD_MS;
/** What somebody has made of a credential, and wants to find again with it. */
export interface Prepared {
  readonly credential: Credential;
}

const NO_FOREIGN_MINTS: ForeignMints = { count: 0 };

/**
 * What this hub knows of one credential: what it goes by, what of that the store has not been told, and what stands in the
 * way of another one. Where store and hub know different things, it finds what is true of both.
 */
export abstract class Recollection implements Renewed {
  /** For whoever hands the credential out: what he made of it. Gone when something new is known of it. */
  prepared: Prepared | undefined;
  /** What this hub goes by; the store may know better, and says so when it is asked or when it is heard. */
  protected entry = NOTHING_STORED.entry;
  private entryRevision = NOTHING_STORED.revision;
  protected lease: Lease | undefined;
  /** When the credential wants to be renewed. */
  protected due = Infinity;
  protected storeAway: Obstacle | undefined;
  protected unsaved: Unsaved | undefined;
  private isFaultTold = false;
  /** The value that WeChat was last seen to refuse. */
  protected condemned: string | undefined;
  protected foreignMints: ForeignMints = NO_FOREIGN_MINTS;
  /** Since when what failed before may work. */
  private adoptedAt: number | undefined;

  constructor(
    protected readonly recipe: Recipe,
    protected readonly host: Host,
    protected readonly outside: Outside,
  ) {}

  /** Which of the credentials of its app it is. */
  get kind(): string {
    return this.recipe.kind;
  }

  /** Under which name the store keeps it. */
  get name(): string {
    return this.host.nameOf(this.kind);
  }

  /** The credential as it stands, usable or not; its life is cut where a call may have ended it early, or may soon. */
  get current(): Credential | undefined {
    const { unsaved, nature } = this;
    const now = this.outside.now();
    const mayBeReplaced = unsaved !== undefined && !isHarmless(nature);
    // What nobody else knows of they would replace: were this hub to die now, or as soon as they may. Else this hub will,
    // which is early only where a rotation has failed and is tried again.
    const endedAt = mayBeReplaced ? (unsaved.since ?? now) : Math.max(now, this.renewalAt);
    return standing(this.entry, nature, endedAt);
  }

  get status(): SourceStatus {
    const credential = this.current;
    const { failure } = this;
    return {
      credential,
      usable: credential !== undefined && usable(credential, this.outside.now()) === undefined,
      failure: failure ? obstacleOf(failure) : this.presentTrouble,
      unsaved: this.isUnsaved,
      foreignMints: this.foreignMints,
    };
  }

  /** Whether it is served, but not stored. */
  get isUnsaved(): boolean {
    return this.unsaved !== undefined;
  }

  /** When a new value can be expected, epoch milliseconds. */
  get renewalAt(): number {
    return Math.max(this.due, this.obstacle?.retryAt ?? 0);
  }

  /** The revision that this hub goes by. */
  get revision(): number {
    return this.entryRevision;
  }

  /** When there is something to do for the clock; `undefined` for not at all. */
  abstract get wakeAt(): number | undefined;

  /** For the clock: does what has become due, if anything. */
  abstract wake(): Promise<void>;

  /** For a configuration that changed: what failed before may work now. */
  adopt(): void {
    if (!this.failure) return;
    this.adoptedAt = this.outside.now();
    this.reckon();
  }

  /** Gives an entry to the store, and if that cannot be now, later: it holds here all the same. */
  protected async keep(entry: Entry, { lease, calledAt }: Omit<Unsaved, 'againAt'> = {}): Promise<void> {
    const { store } = this.outside;
    const { revision } = this;
    // Under a lease it is handed out only when it is written.
    if (!lease) this.remember({ entry, revision });
    // If a lease is gone before its time, another hub may have asked at the same time; if it has run out, only later.
    const mayCollide = lease !== undefined && this.outside.now() < lease.until;
    try {
      const { kept, stored, fault, heldForMs } = await (lease
        ? store.commit(lease, entry, mayCollide ? calledAt : undefined)
        : store.put(this.name, revision, entry));
      if (lease) this.lease = undefined;
      // Without a lease, much may have been learned since it was asked.
      else if (this.revision !== revision && stored.revision < this.revision) return;
      if (kept) {
        this.take(stored, fault);
      } else {
        if (lease) this.remember({ entry, revision });
        this.settle(stored, heldForMs);
      }
    } catch (error) {
      if (!(error instanceof StoreUnreachable)) throw error;
      if (lease) {
        this.lease = undefined;
        this.remember({ entry, revision });
      }
      const now = this.outside.now();
      const since = Math.min(this.unsaved?.since ?? Infinity, lease?.until ?? now);
      this.unsaved = {
        againAt: now + SAVE_AGAIN_MS,
        since,
        ...(lease && { lease }),
        ...(calledAt !== undefined && { calledAt }),
      };
    }
    this.reckon();
  }

  /** Takes over what the store has now by our own writing. */
  protected take(stored: Stored, fault: Error | undefined): void {
    this.remember(stored);
    if (fault) {
      if (!this.isFaultTold) this.tell({ event: 'unsaved', error: fault });
      this.unsaved = { againAt: this.outside.now() + SAVE_AGAIN_MS };
    } else {
      if (this.isFaultTold) this.tell({ event: 'saved-again' });
      this.unsaved = undefined;
    }
    this.isFaultTold = fault !== undefined;
  }

  /** Takes over what the store says, unless we know better. */
  protected learn(told: Stored, seen: number | undefined): void {
    this.storeAway = undefined;
    const { entry, revision } = this;
    // Old news, and not a store that has forgotten: what is known is newer than the question.
    if (told.revision < revision && seen !== revision) return;
    const isAhead = isOfTheFuture(told.entry, this.outside.now());
    // How long a value has lived that is remembered here, too, is known, wherever a clock was moved to.
    const isUndated = isAhead && told.entry.credential?.value !== entry.credential?.value;
    const stored = isUndated ? { ...told, entry: undated(told.entry, this.outside.now()) } : told;
    if (!this.unsaved && stored.revision === revision && isSame(stored.entry, entry)) return;
    const mayBeNext = !this.unsaved && stored.revision > revision && isAhead === isUndated;
    const isNext = mayBeNext && mayFollow(stored.entry, entry, this.nature);
    const { failure } = this;
    if (isNext) this.remember(stored);
    else this.settle(stored);
    this.tellOfOthers(failure);
    this.reckon();
  }

  /** Says what another hub has met, as far as that is news: whoever looks into this one's log may not have that one's. */
  private tellOfOthers(before: Failure | undefined): void {
    const { failure } = this;
    if (!failure) {
      if (before) this.tell({ event: 'failure-over' });
      return;
    }
    const { error, retryAt, by } = obstacleOf(failure);
    // Where all of them meet the same, each try is told by the one that makes it.
    if (before && causeOf(errorOf(before)) === causeOf(error)) return;
    this.tell({ event: 'failure-heard', by, error, retryAt, usable: this.status.usable });
  }

  /** Where two memories differ and neither comes of the other, finds what is true; the store is told if need be. */
  private settle(stored: Stored, heldForMs = 0): void {
    const entry = reconciled(this.entry, stored.entry, this.nature);
    this.remember({ entry, revision: stored.revision });
    // All hubs come to this at the same moment, and one of them is enough.
    const since = this.outside.now();
    const againAt = since + heldForMs + this.outside.random() * SPREAD_MS;
    this.unsaved = entry === stored.entry ? undefined : { againAt, since };
  }

  protected remember(stored: Stored): void {
    const { revision } = stored;
    const entry = withoutSettled(stored.entry);
    const { credential } = entry;
    const isCondemned = credential && credential.value === this.condemned && !credential.refused;
    this.prepared = undefined;
    this.entryRevision = revision;
    this.entry = isCondemned ? { ...entry, credential: { ...credential, refused: true } } : entry;
  }

  /** Works out anew when the credential wants to be renewed. */
  private reckon(): void {
    const { credential, askAgainAt = 0, intents, failure } = this.entry;
    const luck = this.outside.random();
    this.due = credential ? Math.max(dueOf(credential, luck), askAgainAt + luck * SPREAD_MS) : Infinity;
    // A call is under way, or was lost: once it must have arrived, another one puts things right. Not before that, though
    // the credential may be due: whoever made the call has the lease.
    if (intents) this.due = allArrivedAt(this.entry) + luck * SPREAD_MS;
    if (failure) {
      const againAt = this.failure ? this.againAfter(failure) + luck * SPREAD_MS : this.outside.now();
      this.due = Math.min(this.due, againAt);
    }
    this.host.plan(this);
  }

  /** What failed last, unless something has changed since that may have mended it. */
  protected get failure(): Failure | undefined {
    const { failure } = this.entry;
    if (!failure || failure.at <= (this.adoptedAt ?? -Infinity)) return undefined;
    return failure.at <= this.host.startedAt && !isPassing(failure) ? undefined : failure;
  }

  /** That the store was away, as long as it was asked lately: nobody asks it again for what is not due. */
  private get presentTrouble(): Obstacle | undefined {
    const { storeAway } = this;
    return storeAway && this.outside.now() < storeAway.retryAt + STORE_AGAIN_MS ? storeAway : undefined;
  }

  protected get obstacle(): Obstacle | undefined {
    const { failure, storeAway } = this;
    if (!failure || (storeAway && storeAway.retryAt > failure.retryAt)) return storeAway;
    return { ...obstacleOf(failure), retryAt: this.againAfter(failure) };
  }

  /** Whoever has met what a person has to mend lets others go first: they may have another secret, or another way out. */
  protected againAfter(failure: Failure): number {
    const isOurs = failure.by === this.outside.replica;
    return failure.retryAt + (isOurs && isForPerson(failure) ? OTHERS_FIRST_MS : 0);
  }

  protected tell(event: SourceEvent): void {
    this.host.tell(this.kind, event);
  }

  protected get nature(): Nature {
    return this.recipe.nature;
  }
}

function obstacleOf(failure: Failure): Obstacle {
  const { retryAt, by } = failure;
  return { error: errorOf(failure), retryAt, ...(by !== undefined && { by }) };
}

/** Whether the clock went back since the value was stored. */
function isOfTheFuture({ credential }: Entry, now: number): boolean {
  return credential !== undefined && credential.issuedAt > now + CLOCK_SLACK_MS;
}

/** The entry without its value, of which nobody knows how long it has lived. The version still counts. */
function undated(entry: Entry, now: number): Entry {
  const { credential } = entry;
  return { ...entry, ...(credential && { credential: { ...credential, value: '', issuedAt: now, expiresAt: 0 } }) };
}

/** Whether two entries hold the same credential, as far as instants can be told from one clock to another. */
function isSame({ credential: one }: Entry, { credential: other }: Entry): boolean {
  return one?.value === other?.value && Math.abs((one?.expiresAt ?? 0) - (other?.expiresAt ?? 0)) <= CLOCK_SLACK_MS;
}

/** Whether an entry can have been written by somebody who knew the one before: a store that lost it may tell otherwise. */
function mayFollow({ credential }: Entry, { credential: before }: Entry, { repeats }: Nature): boolean {
  if (!before) return true;
  if (!credential || credential.version < before.version) return false;
  if (credential.value !== before.value) return credential.issuedAt >= before.issuedAt;
  // The life of a value grows only where WeChat says so, or where it outlived the birth that was taken for its own; but
  // it did not begin after it was met.
  if (repeats === 'life-left') return true;
  if (latestBirthOf(credential) > latestBirthOf(before) + CLOCK_SLACK_MS) return false;
  return before.births !== undefined || credential.expiresAt <= before.expiresAt + CLOCK_SLACK_MS;
}

/**
 * Whether asking does no harm to anybody, however many ask and know nothing of each other. A value that is repeated with a
 * full life is not of that kind: who is told it later would take it for younger than it is.
 */
export function isHarmless(nature: Nature): boolean {
  return nature.repeats === 'life-left' || (nature.repeats === undefined && !isExclusive(nature));
}
