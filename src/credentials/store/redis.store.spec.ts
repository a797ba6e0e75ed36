import { Redis } from 'ioredis';
import { randomBytes, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { entry, Stage, type StoreHub, until } from '../../../test/redis-store.fixture.js';
import { newKey } from '../../config/random-keys.js';
import { Secret } from '../../config/secret.js';
import { officialAccount } from '../../wechat/platforms/official-account.js';
import type { WechatAnswer, WechatCall } from '../../wechat/wechat.client.js';
import { WechatRefusal } from '../../wechat/wechat.error.js';
import { CredentialsService } from '../credentials.service.js';
import type { Source } from '../source.js';
import { LEASE_MS, StoreUnreachable } from './store.js';

const MONTH_SECONDS = 30 * 86_400;

describe('the store that hubs share', () => {
  const stage = Stage.forTests();
  const { connect, open, keyOf } = stage;

  describe('as for news,', () => {
    it('lets every hub hear at once what another one wrote', async () => {
      const [one, other] = [await open(), await open()];
      await until(
        async () => ((await stage.redis.ask('PUBSUB', 'NUMSUB', `{${stage.prefix}}:changes`)) as unknown[])[1] === 2,
      );
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
      await until(
        async () => ((await stage.redis.ask('PUBSUB', 'NUMSUB', `{${stage.prefix}}:changes`)) as unknown[])[1] === 2,
      );
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
      const keys = [`{${stage.prefix}}:changes`, `{${stage.prefix}}:changes:count`];
      await stage.redis.ask('EVAL', `${changes} redis.call('SET', KEYS[2], 10005)`, keys.length, ...keys);
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
        await stage.redis.ask('PUBLISH', `{${stage.prefix}}:changes`, garbage);
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
      await stage.redis.ageLeases(stage.prefix, LEASE_MS + 1);
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

  describe('as for what is in Redis,', () => {
    /** Everything that Redis is asked while something happens: by whom, `lua` for what scripts do. */
    async function watched(work: () => Promise<void>): Promise<{ readonly by: string; readonly args: string[] }[]> {
      const client = new Redis(stage.redis.url);
      const monitor = await client.monitor();
      const seen: { by: string; args: string[] }[] = [];
      monitor.on('monitor', (_: string, args: string[], by: string) => seen.push({ by, args }));
      await work();
      const last = randomUUID();
      await stage.redis.ask('ECHO', last);
      await until(() => seen.some(({ args }) => args.includes(last)));
      monitor.disconnect();
      client.disconnect();
      return seen;
    }

    /** How often each command was called since something began. */
    async function counted(work: () => Promise<unknown>): Promise<Readonly<Record<string, number>>> {
      await stage.redis.ask('CONFIG', 'RESETSTAT');
      await work();
      const stats = String(await stage.redis.ask('INFO', 'commandstats'));
      return Object.fromEntries(
        [...stats.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)].map(([, name = '', calls]) => [name, Number(calls)]),
      );
    }

    const appSecret = randomBytes(16).toString('hex');
    let minted: string[];

    /** Hubs with all that is in them, of an app whose secrets are easy to find. */
    function serviceOn(hub: StoreHub): CredentialsService {
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

    async function serve(hub: StoreHub): Promise<CredentialsService> {
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
      await stage.redis.save();
      const dump = readFileSync(stage.redis.dump, 'latin1');
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
      expect(keys.filter((key) => !key.startsWith(`{${stage.prefix}}:`))).toEqual([]);
      expect(new Set(keys).size).toBeGreaterThanOrEqual(5);
      for (const { args } of seen.filter(({ args: [name = ''] }) => /^evalsha$/i.test(name))) {
        const own = args.slice(3, 3 + Number(args[2]));
        expect(own.filter((key) => !key.startsWith(`{${stage.prefix}}:`))).toEqual([]);
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
        const seconds = Number(await stage.redis.ask('TTL', keyOf(name)));
        expect([name, seconds > MONTH_SECONDS - 60, seconds <= MONTH_SECONDS]).toEqual([name, true, true]);
      }
      await stage.redis.ask('EXPIRE', keyOf('shop'), 100);
      await hub.write('shop', 'B');
      expect(await stage.redis.ask('TTL', keyOf('shop'))).toBeGreaterThan(100);
    });

    it('a record that somebody takes away is soon there again, and newer than it was', async () => {
      const hub = await open();
      const service = await serve(hub);
      const { value } = await tokenOf(service).get();
      const [key = ''] = (await stage.redis.namesOf(stage.prefix)).filter((each) => each.endsWith('access-token'));
      const revision = Number(await stage.redis.ask('HGET', key, 'revision'));
      await stage.redis.ask('DEL', key);
      await until(() => {
        hub.pass(10_000);
        service.renewDue();
        return stage.redis.ask('EXISTS', key);
      });
      expect(Number(await stage.redis.ask('HGET', key, 'revision'))).toBeGreaterThan(revision);
      expect([(await hub.read(tokenOf(service).name))?.credential?.value, minted]).toEqual([value, [value]]);
    });

    it('there is one record for each name, however often it is written', async () => {
      const hub = await open();
      for (const value of ['A', 'B', 'C']) await hub.write('shop', value);
      const lease = (await hub.store.grant('shop', 3)).lease;
      if (lease) await hub.store.commit(lease, entry('D', hub.now()));
      expect((await stage.redis.namesOf(stage.prefix)).sort()).toEqual(
        [keyOf('shop'), `{${stage.prefix}}:changes`, `{${stage.prefix}}:changes:count`, `{${stage.prefix}}:key`].sort(),
      );
    });
  });
});
