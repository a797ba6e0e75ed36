import { randomUUID } from 'node:crypto';
import type { Clock } from '../clock.js';
import { Leases, type Outcome, type Slot } from './leases.js';
import { doubted, type Entry, type Granted, type Lease, LEASE_MS, Store, type Stored, type Written } from './store.js';

/** Forgets everything at the end of the process: what the embedded store is built on, and for tests. */
export class MemoryStore extends Store {
  private readonly leases = new Leases<Entry>();

  constructor(private readonly clock: Pick<Clock, 'now'>) {
    super();
  }

  override load(names: readonly string[]): Promise<Map<string, Stored>> {
    const found = new Map<string, Stored>();
    for (const name of names) {
      const slot = this.leases.slot(name);
      if (slot.revision > 0) found.set(name, storedIn(slot));
    }
    return Promise.resolve(found);
  }

  override grant(name: string, seen: number, entry?: Entry, lease?: Lease): Promise<Granted> {
    const owner = lease?.owner ?? randomUUID();
    const now = this.clock.now();
    const request = { seen, owner, lastsMs: LEASE_MS, ...(entry && { content: entry }) };
    const written = writtenBy(this.leases.grant(name, request, now));
    if (!written.kept) return Promise.resolve(written);
    const { revision } = written.stored;
    return Promise.resolve({ ...written, lease: { name, owner, revision, until: now + LEASE_MS } });
  }

  override commit({ name, owner, revision }: Lease, entry: Entry, calledAt?: number): Promise<Written> {
    const request = { seen: revision, owner, content: entry, ...(calledAt !== undefined && { calledAt }) };
    return Promise.resolve(writtenBy(this.leases.commit(name, request, this.clock.now())));
  }

  override put(name: string, seen: number, entry: Entry): Promise<Written> {
    return Promise.resolve(writtenBy(this.leases.commit(name, { seen, content: entry }, this.clock.now())));
  }

  override forgetBut(isKnown: (name: string) => boolean): Promise<void> {
    for (const name of this.useless(isKnown)) this.leases.remove(name);
    return Promise.resolve();
  }

  override close(): Promise<void> {
    return Promise.resolve();
  }

  /** Every entry there is, by name. */
  entries(): Map<string, Entry> {
    return new Map([...this.leases.names].map((name) => [name, this.entry(name)]));
  }

  /** What is there under a name; nothing is an entry, too. */
  entry(name: string): Entry {
    return storedIn(this.leases.slot(name)).entry;
  }

  /** Puts an entry there that outlived an earlier process. */
  restore(name: string, entry: Entry): void {
    this.leases.restore(name, entry);
  }

  /** Loses everything. */
  clear(): void {
    for (const name of this.leases.names) this.leases.remove(name);
  }

  /** What is kept under names that nobody knows, and cannot be of use to anybody any more. */
  useless(isKnown: (name: string) => boolean): string[] {
    const now = this.clock.now();
    const isOver = ({ credential, fullAgainAt }: Entry): boolean => (credential?.expiresAt ?? fullAgainAt ?? 0) < now;
    return [...this.leases.names].filter((name) => isOver(this.entry(name)) && !isKnown(name));
  }
}

function storedIn({ content = {}, doubt, revision }: Slot<Entry>): Stored {
  return { entry: doubted(content, doubt), revision };
}

function writtenBy({ verdict, slot, heldForMs }: Outcome<Entry>): Written {
  return { kept: verdict === 'kept', stored: storedIn(slot), ...(verdict === 'held' && { heldForMs }) };
}
