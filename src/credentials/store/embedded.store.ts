import type { DatabaseSyncInstance } from '@photostructure/sqlite';
import { setImmediate as nextTurnOfTheLoop } from 'node:timers/promises';
import type { Secret } from '../../config/secret.js';
import { byAndBy, inTurns } from '../../turns.js';
import type { Clock } from '../clock.js';
import { Cipher, givenKeys, UnknownKey } from './cipher.js';
import { isEmpty, openDatabase, ownKey, prepareFolder, reasonOf, refusal, release } from './embedded.folder.js';
import { MemoryStore } from './memory.store.js';
import type { Rekeyed } from './rekey.js';
import {
  type Entry,
  type Granted,
  type Lease,
  shifted,
  Store,
  type Stored,
  type StoreEvent,
  type Written,
} from './store.js';

/** Of how many entries it is seen in a millisecond whether they are of use. */
const LOOKED_AT_ONCE = 1000;
/** So many are written in one turn of the event loop: clients wait for the disk, too, while it takes these. */
const WRITTEN_AT_ONCE = 16;

interface Write {
  readonly name: string;
  readonly sealed: Buffer | undefined;
  readonly done: (error?: Error) => void;
}

/**
 * Keeps the entries of one hub in its data folder, in SQLite, sealed, with instants in the wall clock's time, by which
 * the next process will read them. The exclusive lock on the database is what keeps a second hub out; the operating
 * system takes it back however the process ends. Writes that come together share one transaction, and so one wait for
 * the disk.
 */
export class EmbeddedStore extends Store {
  private readonly memory: MemoryStore;
  private readonly waiting: Write[] = [];
  private flushing: NodeJS.Immediate | undefined;
  /** The wall clock's distance from the steady one, as far as entries were written with it. */
  private drift: number;
  /** What came of sealing anew, at once when the store was opened, what was sealed with an older key. */
  rekeyed: Promise<Rekeyed> = Promise.resolve({ records: 0, resealed: 0, unopened: [] });

  private constructor(
    private readonly database: DatabaseSyncInstance,
    private readonly cipher: Cipher,
    private readonly clock: Clock,
  ) {
    super();
    this.memory = new MemoryStore(clock);
    this.drift = clock.drift();
  }

  /**
   * @param keys as in {@link givenKeys}; absent, the store keeps a key of its own beside the database.
   * @param tell of what was open to others and should not have been.
   * @throws StoreRefused when another hub holds the folder, or it cannot be written, or what is in it cannot be read.
   */
  static open(
    folder: string,
    clock: Clock,
    keys?: Secret,
    tell: (event: StoreEvent) => void = () => undefined,
  ): EmbeddedStore {
    const given = keys ? givenKeys(keys) : [];
    prepareFolder(folder, tell);
    const database = openDatabase(folder);
    try {
      const all = [...given, ...ownKey(folder, given.length === 0 && isEmpty(database))];
      if (all.length === 0) throw refusal(folder, 'the key that seals it is not there', true);
      const store = new EmbeddedStore(database, new Cipher(all), clock);
      store.read(folder);
      return store;
    } catch (error) {
      release(database);
      throw error;
    }
  }

  override load(names: readonly string[]): Promise<Map<string, Stored>> {
    return this.memory.load(names);
  }

  override async grant(name: string, seen: number, entry?: Entry, lease?: Lease): Promise<Granted> {
    const granted = await this.memory.grant(name, seen, entry, lease);
    return entry ? this.persisted(name, granted) : granted;
  }

  override async commit(lease: Lease, entry: Entry, calledAt?: number): Promise<Written> {
    return this.persisted(lease.name, await this.memory.commit(lease, entry, calledAt));
  }

  override async put(name: string, seen: number, entry: Entry): Promise<Written> {
    return this.persisted(name, await this.memory.put(name, seen, entry));
  }

  override async forgetBut(isKnown: (name: string) => boolean): Promise<void> {
    const useless = await byAndBy(this.memory.useless(isKnown), LOOKED_AT_ONCE);
    this.memory.remove(useless);
    for await (const some of inTurns(useless, WRITTEN_AT_ONCE)) {
      await Promise.allSettled(some.map((name) => this.write(name, undefined)));
    }
  }

  override async restate(): Promise<void> {
    this.drift = this.clock.drift();
    const entries = [...this.memory.entries()];
    const written = entries.map(([name, entry]) => this.write(name, this.sealed(name, entry)));
    // All or none: whoever dies in the middle of it must not leave times of two clocks.
    this.flush(Infinity);
    await Promise.allSettled(written);
  }

  override async close(): Promise<void> {
    // What was asked before this is on its way here.
    await nextTurnOfTheLoop();
    this.flush(Infinity);
    release(this.database);
  }

  private read(folder: string): void {
    const rows = this.database.prepare('SELECT name, sealed FROM entry').iterate() as Iterable<{
      name: string;
      sealed: Uint8Array;
    }>;
    const stale: string[] = [];
    let records = 0;
    for (const { name, sealed } of rows) {
      records += 1;
      const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
      try {
        this.memory.restore(name, shifted(JSON.parse(this.cipher.open(name, bytes)) as Entry, -this.drift));
        if (!this.cipher.isCurrent(bytes)) stale.push(name);
      } catch (error) {
        const what = error instanceof UnknownKey ? 'is sealed with another key' : 'was changed or damaged';
        throw refusal(folder, `the entry ${name} ${what}`, error instanceof UnknownKey);
      }
    }
    // Only when every entry is known to open: a refusal changes nothing.
    const resealing = stale.map((name) => this.write(name, this.sealed(name, this.memory.entry(name))));
    this.flush(Infinity);
    this.rekeyed = Promise.all(resealing).then(() => ({
      records,
      resealed: stale.length,
      unopened: [],
    }));
    // What cannot be written now can be read later.
    this.rekeyed.catch(() => undefined);
  }

  /** What cannot be written is in force all the same, until this process ends. */
  private async persisted<W extends Written>(name: string, written: W): Promise<W> {
    if (!written.kept) return written;
    try {
      await this.write(name, this.sealed(name, written.stored.entry));
      return written;
    } catch (error) {
      return { ...written, fault: error as Error };
    }
  }

  private sealed(name: string, entry: Entry): Buffer {
    return this.cipher.seal(name, JSON.stringify(shifted(entry, this.drift)));
  }

  private write(name: string, sealed: Buffer | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ name, sealed, done: (error) => (error ? reject(error) : resolve()) });
      this.flushing ??= setImmediate(() => this.flush());
    });
  }

  private flush(most = WRITTEN_AT_ONCE): void {
    if (this.flushing) clearImmediate(this.flushing);
    const writes = this.waiting.splice(0, most);
    this.flushing = this.waiting.length > 0 ? setImmediate(() => this.flush()) : undefined;
    if (writes.length === 0) return;
    let failure: Error | undefined;
    try {
      this.database.exec('BEGIN');
      const put = this.database.prepare('REPLACE INTO entry (name, sealed) VALUES (?, ?)');
      const drop = this.database.prepare('DELETE FROM entry WHERE name = ?');
      for (const { name, sealed } of writes) {
        if (sealed) put.run(name, sealed);
        else drop.run(name);
      }
      this.database.exec('COMMIT');
    } catch (error) {
      failure = new Error(`the data folder cannot be written: ${reasonOf(error)}`);
      this.rollBack();
    }
    for (const { done } of writes) done(failure);
  }

  private rollBack(): void {
    try {
      // SQLite may have rolled back by itself already.
      if (this.database.isTransaction) this.database.exec('ROLLBACK');
    } catch {
      // The store is closed, or the disk fails: then the next write fails, too, and tries this again.
    }
  }
}
