import { DatabaseSync } from '@photostructure/sqlite';
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newKey } from '../../config/random-keys.js';
import { Secret } from '../../config/secret.js';
import type { Clock } from '../clock.js';
import type { Credential } from '../policy.js';
import { EmbeddedStore } from './embedded.store.js';
import { type Entry, shifted, type Store, type StoreEvent, StoreRefused, type Written } from './store.js';

/** How far the wall clock was moved. */
let drift = 0;
const clock: Clock = { now: () => Date.now(), drift: () => drift };

function entry(value: string, version = 1): Entry {
  const credential: Credential = { value, issuedAt: 1_700_000_000_000, expiresAt: 1_700_007_200_000, version };
  return { credential };
}

let folder: string;
const open: Store[] = [];

/** The store in the folder, which is closed at the end of the test, should the test not do it. */
function opened(keys?: Secret): EmbeddedStore {
  const store = EmbeddedStore.open(folder, clock, keys);
  open.push(store);
  return store;
}

async function close(store: Store): Promise<void> {
  open.splice(open.indexOf(store), 1);
  await store.close();
}

/** Writes an entry in the place of the one that is there. */
async function save(store: Store, name: string, entry: Entry): Promise<Written> {
  return store.put(name, (await store.load([name])).get(name)?.revision ?? 0, entry);
}

async function entryOf(store: Store, name: string): Promise<Entry | undefined> {
  return (await store.load([name])).get(name)?.entry;
}

beforeEach(() => (folder = join(mkdtempSync(join(tmpdir(), 'store-')), 'data')));
afterEach(async () => {
  drift = 0;
  for (const store of open.splice(0)) await store.close();
  rmSync(join(folder, '..'), { recursive: true, force: true });
});

/** A folder with a few entries in it, closed in order. */
async function filled(keys?: Secret): Promise<void> {
  const store = opened(keys);
  await Promise.all(
    Array.from({ length: 100 }, (_, index) => save(store, `app-${index}/access-token`, entry(`canary-7f3a-${index}`))),
  );
  await save(store, 'shop', entry('a-token'));
  await close(store);
}

/** The bytes of everything in the folder, by name. */
function bytes(): [name: string, bytes: Buffer][] {
  return readdirSync(folder)
    .sort()
    .map((name) => [name, readFileSync(join(folder, name))]);
}

/** What is in the folder, in a form that is compared at a glance. */
function contents(): Record<string, string> {
  return Object.fromEntries(bytes().map(([name, each]) => [name, createHash('sha256').update(each).digest('hex')]));
}

/** How the store is refused, if it is. */
async function refusalOf(keys?: Secret): Promise<StoreRefused> {
  try {
    await close(opened(keys));
  } catch (error) {
    if (error instanceof StoreRefused) return error;
    throw error;
  }
  throw new Error('it was not refused');
}

/** The entry `shop` of the store in the folder. */
async function shop(keys?: Secret): Promise<Entry | undefined> {
  const store = opened(keys);
  const found = await entryOf(store, 'shop');
  await close(store);
  return found;
}

/** Changes the database as somebody would who has SQLite and no key. */
function meddle(sql: string): void {
  const database = new DatabaseSync(join(folder, 'credentials.db'));
  database.exec(sql);
  database.close();
}

describe('the folder of the embedded store', () => {
  it('is for the user of the hub alone, as is what is in it', async () => {
    await filled();
    const mode = (path: string): string => (statSync(path).mode & 0o777).toString(8);
    expect(mode(folder)).toBe('700');
    expect(mode(join(folder, 'credentials.db'))).toBe('600');
    expect(mode(join(folder, 'store.key'))).toBe('600');
  });

  it('is not in the way when a start was cut off before anything was in it', async () => {
    mkdirSync(join(folder, 'credentials.db.x1y2z3'), { recursive: true });
    writeFileSync(join(folder, 'credentials.db.x1y2z3', 'credentials.db'), '');
    writeFileSync(join(folder, 'store.key.new'), '');
    await filled();
    expect(await shop()).toEqual(entry('a-token'));
  });

  it('has nothing left in it of the making', async () => {
    await filled();
    expect(readdirSync(folder).filter((name) => !name.endsWith('-journal'))).toEqual(['credentials.db', 'store.key']);
  });

  it('is made with the folders above it', async () => {
    folder = join(folder, 'deep', 'er');
    await filled();
    expect(existsSync(join(folder, 'credentials.db'))).toBe(true);
  });

  it('stays as the operator made it, if it was there before: it may be a volume that belongs to others', async () => {
    mkdirSync(folder);
    chmodSync(folder, 0o2770);
    await filled();
    expect((statSync(folder).mode & 0o7777).toString(8)).toBe('2770');
    expect((statSync(join(folder, 'credentials.db')).mode & 0o777).toString(8)).toBe('600');
  });

  it('takes from others what they may do with its files, and tells; and with the folder, if nothing else is in it', async () => {
    await filled();
    const [database, key] = [join(folder, 'credentials.db'), join(folder, 'store.key')];
    chmodSync(folder, 0o755);
    chmodSync(database, 0o644);
    chmodSync(key, 0o640);
    const told: StoreEvent[] = [];
    await EmbeddedStore.open(folder, clock, undefined, (event) => told.push(event)).close();
    expect([folder, database, key].map((path) => (statSync(path).mode & 0o777).toString(8))).toEqual([
      '750',
      '600',
      '600',
    ]);
    expect(told).toEqual([
      { event: 'store-exposed', what: database, mended: true },
      { event: 'store-exposed', what: key, mended: true },
      { event: 'store-exposed', what: `DATA_DIR (${folder})`, mended: true },
    ]);
    told.length = 0;
    await EmbeddedStore.open(folder, clock, undefined, (event) => told.push(event)).close();
    expect(told).toEqual([]);
  });

  it('stays open to others if it has things of theirs, which is told', async () => {
    await filled();
    writeFileSync(join(folder, 'notes.txt'), 'somebody');
    chmodSync(folder, 0o755);
    const told: StoreEvent[] = [];
    await EmbeddedStore.open(folder, clock, undefined, (event) => told.push(event)).close();
    expect((statSync(folder).mode & 0o777).toString(8)).toBe('755');
    expect((statSync(join(folder, 'notes.txt')).mode & 0o777).toString(8)).toBe('644');
    expect(told).toEqual([{ event: 'store-exposed', what: `DATA_DIR (${folder})`, mended: false }]);
  });

  it('shows no value in any byte of it, neither open nor closed', async () => {
    const store = opened();
    await save(store, 'shop', entry('canary-7f3a'));
    await save(store, 'shop', { ...entry('canary-7f3a-2'), spent: [1] });
    const text = (): string => bytes().join();
    expect(text().includes('canary')).toBe(false);
    expect(text().includes('expiresAt')).toBe(false);
    await close(store);
    expect(text().includes('canary')).toBe(false);
    expect(text().includes('expiresAt')).toBe(false);
  });

  it('has its writes finished before it is let go', async () => {
    const store = opened();
    const saved = store.put('shop', 0, entry('a-token'));
    await close(store);
    await saved;
    expect(await shop()).toEqual(entry('a-token'));
  });

  it('has all of them finished, however many there are, and of one name the last', async () => {
    const store = opened();
    const saved: Promise<Written>[] = [];
    for (let i = 1; i <= 50; i += 1) {
      saved.push(save(store, 'shop', entry(`token-${i}`, i)), save(store, `app-${i}`, entry('a-token')));
      await Promise.resolve();
    }
    await close(store);
    for (const written of await Promise.all(saved)) expect(written).not.toHaveProperty('fault');
    const next = opened();
    expect(await entryOf(next, 'shop')).toEqual(entry('token-50', 50));
    expect((await next.load(Array.from({ length: 50 }, (_, i) => `app-${i + 1}`))).size).toBe(50);
  });

  it('tells each write of a crowd whether it is in it: one that cannot be takes few along, and none that comes later', async () => {
    await filled();
    meddle(
      `CREATE TRIGGER fault BEFORE INSERT ON entry WHEN NEW.name = 'new-20' BEGIN SELECT RAISE(ABORT, 'fault'); END`,
    );
    const store = opened();
    const names = Array.from({ length: 60 }, (_, i) => `new-${i}`);
    const written = await Promise.all(names.map((name) => save(store, name, entry('a-token'))));
    const failed = names.filter((_, i) => written[i]?.fault);
    expect(failed).toContain('new-20');
    expect(failed.length).toBeLessThan(20);
    await close(store);
    const next = opened();
    const kept = [...(await next.load(names)).keys()];
    expect(new Set([...kept, ...failed])).toEqual(new Set(names));
    expect(kept.length + failed.length).toBe(names.length);
  });

  it('refuses a write that comes after it was let go, and nothing worse', async () => {
    const store = EmbeddedStore.open(folder, clock);
    await store.close();
    const { kept, fault } = await store.put('shop', 0, entry('a-token'));
    expect(kept).toBe(true);
    expect(fault?.message).toContain('the data folder cannot be written');
  });

  it('has instants in it of the wall clock, by which the next process reads them', async () => {
    const store = opened();
    await save(store, 'shop', entry('a-token'));
    drift = 3_600_000;
    await store.restate();
    expect(await entryOf(store, 'shop')).toEqual(entry('a-token'));
    await save(store, 'crm', entry('another-token'));
    await close(store);
    drift = 0;
    const next = opened();
    const hourLater = (value: string): Entry => shifted(entry(value), 3_600_000);
    expect(await entryOf(next, 'shop')).toEqual(hourLater('a-token'));
    expect(await entryOf(next, 'crm')).toEqual(hourLater('another-token'));
  });

  it('has the entry before in it when the power goes in the middle of a write', async () => {
    await filled();
    const crash = `
      import { DatabaseSync } from '@photostructure/sqlite';
      const database = new DatabaseSync(process.argv[1]);
      database.exec('PRAGMA journal_mode = TRUNCATE; PRAGMA cache_size = 1; BEGIN EXCLUSIVE');
      database.exec("UPDATE entry SET sealed = zeroblob(4000)");
      process.kill(process.pid, 'SIGKILL');`;
    const before = contents()['credentials.db'];
    const args = ['--input-type=module', '--eval', crash, join(folder, 'credentials.db')];
    expect(spawnSync(process.execPath, args)).toMatchObject({ signal: 'SIGKILL' });
    expect(contents()['credentials.db']).not.toBe(before);
    expect(await shop()).toEqual(entry('a-token'));
  });

  it.each([
    ['is a file', (): void => writeFileSync(folder, '')],
    ['lies in a file', (): void => writeFileSync((folder = join(folder, '..', 'file')), '')],
  ])('is refused when it %s, with a way out', async (_, spoil) => {
    spoil();
    const { message } = await refusalOf();
    expect(message).toMatch(/^DATA_DIR cannot be used: .+\. Give the hub a folder that it may write to/);
  });
});

describe('a second holder of the folder', () => {
  it('is refused, whoever it is, and the first does not notice', async () => {
    const first = opened();
    await save(first, 'shop', entry('old'));
    expect((await refusalOf()).message).toMatch(
      /^another hub is using DATA_DIR .+: stop the other one, or give this one/,
    );
    await save(first, 'shop', entry('new'));
    expect(await entryOf(first, 'shop')).toEqual(entry('new'));
    await close(first);
    expect(await shop()).toEqual(entry('new'));
  });

  it('is refused in another process, and let in when the first is gone, however it went', async () => {
    await filled();
    const hold = `
      import { DatabaseSync } from '@photostructure/sqlite';
      const database = new DatabaseSync(process.argv[1]);
      database.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT');
      process.stdout.write('held');
      setInterval(() => database.isOpen, 1000);`;
    const args = ['--input-type=module', '--eval', hold, join(folder, 'credentials.db')];
    const holder = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const exited = once(holder, 'exit');
    await once(holder.stdout, 'data');
    const { message } = await refusalOf().finally(() => holder.kill('SIGKILL'));
    expect(message).toMatch(/^another hub is using DATA_DIR/);
    await exited;
    expect(await shop()).toEqual(entry('a-token'));
  });
});

describe('the keys of the embedded store', () => {
  const [old, newer] = [newKey(), newKey()];
  const keys = (...texts: readonly string[]): Secret => new Secret(texts.join(','));

  it('are of its own making where none is given', async () => {
    await filled();
    expect(readFileSync(join(folder, 'store.key'), 'utf8')).toMatch(/^[A-Za-z0-9+/]{43}=\n$/);
    expect(readdirSync(folder)).not.toContain('store.key.new');
    expect(await shop()).toEqual(entry('a-token'));
  });

  it('are not on the disk where one is given', async () => {
    await filled(keys(old));
    expect(existsSync(join(folder, 'store.key'))).toBe(false);
    expect(bytes().join().includes(old)).toBe(false);
    expect(await shop(keys(old))).toEqual(entry('a-token'));
  });

  it('can be changed: a new one before the old one, and after one start without the old one', async () => {
    await filled(keys(old));
    expect(await shop(keys(newer, old))).toEqual(entry('a-token'));
    expect(await shop(keys(newer))).toEqual(entry('a-token'));
    expect((await refusalOf(keys(old))).message).toContain('sealed with another key');
  });

  it('are changed at once, of which there is a report', async () => {
    await filled(keys(old));
    const store = opened(keys(newer, old));
    expect(await store.rekeyed).toEqual({ records: 101, resealed: 101, unopened: [] });
    await close(store);
    const again = opened(keys(newer, old));
    expect(await again.rekeyed).toEqual({ records: 101, resealed: 0, unopened: [] });
  });

  it('can be taken over from the store: what its own key has sealed opens until it is sealed anew', async () => {
    await filled();
    expect(await shop(keys(newer))).toEqual(entry('a-token'));
    rmSync(join(folder, 'store.key'));
    expect(await shop(keys(newer))).toEqual(entry('a-token'));
  });

  it('are asked for when they are lost, and what was sealed is there again when they are back', async () => {
    await filled();
    const key = readFileSync(join(folder, 'store.key'));
    rmSync(join(folder, 'store.key'));
    const before = contents();
    expect((await refusalOf()).message).toMatch(
      /the key that seals it is not there\. Give the hub the key again .*, or move the folder away/,
    );
    expect(contents()).toEqual(before);
    expect(await shop(new Secret(key.toString()))).toEqual(entry('a-token'));
  });

  it('are asked for when they are wrong, and nothing is changed', async () => {
    await filled(keys(old));
    const before = contents();
    expect((await refusalOf(keys(newer))).message).toMatch(/is sealed with another key\. Give the hub the key again/);
    expect(contents()).toEqual(before);
    expect(await shop(keys(old))).toEqual(entry('a-token'));
  });

  it('are asked for when only some entries open, and what opens is not sealed anew', async () => {
    await filled(keys(old));
    const here = folder;
    folder = join(folder, '..', 'other');
    const store = opened(keys(newer));
    await save(store, 'app-50/access-token', entry('x'));
    await close(store);
    const other = join(folder, 'credentials.db');
    folder = here;
    meddle(`ATTACH '${other}' AS other; REPLACE INTO entry SELECT * FROM other.entry`);
    const before = contents();
    expect((await refusalOf(keys(newKey(), old))).message).toContain('sealed with another key');
    expect(contents()).toEqual(before);
    expect(await shop(keys(newKey(), old, newer))).toEqual(entry('a-token'));
  });

  it.each(['', 'password', 'x'.repeat(43) + '=='])(
    'are 32 bytes each, which %j is not; it is not told',
    async (text) => {
      const { message } = await refusalOf(new Secret(`${text},canary-7f3a`));
      expect(message).toMatch(/^STORE_KEY must be 32 random bytes in base64/);
      expect(message).not.toContain('7f3a');
      expect(existsSync(folder)).toBe(false);
    },
  );

  it.each(['', '\n', 'canary-7f3a'])('are asked for when the file of the key holds %j instead', async (text) => {
    await filled();
    writeFileSync(join(folder, 'store.key'), text);
    const before = contents();
    const { message } = await refusalOf();
    expect(message).toMatch(/store\.key holds no key\. Give the hub the key again/);
    expect(message).not.toContain('7f3a');
    expect(contents()).toEqual(before);
  });
});

describe('a damaged store', () => {
  const WAY_OUT =
    /(Restore the folder from a copy|Give the hub the key again .*), or move the folder away.*Nothing was changed\.$/;
  const database = (): string => join(folder, 'credentials.db');

  function garble(from: number, length: number): void {
    const bytes = readFileSync(database());
    for (let at = from; at < Math.min(from + length, bytes.length); at += 1) bytes[at] = (at * 37 + 11) & 0xff;
    writeFileSync(database(), bytes);
  }

  /** What is sealed may be any byte: to write a certain one could change nothing. */
  function flipBit(at: number): void {
    const bytes = readFileSync(database());
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
    writeFileSync(database(), bytes);
  }

  /** Wherever SQLite has a copy of it, for not all that is in the file is in use. */
  function garbleEntry(name: string): void {
    const before = readFileSync(database());
    for (let at = before.indexOf(name); at >= 0; at = before.indexOf(name, at + 1)) garble(at + name.length + 30, 20);
  }

  function foreign(sql: string): void {
    rmSync(database());
    meddle(sql);
  }

  it.each([
    ['garbage at its start', (): void => garble(0, 100)],
    ['garbage over its first page', (): void => garble(0, 4096)],
    ['garbage in the middle', (): void => garble(4096, 4096)],
    ['a little garbage in an entry', (): void => garbleEntry('app-50/access-token')],
    ['garbage at its end', (): void => garble(statSync(database()).size - 300, 300)],
    ['one bit that has fallen over', (): void => flipBit(statSync(database()).size - 40)],
    ['nothing but garbage', (): void => writeFileSync(database(), 'garbage '.repeat(4096))],
    ['a byte', (): void => truncateSync(database(), 1)],
    ['half a header', (): void => truncateSync(database(), 50)],
    ['half a page', (): void => truncateSync(database(), 2048)],
    ['one page of several', (): void => truncateSync(database(), 4096)],
    ['all pages but one', (): void => truncateSync(database(), statSync(database()).size - 4096)],
    ['no byte at all', (): void => truncateSync(database(), 0)],
    ['the database of another program', (): void => foreign('CREATE TABLE shopping (item TEXT)')],
    ['a database with the mark of another program', (): void => foreign('PRAGMA application_id = 7')],
    [
      'the database of another program with a write-ahead log',
      (): void => foreign('PRAGMA journal_mode = WAL; CREATE TABLE shopping (item TEXT)'),
    ],
    ['an entry in the place of another', (): void => meddle(SWAP)],
    [
      'an entry that was cut short',
      (): void => meddle("UPDATE entry SET sealed = substr(sealed, 1, 20) WHERE name = 'shop'"),
    ],
    ['an entry that is empty', (): void => meddle("UPDATE entry SET sealed = x'' WHERE name = 'shop'")],
    ['no table', (): void => meddle('DROP TABLE entry')],
  ])('with %s is refused with a way out, and not touched', async (_, damage) => {
    await filled();
    damage();
    const before = contents();
    const { message } = await refusalOf();
    expect(message).toMatch(WAY_OUT);
    expect(message).toContain(folder);
    expect(message).not.toContain('7f3a');
    expect(contents()).toEqual(before);
  });

  const SWAP = `
    UPDATE entry SET name = 'swapped' WHERE name = 'shop';
    UPDATE entry SET name = 'shop' WHERE name = 'app-1/access-token';
    UPDATE entry SET name = 'app-1/access-token' WHERE name = 'swapped'`;

  it('is as it was once the folder is restored from a copy', async () => {
    await filled();
    cpSync(folder, `${folder}.copy`, { recursive: true });
    garble(0, 100);
    await refusalOf();
    rmSync(folder, { recursive: true });
    cpSync(`${folder}.copy`, folder, { recursive: true });
    expect(await shop()).toEqual(entry('a-token'));
  });

  it('is begun anew once the folder is moved away', async () => {
    await filled();
    garble(0, 100);
    await refusalOf();
    rmSync(folder, { recursive: true });
    expect(await shop()).toBeUndefined();
  });
});
