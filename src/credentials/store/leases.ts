/** Whether a write was kept; if not, whether somebody else wrote, or has the lease. */
export type Verdict = 'kept' | 'changed' | 'held';

/** What is under a name. */
export interface Slot<T> {
  readonly content?: T;
  readonly revision: number;
  /** When a call began that may have come after what is here: its caller had lost the lease by the time it was done. */
  readonly doubt?: number;
}

/** What became of a request, and what is under the name now. */
export interface Outcome<T> {
  readonly verdict: Verdict;
  readonly slot: Slot<T>;
  /** With `held`: for how many milliseconds yet. */
  readonly heldForMs: number;
}

/** Asks for a lease, or as its owner for a longer one. */
export interface LeaseRequest<T> {
  readonly seen: number;
  readonly owner: string;
  readonly lastsMs: number;
  readonly content?: T;
}

/** Asks to write: as the owner of a lease, which ends with it, or as nobody, on the ground of what was seen. */
export interface WriteRequest<T> {
  readonly seen: number;
  readonly owner?: string;
  readonly content?: T;
  /** When a call began that may have ended what others hold. */
  readonly calledAt?: number;
}

/** All that is kept under a name. */
export interface Kept<T> extends Slot<T> {
  readonly holder?: { readonly owner: string; readonly until: number };
  /** Who wrote last with a lease: who asks again, because the answer was lost, is told the same. */
  readonly last?: string;
}

const EMPTY: Kept<never> = { revision: 0 };

/**
 * The rules of leases and revisions, over what is in this process's memory. Redis follows the same rules in its own
 * language (`grant.lua`, `commit.lua`), and a test holds the two against each other.
 */
export class Leases<T> {
  /** @param count how many changes there were so far. */
  constructor(
    private readonly kept = new Map<string, Kept<T>>(),
    private count = 0,
  ) {}

  /** How many changes there were. A revision is the number of a change: it grows even if a name was removed since. */
  get changes(): number {
    return this.count;
  }

  get names(): IterableIterator<string> {
    return this.kept.keys();
  }

  slot(name: string): Slot<T> {
    return this.kept.get(name) ?? EMPTY;
  }

  /** Puts something under a name that was there before this process was. */
  restore(name: string, content: T): void {
    this.kept.set(name, { content, revision: 1 });
  }

  remove(name: string): void {
    this.kept.delete(name);
  }

  grant(name: string, { seen, owner, lastsMs, content }: LeaseRequest<T>, now: number): Outcome<T> {
    const before = this.kept.get(name) ?? EMPTY;
    const isOwner = before.holder?.owner === owner;
    const heldForMs = isOwner ? 0 : heldFor(before, now);
    if (heldForMs > 0) return { verdict: 'held', slot: before, heldForMs };
    if (!isOwner && before.revision !== seen) return { verdict: 'changed', slot: before, heldForMs: 0 };
    const holder = { owner, until: now + lastsMs };
    return this.keep(
      name,
      content === undefined ? { ...before, holder } : { ...this.changed(before), content, holder },
    );
  }

  commit(name: string, { seen, owner, content, calledAt }: WriteRequest<T>, now: number): Outcome<T> {
    const before = this.kept.get(name) ?? EMPTY;
    if (owner !== undefined && before.last === owner) return { verdict: 'kept', slot: before, heldForMs: 0 };
    const isOwner = owner !== undefined && before.holder?.owner === owner;
    const heldForMs = isOwner ? 0 : heldFor(before, now);
    const mayWrite = isOwner || (owner === undefined && heldForMs === 0 && before.revision === seen);
    if (!mayWrite) {
      const slot = calledAt === undefined ? before : this.doubting(before, calledAt);
      if (slot !== before) this.kept.set(name, slot);
      return { verdict: heldForMs > 0 ? 'held' : 'changed', slot, heldForMs };
    }
    const { holder: _, last, doubt, ...rest } = content === undefined ? before : { ...this.changed(before), content };
    // A doubt that the writer has not seen is not settled by what it writes.
    const isSettled = before.revision === seen;
    const by = owner ?? last;
    return this.keep(name, {
      ...rest,
      ...(by !== undefined && { last: by }),
      ...(doubt !== undefined && !isSettled && { doubt }),
    });
  }

  private changed(before: Kept<T>): Kept<T> {
    this.count += 1;
    return { ...before, revision: Math.max(this.count, before.revision + 1) };
  }

  private doubting(before: Kept<T>, calledAt: number): Kept<T> {
    return { ...this.changed(before), doubt: Math.min(before.doubt ?? Infinity, calledAt) };
  }

  private keep(name: string, slot: Kept<T>): Outcome<T> {
    this.kept.set(name, slot);
    return { verdict: 'kept', slot, heldForMs: 0 };
  }
}

/** No lease lasts so long. One that seems to was given before the clock was set back. */
const LONGER_THAN_ANY_LEASE_MS = 60_000;

function heldFor({ holder }: Kept<unknown>, now: number): number {
  const left = (holder?.until ?? now) - now;
  return left > LONGER_THAN_ANY_LEASE_MS ? 0 : Math.max(0, left);
}
