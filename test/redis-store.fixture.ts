import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { redisSettingsOf } from '../src/config/redis-settings.js';
import type { Secret } from '../src/config/secret.js';
import { type Clock, SteadyClock } from '../src/credentials/clock.js';
import { RedisConnection } from '../src/credentials/store/redis.connection.js';
import type { RedisPort } from '../src/credentials/store/redis.port.js';
import { RedisStore } from '../src/credentials/store/redis.store.js';
import {
  type Entry,
  type Follower,
  type Stored,
  type StoreEvent,
  StoreUnreachable,
} from '../src/credentials/store/store.js';
import { RedisServer } from './redis.fixture.js';

const PATIENCE_MS = 10_000;

/** Waits for what comes over the network by itself. */
export async function until<T>(look: () => T | Promise<T>): Promise<NonNullable<Awaited<T>>> {
  const patience = AbortSignal.timeout(PATIENCE_MS);
  for (;;) {
    const found = await look();
    if (found) return found;
    if (patience.aborted) throw new Error('it did not come');
    await delay(5);
  }
}

/** A hub as far as its store goes: its clock and its ear for messages are the test's. */
export class StoreHub implements Follower, Clock {
  readonly store: RedisStore;
  readonly heard: [name: string, stored: Stored][] = [];
  readonly events: StoreEvent[] = [];
  mourned = 0;
  /** What looking at everything comes to. */
  looking = Promise.resolve();
  /** Whether messages get lost on the way here. */
  isDeaf = false;
  missed = 0;
  /** By how much the clock of Redis was moved. */
  private remoteMs = 0;
  private passedMs: number;
  private readonly steady = new SteadyClock();
  private readonly redis: RedisConnection;

  private constructor(url: string, prefix: string, keys: Secret | undefined, skewMs: number) {
    const settings = redisSettingsOf(url);
    if (!settings) throw new Error(`${url} is no address of a Redis server`);
    this.passedMs = skewMs;
    this.redis = new RedisConnection(settings);
    const port: RedisPort = {
      run: async (script, keys, args) => {
        const [now, ...reply] = (await this.redis.run(script, keys, args)) as [string, ...unknown[]];
        return [String(Number(now) + this.remoteMs), ...reply];
      },
      listen: (channel, hear) => {
        this.redis.listen(channel, (message) => {
          if (this.isDeaf) this.missed += 1;
          else hear(message);
        });
      },
      close: () => this.redis.close(),
    };
    this.store = new RedisStore(
      { redis: port, clock: this, tell: (event) => void this.events.push(event) },
      prefix,
      keys,
    );
  }

  /** A hub that is connected, but has not opened its store. */
  static async connect(
    { url }: RedisServer,
    prefix: string,
    { keys, skewMs = 0 }: { readonly keys?: Secret; readonly skewMs?: number } = {},
  ): Promise<StoreHub> {
    const hub = new StoreHub(url, prefix, keys, skewMs);
    await until(() => hub.isConnected());
    return hub;
  }

  async open(): Promise<void> {
    // A busy machine may keep Redis from answering in time.
    await until(() =>
      this.store.open().then(
        () => true,
        (error: unknown) => {
          if (error instanceof StoreUnreachable) return false;
          throw error;
        },
      ),
    );
    this.store.follow(this);
  }

  async isConnected(): Promise<boolean> {
    return this.redis.run('read', [], []).then(
      () => true,
      () => false,
    );
  }

  now(): number {
    return this.steady.now() + this.passedMs;
  }

  drift(): number {
    return 0;
  }

  /** Lets time pass, here and at Redis. */
  pass(ms: number): void {
    this.passedMs += ms;
    this.remoteMs += ms;
  }

  moveClockOfRedis(ms: number): void {
    this.remoteMs += ms;
  }

  knows(name: string): boolean {
    return !name.startsWith('stranger');
  }

  hear(name: string, stored: Stored): void {
    this.heard.push([name, stored]);
  }

  mourn(): Promise<void> {
    this.mourned += 1;
    return this.looking;
  }

  /** What it has heard of a name last. */
  valueOf(name: string): string | undefined {
    return this.heard.findLast(([each]) => each === name)?.[1].entry.credential?.value;
  }

  async write(name: string, value: string): Promise<void> {
    const { revision } = (await this.store.load([name])).get(name) ?? { revision: 0 };
    const { kept } = await this.store.put(name, revision, entry(value, this.now()));
    if (!kept) throw new Error('somebody else wrote');
  }

  async read(name: string): Promise<Entry | undefined> {
    return (await this.store.load([name])).get(name)?.entry;
  }
}

/** An entry with a value that was asked for at an instant, and lives for two hours. */
export function entry(value: string, issuedAt: number): Entry {
  return { credential: { value, issuedAt, expiresAt: issuedAt + 7_200_000, version: 1 } };
}

/** Hubs on one Redis server of a test's own, each test with a corner of it for itself. */
export class Stage {
  readonly hubs: StoreHub[] = [];
  private server: RedisServer | undefined;
  private corner = '';

  /** A stage for the tests of a file: there before the first of them, and cleared after each. */
  static forTests(): Stage {
    const stage = new Stage();
    beforeAll(() => stage.start());
    afterAll(() => stage.redis.stop());
    beforeEach(() => (stage.corner = `test-${randomUUID()}`));
    afterEach(() => stage.clear());
    return stage;
  }

  get redis(): RedisServer {
    if (!this.server) throw new Error('there is no Redis yet');
    return this.server;
  }

  /** What the names of everything in Redis begin with. */
  get prefix(): string {
    return this.corner;
  }

  private async start(): Promise<void> {
    this.server = await RedisServer.start('--rdbcompression', 'no');
  }

  private async clear(): Promise<void> {
    this.redis.thaw();
    for (const hub of this.hubs.splice(0)) await hub.store.close();
  }

  readonly connect = async (...more: More): Promise<StoreHub> => {
    const hub = await StoreHub.connect(this.redis, this.prefix, ...more);
    this.hubs.push(hub);
    return hub;
  };

  readonly open = async (...more: More): Promise<StoreHub> => {
    const hub = await this.connect(...more);
    await hub.open();
    return hub;
  };

  readonly keyOf = (name: string): string => `{${this.prefix}}:entry:${name}`;
}

type More = Parameters<typeof StoreHub.connect> extends [unknown, unknown, ...infer M] ? M : never;
