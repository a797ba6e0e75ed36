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
import { pathToFileURL } from 'node:url';
import { newKey, parseKeys } from '../../config/random-keys.js';
import { type StoreEvent, StoreRefused } from './store.js';

const DATABASE = 'credentials.db';
const KEY_FILE = 'store.key';
/** Tells our database from any other SQLite file: "wth" and a version of the layout. */
const APPLICATION_ID = 0x77746801;

const SMALLEST_DATABASE_BYTES = 512;

/** Primary result codes of SQLite; the bytes above tell more of the circumstances. */
const SQLITE_BUSY = 5;
/** PERM, READONLY, FULL, CANTOPEN: nothing is wrong with what is there, but the hub cannot work with it. */
const NOT_WRITABLE = new Set([3, 8, 13, 14]);

/**
 * Makes the data folder, if need be, and takes from others what they may do with what is the hub's in it.
 * @param tell of what was open to others and should not have been.
 * @throws StoreRefused when it cannot be used.
 */
export function prepareFolder(folder: string, tell: (event: StoreEvent) => void): void {
  try {
    makeFolder(resolve(folder));
    closeToOthers(folder, tell);
  } catch (error) {
    throw unusable(error);
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

/**
 * Opens the database of a folder, for this process alone, and makes it if need be.
 * @throws StoreRefused when another hub has it, or it cannot be used, or is not whole.
 */
export function openDatabase(folder: string): DatabaseSyncInstance {
  const path = join(folder, DATABASE);
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
export function release(database: DatabaseSyncInstance): void {
  database.exec('PRAGMA locking_mode = NORMAL');
  database.prepare('SELECT count(*) FROM sqlite_schema').get();
  database.close();
}

function unusable(error: unknown): StoreRefused {
  return new StoreRefused(
    `DATA_DIR cannot be used: ${reasonOf(error)}. Give the hub a folder that it may write to, with room in it.`,
  );
}

/** A store that cannot be read as it is, and what a person can do. */
export function refusal(folder: string, reason: string, keyIsMissing: boolean): StoreRefused {
  const out = keyIsMissing
    ? 'Give the hub the key again (STORE_KEY, or the file store.key in the folder)'
    : 'Restore the folder from a copy';
  return new StoreRefused(
    `the store in DATA_DIR (${folder}) cannot be read: ${reason}. ${out}, or move the folder away: the hub then asks WeChat anew for every credential. Nothing was changed.`,
  );
}

/** Whether nothing was ever stored. */
export function isEmpty(database: DatabaseSyncInstance): boolean {
  return (database.prepare('SELECT count(*) AS entries FROM entry').get() as { entries: number }).entries === 0;
}

/** The key that the store made for itself, if it ever did; it still opens what it sealed after STORE_KEY is set. */
export function ownKey(folder: string, mayMakeOne: boolean): Buffer[] {
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

/** In the words of the system, where it is the system's. */
export function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code?.startsWith('E') && !code.startsWith('ERR_') ? code : message;
}
