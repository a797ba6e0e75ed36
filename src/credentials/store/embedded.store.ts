import { DatabaseSync, type DatabaseSyncInstance } from '@photostructure/sqlite';
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { setImmediate as nextTurnOfTheLoop } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { newKey, parseKeys } from '../../config/random-keys.js';
import type { Secret } from '../../config/secret.js';
import { byAndBy, inTurns } from '../../turns.js';
import type { Clock } from '../clock.js';
import { Cipher, givenKeys, UnknownKey } from './cipher.js';
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
  StoreRefused,
  type Written,
} from './store.js';

const DATABASE = 'credentials.db';
const KEY_FILE = 'store.key';
/** Tells our database from any other SQLite file: "wth" and a version of the layout. */
const APPLICATION_ID = 0x77746801;

const SMALLEST_DATABASE_BYTES = 512;

/** Primary result codes of SQLite; the bytes above tell more of the circumstances. */
const SQLITE_BUSY = 5;
/** PERM, READONLY, FULL, CANTOPEN: nothing is wrong with what is there, but the hub cannot work with it. */
const NOT_WRITABLE = new Set([3, 8, 13, 14]);

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
   * @param keys as in {@link parseKeys}; absent, the store keeps a key of its own beside the database.
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
    try {
      makeFolder(resolve(folder));
      closeToOthers(folder, tell);
    } catch (error) {
      throw unusable(error);
    }
    const database = openDatabase(join(folder, DATABASE), folder);
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

/**
 * Makes a folder and those above it, for this user alone. One that was there before may be shared with care by the
 * operator: its mode is not ours to change. (Node's own recursion does not end below /proc.)
 */
function makeFolder(folder: string): void {
  if (existsSync(folder)) return;
  makeFolder(dirname(folder));
  mkdirSync(folder, { mode: 0o700 });
}

/**
 * Takes from everybody else what they may do with the hub's files. A folder in which there is nothing else is the hub's,
 * too; any other may be shared, and it is told where everybody may look into it. What its group may do with a folder is
 * the operator's affair: volumes come with a group of their own.
 */
function closeToOthers(folder: string, tell: (event: StoreEvent) => void): void {
  const names = readdirSync(folder);
  const ours = names.filter((name) => name.startsWith(DATABASE) || name.startsWith(KEY_FILE));
  for (const path of ours.map((name) => join(folder, name))) {
    const file = statSync(path);
    if (!file.isFile() || (file.mode & 0o077) === 0) continue;
    chmodSync(path, 0o600);
    tell({ event: 'store-exposed', what: path, mended: true });
  }
  const { mode } = statSync(folder);
  if ((mode & 0o007) === 0) return;
  const mended = ours.length === names.length && isDone(() => chmodSync(folder, mode & 0o7770));
  tell({ event: 'store-exposed', what: `DATA_DIR (${folder})`, mended });
}

function isDone(work: () => void): boolean {
  try {
    work();
    return true;
  } catch {
    return false;
  }
}

function openDatabase(path: string, folder: string): DatabaseSyncInstance {
  let database: DatabaseSyncInstance | undefined;
  try {
    if (!existsSync(path)) makeDatabase(path);
    if (!isOurs(path)) throw new Error('it is not a database of this hub');
    database = new DatabaseSync(path, { timeout: 0 });
    // A rollback journal, not a write-ahead log: damage then shows in the database itself and cannot pass for the past.
    database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = FULL');
    database.exec('BEGIN EXCLUSIVE; COMMIT');
    const { quick_check: verdict } = database.prepare('PRAGMA quick_check(1)').get() as { quick_check: string };
    if (verdict !== 'ok') throw new Error('it is damaged');
    // That its table is there shows at the first look into it.
    isEmpty(database);
    return database;
  } catch (error) {
    database?.close();
    const code = ((error as { errcode?: number }).errcode ?? 0) & 0xff;
    const isOfTheSystem = (error as NodeJS.ErrnoException).syscall !== undefined;
    if (isOfTheSystem || NOT_WRITABLE.has(code)) throw unusable(error);
    if (code === SQLITE_BUSY) {
      throw new StoreRefused(
        `another hub is using DATA_DIR (${folder}). Two hubs would end each other's tokens: stop the other one, or give this one a folder and apps of its own.`,
      );
    }
    throw refusal(folder, reasonOf(error), false);
  }
}

/** Puts a new database in its place whole: what a crash, or a full disk, leaves half-made must not be in the way. */
function makeDatabase(path: string): void {
  const workshop = mkdtempSync(`${path}.`);
  const draft = join(workshop, DATABASE);
  try {
    const database = new DatabaseSync(draft);
    database.exec(
      `PRAGMA synchronous = FULL;
       BEGIN;
       CREATE TABLE entry (name TEXT PRIMARY KEY, sealed BLOB NOT NULL) STRICT, WITHOUT ROWID;
       PRAGMA application_id = ${APPLICATION_ID};
       COMMIT`,
    );
    database.close();
    chmodSync(draft, 0o600);
    place(draft, path);
  } finally {
    rmSync(workshop, { recursive: true, force: true });
  }
}

/** A link, unlike a name that is changed, does not push away what another hub has just put there. */
function place(draft: string, path: string): void {
  try {
    linkSync(draft, path);
  } catch {
    // It is there already, or the file system knows no links.
    if (!existsSync(path)) renameSync(draft, path);
  }
}

/** Looks without a trace: opened as usual, the file of another program could get a journal, or lose one. */
function isOurs(path: string): boolean {
  // SQLite would take a file with next to nothing in it for a new database; ours never is.
  if (statSync(path).size < SMALLEST_DATABASE_BYTES) throw new Error('its database was emptied or cut short');
  const url = pathToFileURL(path);
  url.searchParams.set('immutable', '1');
  const database = new DatabaseSync(url, { readOnly: true });
  try {
    return (
      (database.prepare('PRAGMA application_id').get() as { application_id: number }).application_id === APPLICATION_ID
    );
  } finally {
    database.close();
  }
}

/** Ends the use of a database. Statements outlive close() until they are collected, and would hold the lock. */
function release(database: DatabaseSyncInstance): void {
  database.exec('PRAGMA locking_mode = NORMAL');
  database.prepare('SELECT count(*) FROM sqlite_schema').get();
  database.close();
}

function unusable(error: unknown): StoreRefused {
  return new StoreRefused(
    `DATA_DIR cannot be used: ${reasonOf(error)}. Give the hub a folder that it may write to, with room in it.`,
  );
}

function refusal(folder: string, reason: string, keyIsMissing: boolean): StoreRefused {
  const out = keyIsMissing
    ? 'Give the hub the key again (STORE_KEY, or the file store.key in the folder)'
    : 'Restore the folder from a copy';
  return new StoreRefused(
    `the store in DATA_DIR (${folder}) cannot be read: ${reason}. ${out}, or move the folder away: the hub then asks WeChat anew for every credential. Nothing was changed.`,
  );
}

function isEmpty(database: DatabaseSyncInstance): boolean {
  return (database.prepare('SELECT count(*) AS entries FROM entry').get() as { entries: number }).entries === 0;
}

/** The key that the store made for itself, if it ever did; it still opens what it sealed after STORE_KEY is set. */
function ownKey(folder: string, mayMakeOne: boolean): Buffer[] {
  const path = join(folder, KEY_FILE);
  if (mayMakeOne && !existsSync(path)) makeKey(path);
  try {
    if (!existsSync(path)) return [];
    const keys = parseKeys(readFileSync(path, 'utf8'));
    if (keys) return keys;
  } catch (error) {
    throw refusal(folder, `its key file ${KEY_FILE} cannot be used (${reasonOf(error)})`, true);
  }
  throw refusal(folder, `its key file ${KEY_FILE} holds no key`, true);
}

/** Puts the whole file in its place at once: a crash, or a full disk, must not leave half a key. */
function makeKey(path: string): void {
  try {
    writeFileSync(`${path}.new`, `${newKey()}\n`, { mode: 0o600, flush: true });
    renameSync(`${path}.new`, path);
  } catch (error) {
    rmSync(`${path}.new`, { force: true });
    throw unusable(error);
  }
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code?.startsWith('E') && !code.startsWith('ERR_') ? code : message;
}
