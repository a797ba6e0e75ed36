import { Redis } from 'ioredis';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { LoneSource } from '../../../test/lone-source.fixture.js';
import { RedisServer } from '../../../test/redis.fixture.js';
import { redisSettingsOf } from '../../config/redis-settings.js';
import { newKey } from '../../config/random-keys.js';
import { Secret } from '../../config/secret.js';
import { officialAccount } from '../../wechat/platforms/official-account.js';
import type { WechatAnswer, WechatCall } from '../../wechat/wechat.client.js';
import { WechatRefusal } from '../../wechat/wechat.error.js';
import { type Clock, SteadyClock } from '../clock.js';
import { CredentialsService } from '../credentials.service.js';
import type { Source } from '../source.js';
import { RedisConnection } from './redis.connection.js';
import type { RedisPort } from './redis.port.js';
import { RedisStore } from './redis.store.js';
import {
  type Entry,
  type Follower,
  LEASE_MS,
  type Stored,
  type StoreEvent,
  type StoreFault,
  StoreRefused,
  StoreUnreachable,
} from './store.js';

const PATIENCE_MS = 10_000;
const MONTH_SECONDS = 30 * 86_400;

/** Waits for what comes over the network by itself. */
async function until<T>(look: () => T | Promise<T>): Promise<NonNullable<Awaited<T>>> {
  const patience = AbortSignal.timeout(PATIENCE_MS);
  for (;;) {
    const found = await look();
    if (found) return found;
    if (patience.aborted) throw new Error('it did not come');
    await delay(5);
  }
}

/** A hub as far as its store goes: its clock and its ear for messages are the test's. */
class Hub implements Follower, Clock {
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
  ): Promise<Hub> {
    const hub = new Hub(url, prefix, keys, skewMs);
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

function entry(value: string, issuedAt: number): Entry {
  return { credential: { value, issuedAt, expiresAt: issuedAt + 7_200_000, version: 1 } };
}

describe('the store that hubs share', () => {
  let redis: RedisServer;
  let prefix: string;
  let hubs: Hub[];
  beforeAll(async () => (redis = await RedisServer.start('--rdbcompression', 'no')));
  afterAll(() => redis.stop());
  beforeEach(() => {
    prefix = `test-${randomUUID()}`;
    hubs = [];
  });
  afterEach(async () => {
    redis.thaw();
    for (const hub of hubs) await hub.store.close();
  });

  async function connect(
    ...more: Parameters<typeof Hub.connect> extends [unknown, unknown, ...infer M] ? M : never
  ): Promise<Hub> {
    const hub = await Hub.connect(redis, prefix, ...more);
    hubs.push(hub);
    return hub;
  }

  async function open(...more: Parameters<typeof connect>): Promise<Hub> {
    const hub = await connect(...more);
    await hub.open();
    return hub;
  }

  const keyOf = (name: string): string => `{${prefix}}:entry:${name}`;

  describe('as for news,', () => {
    it('lets every hub hear at once what another one wrote', async () => {
      const [one, other] = [await open(), await open()];
      await until(async () => ((await redis.ask('PUBSUB', 'NUMSUB', `{${prefix}}:changes`)) as unknown[])[1] === 2);
      await one.write('shop', 'A');
      expect(await until(() => other.valueOf('shop'))).toBe('A');
    });

    it('finds by looking, every two seconds, what was not heard', async () => {
      const [one, other] = [await open(), await open()];
      other.isDeaf = true;
      await one.write('shop', 'A');
      await one.write('crm', 'B');
      other.pass(1500);
      await other.store.catchUp();
      expect(other.heard).toEqual([]);
      other.pass(500);
      await other.store.catchUp();
      expect([other.valueOf('shop'), other.valueOf('crm')]).toEqual(['A', 'B']);
      expect(other.mourned).toBe(0);
    });

    it('looks at once when a message shows that one before it was lost', async () => {
      const [one, other] = [await open(), await open()];
      await until(async () => ((await redis.ask('PUBSUB', 'NUMSUB', `{${prefix}}:changes`)) as unknown[])[1] === 2);
      other.isDeaf = true;
      await one.write('shop', 'A');
      await until(() => other.missed);
      other.isDeaf = false;
      await one.write('crm', 'B');
      await until(() => other.valueOf('crm'));
      await other.store.catchUp();
      expect(other.valueOf('shop')).toBe('A');
    });

    it('finds as much as there is, were it thousands', async () => {
      const [one, other] = [await open(), await open()];
      other.isDeaf = true;
      const names = Array.from({ length: 2100 }, (_, i) => `app-${i}`);
      for (let from = 0; from < names.length; from += 25) {
        await Promise.all(names.slice(from, from + 25).map((name) => one.store.put(name, 0, entry(name, one.now()))));
      }
      other.pass(2000);
      await other.store.catchUp();
      expect(names.filter((name) => other.valueOf(name) !== name)).toEqual([]);
    });

    /** Lets more change at once than Redis remembers the names of. */
    const changeMuch = async (): Promise<void> => {
      const changes = `redis.call('DEL', KEYS[1])
        for number = 1, 10000 do redis.call('ZADD', KEYS[1], number + 5, 'app-' .. number) end`;
      const keys = [`{${prefix}}:changes`, `{${prefix}}:changes:count`];
      await redis.ask('EVAL', `${changes} redis.call('SET', KEYS[2], 10005)`, keys.length, ...keys);
    };

    it('has not caught up before everything was looked at, and looks again if that came to nothing', async () => {
      const [one, other] = [await open(), await open()];
      other.isDeaf = true;
      await one.write('shop', 'A');
      await changeMuch();
      other.looking = Promise.reject(new StoreUnreachable('ECONNRESET'));
      other.pass(2000);
      await other.store.catchUp();
      expect([other.mourned, other.store.status.reachable]).toEqual([1, false]);

      let isLookedAt = false;
      other.looking = delay(20).then(() => void (isLookedAt = true));
      other.pass(2000);
      await other.store.catchUp();
      expect([other.mourned, isLookedAt, other.store.status.reachable]).toEqual([2, true, true]);
    });

    it('says that something may be lost where more was changed than it remembers', async () => {
      const [one, other] = [await open(), await open()];
      other.isDeaf = true;
      await one.write('shop', 'A');
      await changeMuch();
      other.pass(2000);
      await other.store.catchUp();
      expect(other.mourned).toBe(1);
      // From there on it goes as usual.
      await one.write('crm', 'B');
      other.pass(2000);
      await other.store.catchUp();
      expect([other.valueOf('crm'), other.mourned]).toEqual(['B', 1]);
    });

    it.each(['garbage', '{}', 'null', '7', '["x",{},[],null,1]'])(
      'passes over what no hub has published, and hears on: %s',
      async (garbage) => {
        const [one, other] = [await open(), await open()];
        await redis.ask('PUBLISH', `{${prefix}}:changes`, garbage);
        await one.write('shop', 'A');
        await until(() => other.valueOf('shop'));
        expect([other.valueOf('shop'), other.store.status.reachable, other.events]).toEqual(['A', true, []]);
      },
    );

    it('notices that it has not looked for long, as after a stop, and looks', async () => {
      const [one, other] = [await open(), await open()];
      other.isDeaf = true;
      await one.write('shop', 'A');
      expect(other.store.isBehind()).toBe(false);
      other.pass(10_001);
      expect(other.store.isBehind()).toBe(true);
      await other.store.catchUp();
      expect([other.valueOf('shop'), other.store.isBehind()]).toEqual(['A', false]);
    });
  });

  describe('as for clocks,', () => {
    it('means the same instant to hubs whose clocks are hours apart', async () => {
      const [ahead, behind] = [await open({ skewMs: 3_600_000 }), await open({ skewMs: -7_200_000 })];
      await ahead.write('shop', 'A');
      const expiresIn = ((await behind.read('shop'))?.credential?.expiresAt ?? 0) - behind.now();
      expect(expiresIn).toBeLessThanOrEqual(7_200_000);
      expect(expiresIn).toBeGreaterThan(7_190_000);
    });

    it('means the same instant by a call that may have come in between', async () => {
      const [ahead, behind] = [await open({ skewMs: 3_600_000 }), await open({ skewMs: -7_200_000 })];
      const { lease } = await ahead.store.grant('shop', 0);
      if (!lease) throw new Error('the lease was not given');
      await redis.ageLeases(prefix, LEASE_MS + 1);
      await behind.store.grant('shop', 0);
      const calledAgo = 5000;
      const { kept, stored } = await ahead.store.commit(lease, {}, ahead.now() - calledAgo);
      expect(kept).toBe(false);
      for (const [hub, { intents: [at = 0] = [] }] of [
        [ahead, stored.entry],
        [behind, (await behind.read('shop')) ?? {}],
      ] as const) {
        expect(hub.now() - at).toBeGreaterThanOrEqual(calledAgo);
        expect(hub.now() - at).toBeLessThan(calledAgo + 5000);
      }
    });

    it.each([3600, -3600])(
      'notices that the clock of Redis was moved by %d s, and lets everything be compared',
      async (seconds) => {
        const hub = await open();
        await hub.write('shop', 'A');
        hub.moveClockOfRedis(seconds * 1000);
        await hub.write('crm', 'B');
        expect([hub.events, hub.mourned]).toEqual([[{ event: 'store-clock-moved', seconds }], 1]);
        const { expiresAt = 0 } = (await hub.read('crm'))?.credential ?? {};
        expect(Math.abs(expiresAt - hub.now() - 7_200_000)).toBeLessThan(10_000);
        expect(hub.mourned).toBe(1);
      },
    );
  });

  describe('as for its key,', () => {
    const key = (): string => newKey();

    it('is one that all hubs find in Redis, where they were given none, whoever comes first', async () => {
      const opened = await Promise.all([connect(), connect(), connect()]);
      await Promise.all(opened.map((hub) => hub.open()));
      for (const [index, hub] of opened.entries()) await hub.write(`by-${index}`, 'A');
      for (const hub of opened) {
        for (const index of opened.keys()) expect((await hub.read(`by-${index}`))?.credential?.value).toBe('A');
      }
    });

    it('lets a hub with another one say so, and what to do, instead of acting as if nothing were there', async () => {
      const one = await open({ keys: new Secret(key()) });
      await one.write('shop', 'A');
      for (const [keys, more] of [
        [new Secret(key()), ''],
        [undefined, ' or, if none has any, take away what is there'],
      ] as const) {
        const other = await connect(keys ? { keys } : {});
        const refusal = other.store.open();
        await expect(refusal).rejects.toThrow(StoreUnreachable);
        await expect(refusal).rejects.toThrow(`give all hubs the same STORE_KEY${more}`);
        await expect(other.store.load(['shop'])).rejects.toThrow(StoreUnreachable);
        await expect(other.store.put('shop', 0, {})).rejects.toThrow(StoreUnreachable);
        await expect(other.store.grant('shop', 0)).rejects.toThrow(StoreUnreachable);
        await other.store.catchUp();
        expect(other.store.status).toMatchObject({ reachable: false });
        expect(other.store.status.reason).toContain('STORE_KEY');
        expect(other.events).toEqual([{ event: 'store-away', reason: other.store.status.reason }]);
      }
      expect((await one.read('shop'))?.credential?.value).toBe('A');
    });

    it('lets those that are there say so when one with another key has written', async () => {
      const [own, foreign] = [new Secret(key()), new Secret(key())];
      const [one, stranger] = [await open({ keys: own }), await open({ keys: foreign })];
      one.isDeaf = true;
      await stranger.write('shop', 'A');
      one.pass(2000);
      await one.store.catchUp();
      expect(one.store.status.reason).toContain('STORE_KEY');
      await expect(one.store.grant('shop', 1)).rejects.toThrow(StoreUnreachable);
    });

    it('can be changed in peace: the first seals, every one opens', async () => {
      const [old, next] = [key(), key()];
      const before = await open({ keys: new Secret(old) });
      await before.write('shop', 'A');
      const between = await open({ keys: new Secret(`${old},${next}`) });
      const after = await open({ keys: new Secret(`${next},${old}`) });
      await after.write('crm', 'B');
      expect((await between.read('crm'))?.credential?.value).toBe('B');
      expect((await after.read('shop'))?.credential?.value).toBe('A');
    });

    it('is refused when it is none', () => {
      const settings = redisSettingsOf(redis.url);
      if (!settings) throw new Error('no address');
      const silent: RedisPort = {
        run: () => Promise.resolve([]),
        listen: () => undefined,
        close: () => Promise.resolve(),
      };
      const surroundings = { redis: silent, clock: new SteadyClock(), tell: () => undefined };
      expect(() => new RedisStore(surroundings, prefix, new Secret('hush'))).toThrow(StoreRefused);
      expect(() => new RedisStore(surroundings, prefix, new Secret('hush'))).toThrow(
        /^STORE_KEY must be 32 random bytes/,
      );
    });
  });

  describe('as for what was tampered with,', () => {
    it('passes an entry over that does not open, tells its name, and takes a new one in its place', async () => {
      const hub = await open();
      await hub.write('shop', 'A');
      await hub.write('crm', 'B');
      const sealed = Buffer.from(String(await redis.ask('HGET', keyOf('shop'), 'entry')), 'base64');
      sealed[sealed.length - 1] = (sealed.at(-1) ?? 0) ^ 1;
      await redis.ask('HSET', keyOf('shop'), 'entry', sealed.toString('base64'));
      expect([await hub.read('shop'), (await hub.read('crm'))?.credential?.value]).toEqual([{}, 'B']);
      expect(hub.events).toEqual([{ event: 'store-damaged', name: 'shop' }]);
      await hub.write('shop', 'C');
      expect((await hub.read('shop'))?.credential?.value).toBe('C');
    });

    it.each([
      ['nothing that was ever sealed', 'hush'],
      ['nothing at all but a space', ' '],
    ])('passes over %s', async (_, text) => {
      const hub = await open();
      await hub.write('shop', 'A');
      await redis.ask('HSET', keyOf('shop'), 'entry', text);
      expect(await hub.read('shop')).toEqual({});
      expect(hub.events).toEqual([{ event: 'store-damaged', name: 'shop' }]);
    });

    it('does not take the entry of one name for that of another', async () => {
      const hub = await open();
      await hub.write('shop', 'A');
      await hub.write('crm', 'B');
      await redis.ask('HSET', keyOf('crm'), 'entry', String(await redis.ask('HGET', keyOf('shop'), 'entry')));
      expect(await hub.read('crm')).toEqual({});
      expect(hub.events).toEqual([{ event: 'store-damaged', name: 'crm' }]);
    });

    it('tells of what does not open once, and again when it was whole in between', async () => {
      const hub = await open();
      await hub.write('shop', 'A');
      for (let time = 0; time < 3; time += 1) {
        await redis.ask('HSET', keyOf('shop'), 'entry', 'hush');
        for (let look = 0; look < 5; look += 1) await hub.read('shop');
        await hub.write('shop', 'B');
        await hub.read('shop');
      }
      expect(hub.events).toEqual(Array.from({ length: 3 }, () => ({ event: 'store-damaged', name: 'shop' })));
    });

    it('has no ear for names that are none of its own, however many are published or listed', async () => {
      const hub = await open();
      await hub.write('shop', 'A');
      for (let i = 0; i < 100; i += 1) {
        const message = ['9', `stranger-${i}`, 'hush', '9', ''];
        await redis.ask('PUBLISH', `{${prefix}}:changes`, JSON.stringify(message));
        await redis.ask('ZADD', `{${prefix}}:changes`, '1', `stranger-${i}`);
        await redis.ask('HSET', keyOf(`stranger-${i}`), 'entry', 'hush', 'revision', '1');
      }
      await hub.write('shop', 'B');
      await until(() => hub.valueOf('shop') === 'B');
      hub.pass(2000);
      await hub.store.catchUp();
      expect(hub.events).toEqual([]);
      expect(new Set(hub.heard.map(([name]) => name))).toEqual(new Set(['shop']));
    });

    it.each([
      ['a change without a number', ['ZADD', 'changes', 'inf', 'shop']],
      ['a thousand of them', ['ZADD', 'changes', ...Array.from({ length: 1000 }, (_, i) => ['inf', `x${i}`]).flat()]],
      ['a change that nobody has counted', ['ZADD', 'changes', '1000000', 'shop']],
      ['a count that is none', ['SET', 'changes:count', 'inf']],
      ['a count that is a text', ['SET', 'changes:count', 'many']],
      ['a count that goes no further', ['SET', 'changes:count', '9223372036854775807']],
      ['no count', ['DEL', 'changes:count']],
      ['a list of changes that is a text', ['SET', 'changes', 'x']],
    ])(
      'is itself again once %s is taken away, and what was written since is heard',
      async (_, [command, key, ...rest]) => {
        const [hub, other] = [await open(), await open()];
        await hub.write('shop', 'A');
        await redis.ask(command ?? '', `{${prefix}}:${key}`, ...rest);
        for (let look = 0; look < 3; look += 1) {
          for (const each of [hub, other]) {
            each.pass(2000);
            await each.store.catchUp();
          }
        }
        await redis.ask('DEL', `{${prefix}}:changes`, `{${prefix}}:changes:count`);
        other.isDeaf = true;
        for (const each of [hub, other]) {
          each.pass(2000);
          await each.store.catchUp();
        }
        await hub.write('shop', 'B');
        other.pass(2000);
        await other.store.catchUp();
        expect([other.store.status.reachable, other.valueOf('shop')]).toEqual([true, 'B']);
        const before = other.events.length;
        other.pass(2000);
        await other.store.catchUp();
        expect(other.events.slice(before)).toEqual([]);
      },
    );

    it('opens all the same when it is the newest entry that is damaged', async () => {
      await (await open()).write('shop', 'A');
      await redis.ask('HSET', keyOf('shop'), 'entry', 'hush');
      const next = await open();
      expect(next.events).toEqual([{ event: 'store-damaged', name: 'shop' }]);
    });
  });

  describe('as for a Redis that may forget,', () => {
    afterEach(() => redis.ask('CONFIG', 'SET', 'maxmemory-policy', 'noeviction'));

    it.each(['allkeys-lru', 'volatile-ttl'])('refuses %s, names the setting and says what to do', async (policy) => {
      await redis.ask('CONFIG', 'SET', 'maxmemory-policy', policy);
      const hub = await connect();
      const refusal = hub.store.open();
      await expect(refusal).rejects.toThrow(StoreRefused);
      await expect(refusal).rejects.toThrow(
        `Redis may throw away what it keeps: its maxmemory-policy is ${policy}. Set it to noeviction.`,
      );
    });

    it('goes on when it is made so while hubs are in service, and says so, and when that is over', async () => {
      const hub = await open();
      for (const policy of ['volatile-lru', 'noeviction']) {
        await redis.ask('CONFIG', 'SET', 'maxmemory-policy', policy);
        for (let look = 0; look < 2; look += 1) {
          hub.pass(2000);
          await hub.store.catchUp();
        }
        await hub.write('shop', policy);
        expect([policy, hub.store.status.reachable, [...hub.store.status.faults]]).toEqual([
          policy,
          true,
          policy === 'noeviction' ? [] : ['eviction'],
        ]);
      }
      expect(hub.events).toEqual([
        { event: 'store-fault', fault: 'eviction' },
        { event: 'store-fault-over', fault: 'eviction' },
      ]);
    });

    it('does with one that it meets only when it is in service', async () => {
      await redis.ask('CONFIG', 'SET', 'maxmemory-policy', 'volatile-lru');
      const hub = await connect();
      await hub.store.catchUp();
      expect(hub.store.status).toMatchObject({ reachable: true, faults: new Set(['eviction']) });
      await hub.write('shop', 'A');
    });
  });

  describe('as for a Redis that takes no writes,', () => {
    let frail: RedisServer;
    beforeEach(async () => (frail = await RedisServer.start()));
    afterEach(() => frail.stop());

    const set = (name: string, value: string) => (): Promise<unknown> => frail.ask('CONFIG', 'SET', name, value);
    const saves = async (status: 'ok' | 'err'): Promise<void> => {
      await frail.ask('BGSAVE');
      await until(async () => String(await frail.ask('INFO', 'persistence')).includes(`bgsave_status:${status}`));
    };

    it.each<[StoreFault, spoil: () => Promise<unknown>, mend: () => Promise<unknown>]>([
      ['OOM', set('maxmemory', '1'), set('maxmemory', '0')],
      ['NOREPLICAS', set('min-replicas-to-write', '1'), set('min-replicas-to-write', '0')],
      ['READONLY', () => frail.ask('REPLICAOF', '127.0.0.1', '1'), () => frail.ask('REPLICAOF', 'NO', 'ONE')],
      [
        'MISCONF',
        async () => {
          await set('save', '3600 1000')();
          mkdirSync(frail.dump);
          await saves('err');
        },
        async () => {
          rmdirSync(frail.dump);
          await saves('ok');
        },
      ],
    ])('says so once, lets read, and says when it is over: %s', async (fault, spoil, mend) => {
      const hub = await Hub.connect(frail, prefix);
      hubs.push(hub);
      await hub.open();
      await hub.write('shop', 'A');
      await spoil();
      for (let time = 0; time < 2; time += 1) {
        await expect(hub.store.grant('shop', 1)).rejects.toThrow(fault);
        await until(() => hub.isConnected());
        hub.pass(2000);
        await hub.store.catchUp();
        expect([hub.store.status.reachable, [...hub.store.status.faults]]).toEqual([true, [fault]]);
      }
      expect((await hub.read('shop'))?.credential?.value).toBe('A');
      await mend();
      hub.pass(2000);
      await hub.store.catchUp();
      expect(hub.store.status.faults).toEqual(new Set());
      expect((await hub.store.grant('shop', 1)).lease).toBeDefined();
      expect(hub.events).toEqual([
        { event: 'store-fault', fault },
        { event: 'store-fault-over', fault },
      ]);
    });

    it('is met all the same by a hub without a key of its own, where there is one', async () => {
      const [one, other] = [await Hub.connect(frail, prefix), await Hub.connect(frail, prefix)];
      hubs.push(one, other);
      await one.open();
      await one.write('shop', 'A');
      await set('maxmemory', '1')();
      await other.open();
      expect((await other.read('shop'))?.credential?.value).toBe('A');
    });
  });

  describe('as for what is in Redis,', () => {
    /** Everything that Redis is asked while something happens: by whom, `lua` for what scripts do. */
    async function watched(work: () => Promise<void>): Promise<{ readonly by: string; readonly args: string[] }[]> {
      const client = new Redis(redis.url);
      const monitor = await client.monitor();
      const seen: { by: string; args: string[] }[] = [];
      monitor.on('monitor', (_: string, args: string[], by: string) => seen.push({ by, args }));
      await work();
      const last = randomUUID();
      await redis.ask('ECHO', last);
      await until(() => seen.some(({ args }) => args.includes(last)));
      monitor.disconnect();
      client.disconnect();
      return seen;
    }

    /** How often each command was called since something began. */
    async function counted(work: () => Promise<unknown>): Promise<Readonly<Record<string, number>>> {
      await redis.ask('CONFIG', 'RESETSTAT');
      await work();
      const stats = String(await redis.ask('INFO', 'commandstats'));
      return Object.fromEntries(
        [...stats.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)].map(([, name = '', calls]) => [name, Number(calls)]),
      );
    }

    const appSecret = randomBytes(16).toString('hex');
    let minted: string[];

    /** Hubs with all that is in them, of an app whose secrets are easy to find. */
    function serviceOn(hub: Hub): CredentialsService {
      const answers: Readonly<Record<string, () => WechatAnswer>> = {
        '/cgi-bin/token': () => ({ access_token: mint(), expires_in: 7200 }),
        '/cgi-bin/ticket/getticket': () => ({ ticket: mint(), expires_in: 7200 }),
      };
      const mint = (): string => {
        const value = randomBytes(24).toString('hex');
        minted.push(value);
        return value;
      };
      const wechat = {
        call: (_: unknown, call: WechatCall): Promise<WechatAnswer> => {
          const answer = answers[call.path];
          if (call.query?.['type'] === 'wx_card')
            throw new WechatRefusal('wechat', 40164, `not with ${minted[0] ?? ''}`, true);
          return answer ? Promise.resolve(answer()) : Promise.reject(new Error(call.path));
        },
      };
      const { store } = hub;
      return new CredentialsService(
        { clock: hub, replica: 'hub', random: () => 0, sleep: (ms) => delay(ms), store, wechat, tell: () => undefined },
        { burst: 3, everyMs: 30_000 },
      );
    }

    async function serve(hub: Hub): Promise<CredentialsService> {
      const service = serviceOn(hub);
      const written = { appid: 'wx1', secret: 'x', endpoint: 'classic' };
      await service.apply(
        new Map([['shop', officialAccount.schema(z.any().transform(() => new Secret(appSecret))).parse(written)]]),
      );
      return service;
    }

    const tokenOf = (service: CredentialsService): Source => {
      const source = service.app('shop')?.accessToken;
      if (!source) throw new Error('the app is not there');
      return source;
    };

    beforeEach(() => (minted = []));

    it('nothing can be read: no value, no AppSecret, and not what WeChat said', async () => {
      const keys = new Secret(newKey());
      const [one, other] = [await serve(await open({ keys })), await serve(await open({ keys }))];
      const seen = await watched(async () => {
        const token = await one.app('shop')?.accessToken.get();
        await one.app('shop')?.ticket('jsapi')?.get();
        await expect(one.app('shop')?.ticket('wx_card')?.get()).rejects.toThrow('no usable credential');
        const source = other.app('shop')?.accessToken;
        if (source) await other.app('shop')?.rotate(source, token?.value ?? '');
      });
      await redis.save();
      const dump = readFileSync(redis.dump, 'latin1');
      const told = JSON.stringify(seen);
      expect(minted.length).toBeGreaterThanOrEqual(3);
      for (const secret of [...minted, appSecret, keys.reveal(), '40164', 'expiresAt']) {
        expect([secret, dump.includes(secret), told.includes(secret)]).toEqual([secret, false, false]);
      }
      // Which apps there are is no secret; and so it is shown that it could be found.
      expect([
        dump.includes('weixin/wx1/classic/access-token'),
        told.includes('weixin/wx1/classic/access-token'),
      ]).toEqual([true, true]);
    });

    it('all keys have one hash tag, so that one node of a cluster has them all, and none is looked for', async () => {
      const hub = await connect();
      const seen = await watched(async () => {
        await hub.open();
        const service = await serve(hub);
        const source = service.app('shop')?.accessToken;
        const token = await source?.get();
        await service.app('shop')?.ticket('jsapi')?.get();
        if (source) await service.app('shop')?.rotate(source, token?.value ?? '');
        hub.pass(2000);
        await hub.store.catchUp();
        await service.drain();
      });
      const commands = seen.map(({ args: [name = ''] }) => name.toLowerCase());
      expect(
        commands.filter((name) => ['keys', 'scan', 'hscan', 'sscan', 'zscan', 'randomkey'].includes(name)),
      ).toEqual([]);
      // What the library asks when it connects has no keys.
      const named = seen.filter(({ by }) => by === 'lua').map(({ args: [, key = ''] }) => key);
      const keys = named.filter((key) => !['memory', 'server', ''].includes(key));
      expect(keys.filter((key) => !key.startsWith(`{${prefix}}:`))).toEqual([]);
      expect(new Set(keys).size).toBeGreaterThanOrEqual(5);
      for (const { args } of seen.filter(({ args: [name = ''] }) => /^evalsha$/i.test(name))) {
        const own = args.slice(3, 3 + Number(args[2]));
        expect(own.filter((key) => !key.startsWith(`{${prefix}}:`))).toEqual([]);
      }
    });

    it('a refresh costs two commands, a rotation three, a look one, a read none', async () => {
      const hub = await open();
      const service = await serve(hub);
      const source = tokenOf(service);
      // Once, so that Redis knows the scripts.
      await service.app('shop')?.ticket('jsapi')?.get();
      const { value } = await source.get();
      const refresh = await counted(() => source.replace(value, () => undefined));
      const rotation = await counted(async () => service.app('shop')?.rotate(source, (await source.get()).value));
      const look = await counted(async () => {
        hub.pass(2000);
        await hub.store.catchUp();
      });
      const reads = await counted(async () => {
        for (let time = 0; time < 1000; time += 1) await source.get();
      });
      expect([refresh, rotation, look, reads].map(({ evalsha = 0, eval: first = 0 }) => evalsha + first)).toEqual([
        2, 3, 1, 0,
      ]);
      // Inside Redis: reading the record, writing it, telling of it.
      const { evalsha: _, ping: __, hello: ___, config: ____, info: _____, client: ______, ...inner } = refresh;
      expect(Object.values(inner).reduce((sum, calls) => sum + calls, 0)).toBeLessThanOrEqual(24);
    });

    it('a record is forgotten when nobody has written it for a month, with a lease or without', async () => {
      const hub = await open();
      await hub.write('shop', 'A');
      await hub.store.grant('crm', 0);
      await hub.store.grant('pos', 0, { intents: [hub.now()] });
      for (const name of ['shop', 'crm', 'pos']) {
        const seconds = Number(await redis.ask('TTL', keyOf(name)));
        expect([name, seconds > MONTH_SECONDS - 60, seconds <= MONTH_SECONDS]).toEqual([name, true, true]);
      }
      await redis.ask('EXPIRE', keyOf('shop'), 100);
      await hub.write('shop', 'B');
      expect(await redis.ask('TTL', keyOf('shop'))).toBeGreaterThan(100);
    });

    it('a record that somebody takes away is soon there again, and newer than it was', async () => {
      const hub = await open();
      const service = await serve(hub);
      const { value } = await tokenOf(service).get();
      const [key = ''] = (await redis.namesOf(prefix)).filter((each) => each.endsWith('access-token'));
      const revision = Number(await redis.ask('HGET', key, 'revision'));
      await redis.ask('DEL', key);
      await until(() => {
        hub.pass(10_000);
        service.renewDue();
        return redis.ask('EXISTS', key);
      });
      expect(Number(await redis.ask('HGET', key, 'revision'))).toBeGreaterThan(revision);
      expect([(await hub.read(tokenOf(service).name))?.credential?.value, minted]).toEqual([value, [value]]);
    });

    it('there is one record for each name, however often it is written', async () => {
      const hub = await open();
      for (const value of ['A', 'B', 'C']) await hub.write('shop', value);
      const lease = (await hub.store.grant('shop', 3)).lease;
      if (lease) await hub.store.commit(lease, entry('D', hub.now()));
      expect((await redis.namesOf(prefix)).sort()).toEqual(
        [keyOf('shop'), `{${prefix}}:changes`, `{${prefix}}:changes:count`, `{${prefix}}:key`].sort(),
      );
    });
  });

  describe('that is frozen', () => {
    it('is known to be away in half a second, and reads go on from memory', async () => {
      const hub = await open();
      let asked = 0;
      const source = new LoneSource(
        'shop',
        () => Promise.resolve({ value: `T${(asked += 1)}`, expiresIn: 7200 }),
        { supersedesAfterMs: 300_000 },
        {
          now: () => hub.now(),
          replica: 'hub',
          random: () => 0,
          sleep: (ms) => delay(ms),
          store: hub.store,
          tell: () => undefined,
          plan: () => undefined,
        },
      );
      const credential = await source.get();
      redis.freeze();
      const startedAt = performance.now();
      await expect(hub.store.put('crm', 0, {})).rejects.toThrow(new StoreUnreachable('no answer within 500 ms'));
      const took = performance.now() - startedAt;
      expect(took).toBeGreaterThan(400);
      expect(took).toBeLessThan(3000);
      expect(await source.get()).toEqual(credential);
      await expect(source.replace(credential.value, () => undefined)).rejects.toMatchObject({
        cause: expect.any(StoreUnreachable) as unknown,
      });
      expect([await source.get(), asked]).toEqual([credential, 1]);
      await hub.store.catchUp();
      await hub.store.catchUp();
      expect(hub.store.status).toMatchObject({ reachable: false, reason: 'no answer within 500 ms' });
      redis.thaw();
      await until(async () => {
        hub.pass(1000);
        await hub.store.catchUp();
        return hub.store.status.reachable;
      });
      expect(hub.events.map(({ event }) => event)).toEqual(['store-away', 'store-back']);
      expect((await hub.read('shop'))?.credential?.value).toBe('T1');
    });
  });

  describe('whose Redis comes back as another process', () => {
    /** Asks until the connection is there again. */
    const reconnected = (hub: Hub): Promise<unknown> => until(() => hub.isConnected());

    /** Takes everything from it, and lets these look as soon as they are connected again. */
    const loseEverything = async (...hubs: readonly Hub[]): Promise<void> => {
      await redis.goBackToNothing();
      await redis.run();
      for (const hub of hubs) {
        await reconnected(hub);
        hub.pass(2000);
        await hub.store.catchUp();
      }
    };

    it('gives no lease until everybody had the time to write again what was lost', async () => {
      const [one, other] = [await open(), await open()];
      await one.write('shop', 'A');
      await redis.save();
      await redis.kill();
      await redis.run();
      await reconnected(one);
      // Nobody has looked yet; Redis itself knows that the hub means another process.
      await expect(one.store.grant('shop', 1)).rejects.toThrow('it may have lost something');
      await one.store.catchUp();
      expect([one.mourned, one.store.status.reachable]).toEqual([1, true]);
      expect(one.events).toContainEqual({ event: 'store-changed' });
      await expect(one.store.grant('shop', 1)).rejects.toThrow('it may have lost something');
      await reconnected(other);
      await expect(other.store.grant('shop', 1)).rejects.toThrow('it may have lost something');
      one.pass(4000);
      await expect(one.store.grant('shop', 1)).rejects.toThrow('it may have lost something');
      one.pass(1100);
      expect((await one.store.grant('shop', 1)).lease).toBeDefined();
    });

    it('takes again what was lost, sealed so that all can open it', async () => {
      const [one, other] = [await open(), await open()];
      await one.write('shop', 'A');
      await loseEverything(one, other);
      for (const hub of [one, other]) {
        expect(hub.mourned).toBe(1);
        expect(await hub.read('shop')).toBeUndefined();
      }
      await one.write('shop', 'A');
      expect((await other.read('shop'))?.credential?.value).toBe('A');
      const late = await open();
      expect((await late.read('shop'))?.credential?.value).toBe('A');
    });

    it('takes nothing that a new hub could not open, which has brought a key of its own, from who has not noticed yet', async () => {
      const [one, other] = [await open(), await open()];
      await one.write('shop', 'A');
      await loseEverything();
      const late = await open();
      for (const hub of [one, other]) await reconnected(hub);
      await expect(one.write('shop', 'A')).rejects.toThrow('it may have lost something');
      await one.store.catchUp();
      await one.write('shop', 'A');
      other.pass(2000);
      await other.store.catchUp();
      for (const hub of [one, other, late]) expect((await hub.read('shop'))?.credential?.value).toBe('A');
      expect([one.mourned, other.mourned, late.events]).toEqual([1, 1, []]);
    });

    it('does not take what was emptied for what it was, though as much was written there since', async () => {
      const one = await open();
      one.isDeaf = true;
      await one.write('shop', 'A');
      await one.store.catchUp();
      await redis.ask('FLUSHALL');
      const late = await open();
      await late.write('crm', 'B');
      await expect(one.write('shop', 'A')).rejects.toThrow('it may have lost something');
      await expect(one.store.grant('shop', 0)).rejects.toThrow('it may have lost something');
      await one.store.catchUp();
      expect(one.mourned).toBe(1);
      await one.write('shop', 'A');
      for (const hub of [one, late]) {
        expect([(await hub.read('shop'))?.credential?.value, (await hub.read('crm'))?.credential?.value]).toEqual([
          'A',
          'B',
        ]);
      }
    });

    it('gets the key back that somebody took away, from who knows it', async () => {
      const one = await open();
      await one.write('shop', 'A');
      await redis.ask('DEL', `{${prefix}}:key`);
      await expect(one.write('crm', 'B')).rejects.toThrow('it may have lost something');
      await one.store.catchUp();
      const late = await open();
      expect((await late.read('shop'))?.credential?.value).toBe('A');
    });

    it('is there again for who was shut out because the key was gone, once all of it is taken away', async () => {
      const one = await open();
      await one.write('shop', 'A');
      await redis.ask('DEL', `{${prefix}}:key`);
      const late = await connect();
      await expect(late.store.open()).rejects.toThrow('if none has any, take away what is there');
      await redis.forget(prefix);
      for (const hub of [late, one]) {
        hub.pass(2000);
        await hub.store.catchUp();
        expect(hub.store.status.reachable).toBe(true);
      }
      await one.write('shop', 'A');
      expect((await late.read('shop'))?.credential?.value).toBe('A');
    });

    it('notices that it was emptied, though it is the same process', async () => {
      const hub = await open();
      await hub.write('shop', 'A');
      await redis.ask('FLUSHALL');
      hub.pass(2000);
      await hub.store.catchUp();
      expect([hub.mourned, hub.events]).toEqual([1, [{ event: 'store-changed' }]]);
    });

    it('is followed from there on', async () => {
      const [one, other] = [await open(), await open()];
      await one.write('shop', 'A');
      await loseEverything(one, other);
      other.isDeaf = true;
      await one.write('crm', 'B');
      other.pass(2000);
      await other.store.catchUp();
      expect([other.valueOf('crm'), other.mourned]).toEqual(['B', 1]);
    });
  });
});
