import { createHash, randomUUID } from 'node:crypto';
import { z } from 'zod';
import { newKey, parseKeys } from '../../config/random-keys.js';
import type { Secret } from '../../config/secret.js';
import type { Clock } from '../clock.js';
import { Cipher, givenKeys, UnknownKey } from './cipher.js';
import type { Verdict } from './leases.js';
import type { RedisPort, ScriptName } from './redis.port.js';
import { RemoteTime } from './remote-time.js';
import {
  doubted,
  type Entry,
  type Follower,
  type Granted,
  type Lease,
  LEASE_MS,
  shifted,
  Store,
  type Stored,
  type StoreEvent,
  type StoreFault,
  StoreRefused,
  type StoreStatus,
  StoreUnreachable,
  WRITE_FAULTS,
  type Written,
} from './store.js';

/** What the store needs from the world, so that tests can be the world. */
export interface StoreSurroundings {
  readonly redis: RedisPort;
  readonly clock: Pick<Clock, 'now'>;
  tell(event: StoreEvent): void;
}

/** A record as scripts show it: the sealed entry, its revision, and a call that may have come after it. */
type Shown = readonly [entry: string, revision: string, doubt: string];
/** What scripts say that write. */
type Outcome = readonly [now: string, verdict: Verdict | 'elsewhere', heldForMs: string, ...Shown];
type News = readonly [now: string, server: string, total: string, oldest: string, changes: string[], ...Fitness];
/** What it throws away when it has no room left, and why it took no write, if one was tried. */
type Fitness = readonly [policy: string, refusal: string];
type Hello = readonly [now: string, server: string, policy: string, total: string, key: string];
/** A change as it is published. */
type Message = readonly [number: string, name: string, entry: string, revision: string, doubt: string];

const message = z.tuple([z.string(), z.string(), z.string(), z.string(), z.string()]);

/** How often to look for what was not heard of: messages get lost, and nobody should go by old values for long. */
const LOOK_EVERY_MS = 2000;
/** While the store is away, how often to look whether it is back. */
const LOOK_AGAIN_MS = 1000;
/** Without a look for so long, this process has not been running. */
const BEHIND_MS = 10_000;
/** After the server has lost something: the time that others have to write it again, before anything is asked anew. */
const RECOVERY_MS = 5000;
const LOST_SOMETHING = 'it may have lost something, which others remember';
const CHANGES_AT_ONCE = 1000;
/** More than clocks are put right by in the course of things. */
const MOVED_CLOCK_MS = 2000;
/** The only policy under which Redis forgets nothing by itself. */
const WANTED_POLICY = 'noeviction';

/**
 * The store of hubs that are one: Redis keeps the entries, sealed, gives the leases, and tells everybody of every change.
 * Each hub has a copy of all that it serves, so that a read asks nobody. A change reaches it as a message, and should
 * that get lost, within two seconds by a look at the list of changes.
 *
 * Instants are stored by Redis' own clock, for those of the hubs may differ by any amount.
 */
export class RedisStore extends Store {
  private readonly time = new RemoteTime();
  private readonly prefix: string;
  /** Where it was given no keys: its own, and those that it found on servers. */
  private foundKeys: readonly string[] = [];
  private cipher: Cipher;
  private server: string | undefined;
  /** Set when the server that answers was seen not to be as it was when it was met. */
  private isStrange = false;
  /** The last change up to which every one was heard. */
  private heard = 0;
  private looking: Promise<void> | undefined;
  private lookedAt: number;
  private lookAt = -Infinity;
  private recoveredAt = -Infinity;
  private current: Omit<StoreStatus, 'faults'>;
  private readonly faults = new Set<StoreFault>();
  /** What did not open when it was read last, so that it is told once. */
  private readonly damaged = new Set<string>();
  private isMourning = false;
  private isClosed = false;
  private follower: Follower | undefined;

  /**
   * @param prefix of every key in Redis; hubs that have the same are one hub.
   * @param keys as in {@link parseKeys}; absent, a key is kept beside the entries.
   */
  constructor(
    private readonly surroundings: StoreSurroundings,
    prefix: string,
    private readonly keys?: Secret,
  ) {
    super();
    // In braces, so that all of them are on one node of a cluster, where a script can see everything at once.
    this.prefix = `{${prefix}}`;
    if (!keys) this.foundKeys = [newKey()];
    this.cipher = new Cipher(keys ? givenKeys(keys) : this.foundKeys.flatMap((key) => parseKeys(key) ?? []));
    const now = surroundings.clock.now();
    this.lookedAt = now;
    this.current = { reachable: false, since: now, reason: 'it has not been asked yet' };
    surroundings.redis.listen(this.changes, (message) => this.hearMessage(message));
  }

  /**
   * Makes the acquaintance of the server. Without it, the store is out of reach until the server is there.
   * @throws StoreUnreachable when it does not answer, or keeps what this hub cannot open; StoreRefused when it may throw
   *   away what it keeps. While the hub is in service that is a fault, and no reason to do without it.
   */
  async open(): Promise<void> {
    const policy = await this.meet();
    if (policy !== WANTED_POLICY) {
      throw new StoreRefused(
        `Redis may throw away what it keeps: its maxmemory-policy is ${policy || 'not to be found'}. Set it to ${WANTED_POLICY}.`,
      );
    }
    this.reach(undefined);
  }

  override get status(): StoreStatus {
    return { ...this.current, faults: this.faults };
  }

  override async load(names: readonly string[]): Promise<Map<string, Stored>> {
    this.assertMet();
    return this.read(names);
  }

  override async grant(name: string, seen: number, entry?: Entry, lease?: Lease): Promise<Granted> {
    const owner = lease?.owner ?? randomUUID();
    const askedAt = this.surroundings.clock.now();
    if (askedAt < this.recoveredAt) throw new StoreUnreachable(LOST_SOMETHING);
    const note = entry ? this.seal(name, entry) : '';
    const asked = [String(seen), owner, String(LEASE_MS), note, this.server ?? ''];
    const written = await this.write('grant', name, asked, entry);
    if (!written.kept) return written;
    const { revision } = written.stored;
    return { ...written, lease: { name, owner, revision, until: askedAt + LEASE_MS } };
  }

  override commit({ name, owner, revision }: Lease, entry: Entry, calledAt?: number): Promise<Written> {
    const called = calledAt === undefined ? '' : String(Math.floor(calledAt + this.time.toRemote));
    return this.write('commit', name, [String(revision), owner, this.seal(name, entry), called], entry);
  }

  override put(name: string, seen: number, entry: Entry): Promise<Written> {
    return this.write('commit', name, [String(seen), '', this.seal(name, entry), ''], entry);
  }

  /** Redis itself forgets what nobody has written for a month. */
  override forgetBut(): Promise<void> {
    return Promise.resolve();
  }

  override follow(follower: Follower): void {
    this.follower = follower;
  }

  override isBehind(): boolean {
    return this.current.reachable && this.surroundings.clock.now() - this.lookedAt > BEHIND_MS;
  }

  override catchUp(): Promise<void> {
    if (!this.isClosed && (this.surroundings.clock.now() >= this.lookAt || this.isBehind())) {
      this.looking ??= this.look().finally(() => (this.looking = undefined));
    }
    return this.looking ?? Promise.resolve();
  }

  override close(): Promise<void> {
    this.isClosed = true;
    return this.surroundings.redis.close();
  }

  private get changes(): string {
    return `${this.prefix}:changes`;
  }

  private get count(): string {
    return `${this.prefix}:changes:count`;
  }

  private get key(): string {
    return `${this.prefix}:key`;
  }

  /** By what the server knows the key that this hub found there, without being told. */
  private get digest(): string {
    const [found] = this.foundKeys;
    return found === undefined ? '' : createHash('sha1').update(found).digest('hex');
  }

  private readonly keyOf = (name: string): string => `${this.prefix}:entry:${name}`;

  private async read(names: readonly string[]): Promise<Map<string, Stored>> {
    if (names.length === 0) return new Map();
    const [, ...records] = await this.ask<readonly [string, ...Shown[]]>('read', names.map(this.keyOf), []);
    const found = names.map((name, i) => [name, this.readRecord(name, records[i] ?? ['', '0', ''])] as const);
    return new Map(found.filter(([, { revision }]) => revision > 0));
  }

  private async look(): Promise<void> {
    try {
      await this.hearChanges();
      this.reach(undefined);
    } catch (error) {
      if (!(error instanceof StoreUnreachable)) throw error;
      this.reach(error.reason);
    }
  }

  /** Notes whether something is wrong with the server, and tells when that is new. */
  private note(fault: StoreFault, isThere: boolean): void {
    if (this.faults.has(fault) === isThere) return;
    if (isThere) this.faults.add(fault);
    else this.faults.delete(fault);
    this.surroundings.tell({ event: isThere ? 'store-fault' : 'store-fault-over', fault });
  }

  /** Notes whether the store was in reach just now, and tells when that is new. */
  private reach(reason: string | undefined): void {
    const now = this.surroundings.clock.now();
    const reachable = reason === undefined;
    this.lookedAt = now;
    this.lookAt = now + (reachable ? LOOK_EVERY_MS : LOOK_AGAIN_MS);
    const { reachable: wasReachable, since, reason: before } = this.current;
    if (reachable === wasReachable && reason === before) return;
    this.current = { reachable, since: reachable === wasReachable ? since : now, ...(!reachable && { reason }) };
    if (!reachable) this.surroundings.tell({ event: 'store-away', reason });
    else if (this.follower) this.surroundings.tell({ event: 'store-back', seconds: Math.round((now - since) / 1000) });
  }

  /** Lets everybody look at all they know; what comes to nothing now, the next look makes up for. */
  private async mourn(): Promise<void> {
    this.isMourning = true;
    await this.follower?.mourn();
    this.isMourning = false;
  }

  private async hearChanges(): Promise<void> {
    if (this.isMourning) await this.mourn();
    for (;;) {
      const since = this.heard;
      // Who was refused a write tries one until it is taken: else nobody would know before the next one is due.
      const refused = WRITE_FAULTS.some((fault) => this.faults.has(fault));
      const asked = [String(since), String(CHANGES_AT_ONCE), refused ? 'write' : ''];
      const [, server, total, oldest, changes, policy, refusal] = await this.news(asked);
      this.note('eviction', policy !== WANTED_POLICY);
      if (refused) for (const fault of WRITE_FAULTS) this.note(fault, fault === refusal);
      if (server !== this.server || numberOf(total) < since || this.isStrange) {
        await this.meet();
        this.recoveredAt = this.surroundings.clock.now() + RECOVERY_MS;
        this.surroundings.tell({ event: 'store-changed' });
        return this.mourn();
      }
      if (Number(oldest) > since + 1) {
        this.heard = numberOf(total);
        return this.mourn();
      }
      const names = changes.filter((_, i) => i % 2 === 0);
      const known = names.filter((name) => this.follower?.knows(name));
      for (const [name, stored] of await this.load(known)) this.follower?.hear(name, stored);
      this.heard = Math.max(this.heard, numberOf(changes.at(-1) ?? ''));
      if (names.length < CHANGES_AT_ONCE) return;
    }
  }

  private hearMessage(text: string): void {
    const message = readMessage(text);
    if (!message) {
      // Not from a hub. What hubs have to say, the next look finds.
      this.lookAt = 0;
      return;
    }
    const [number, name, ...shown] = message;
    if (Number(number) === this.heard + 1) this.heard += 1;
    // One before this was not heard.
    else if (Number(number) > this.heard) this.lookAt = 0;
    try {
      if (this.server !== undefined && this.follower?.knows(name)) {
        this.follower.hear(name, this.readRecord(name, shown));
      }
    } catch (error) {
      // Nobody waits for an answer here; the next look comes to the same.
      if (!(error instanceof StoreUnreachable)) throw error;
      this.lookAt = 0;
    }
  }

  private news(asked: readonly string[]): Promise<News> {
    return this.ask<News>('news', [this.changes, this.count], asked);
  }

  /** @returns what it throws away when it has no room left. */
  private async meet(): Promise<string> {
    const keys = [this.key, this.count];
    const [, server, policy, total, found] = await this.ask<Hello>('hello', keys, [this.foundKeys[0] ?? '']);
    if (!this.keys) {
      // What other hubs have sealed has to open, and what this one has.
      this.foundKeys = [...new Set([found, ...this.foundKeys])];
      this.cipher = new Cipher(this.foundKeys.flatMap((each) => parseKeys(each) ?? []));
    }
    // Whoever cannot open the newest entry has another key than the other hubs.
    const [, , , , [newest]] = await this.news([String(numberOf(total) - 1), '1', '']);
    if (newest !== undefined) await this.read([newest]);
    this.server = server;
    this.isStrange = false;
    this.heard = numberOf(total);
    return policy;
  }

  private assertMet(): void {
    if (this.server === undefined) throw new StoreUnreachable(this.current.reason ?? 'it has not been asked yet');
  }

  /** Runs a script; every one of them tells the server's time first. */
  private async ask<R extends readonly [now: string, ...unknown[]]>(
    script: ScriptName,
    keys: readonly string[],
    args: readonly string[],
  ): Promise<R> {
    const { clock, redis } = this.surroundings;
    const sentAt = clock.now();
    try {
      const reply = (await redis.run(script, keys, args)) as R;
      const moved = this.time.note(sentAt, clock.now(), Number(reply[0]));
      if (this.server !== undefined && Math.abs(moved) > MOVED_CLOCK_MS) {
        this.surroundings.tell({ event: 'store-clock-moved', seconds: Math.round(moved / 1000) });
        // Nobody waits for this; what it does not come to, the next look does.
        this.mourn().catch(() => undefined);
      }
      return reply;
    } catch (error) {
      // Whether it is away altogether, a look tells.
      this.lookAt = 0;
      const fault = WRITE_FAULTS.find((each) => error instanceof StoreUnreachable && error.reason === each);
      // Before the acquaintance is made it is out of reach, for the same reason.
      if (fault && this.server !== undefined) this.note(fault, true);
      throw error;
    }
  }

  private async write(
    script: 'grant' | 'commit',
    name: string,
    args: readonly string[],
    entry: Entry | undefined,
  ): Promise<Written> {
    this.assertMet();
    const keys = [this.keyOf(name), this.changes, this.count, this.key];
    const [, verdict, heldForMs, ...shown] = await this.ask<Outcome>(script, keys, [name, this.digest, ...args]);
    if (verdict === 'elsewhere') {
      this.isStrange = true;
      this.lookAt = 0;
      throw new StoreUnreachable(LOST_SOMETHING);
    }
    const kept = verdict === 'kept';
    // What was just written need not be read; there, and back again, its instants would suffer a little.
    const stored = this.readRecord(name, shown, kept ? entry : undefined);
    return { kept, stored, ...(verdict === 'held' && { heldForMs: Number(heldForMs) }) };
  }

  private readRecord(name: string, [sealed, revision, doubt]: Shown, known?: Entry): Stored {
    const { toLocal } = this.time;
    const entry = known ?? (sealed === '' ? {} : shifted(this.unseal(name, sealed), toLocal));
    return { entry: doubted(entry, doubt === '' ? undefined : Number(doubt) + toLocal), revision: Number(revision) };
  }

  private seal(name: string, entry: Entry): string {
    return this.cipher.seal(name, JSON.stringify(shifted(entry, this.time.toRemote))).toString('base64');
  }

  private unseal(name: string, sealed: string): Entry {
    try {
      const entry = JSON.parse(this.cipher.open(name, Buffer.from(sealed, 'base64'))) as Entry;
      this.damaged.delete(name);
      return entry;
    } catch (error) {
      if (error instanceof UnknownKey) {
        // Whoever cannot read what others wrote must not act as if nothing were there.
        this.server = undefined;
        throw new StoreUnreachable(
          this.keys
            ? 'what is there is sealed with another key: give all hubs the same STORE_KEY'
            : 'what is there is sealed with another key than the one that lies there: give all hubs the same STORE_KEY or, if none has any, take away what is there',
        );
      }
      if (!this.damaged.has(name)) this.surroundings.tell({ event: 'store-damaged', name });
      this.damaged.add(name);
      return {};
    }
  }
}

/** The number of a change. Whoever may write may write anything in its place, which must not be kept here for ever. */
function numberOf(text: string): number {
  return /^\d{1,15}$/.test(text) ? Number(text) : 0;
}

/** A change as it was published, if it is one: whoever may publish may publish anything. */
function readMessage(text: string): Message | undefined {
  try {
    return message.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
