import { mkdirSync, rmdirSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { LoneSource } from '../../../test/lone-source.fixture.js';
import { RedisServer } from '../../../test/redis.fixture.js';
import { Stage, StoreHub, until } from '../../../test/redis-store.fixture.js';
import { type StoreFault, StoreRefused, StoreUnreachable } from './store.js';

describe('the store that hubs share', () => {
  const stage = Stage.forTests();
  const { connect, open } = stage;

  describe('as for a Redis that may forget,', () => {
    afterEach(() => stage.redis.ask('CONFIG', 'SET', 'maxmemory-policy', 'noeviction'));

    it.each(['allkeys-lru', 'volatile-ttl'])('refuses %s, names the setting and says what to do', async (policy) => {
      await stage.redis.ask('CONFIG', 'SET', 'maxmemory-policy', policy);
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
        await stage.redis.ask('CONFIG', 'SET', 'maxmemory-policy', policy);
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
      await stage.redis.ask('CONFIG', 'SET', 'maxmemory-policy', 'volatile-lru');
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
      const hub = await StoreHub.connect(frail, stage.prefix);
      stage.hubs.push(hub);
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
      const [one, other] = [await StoreHub.connect(frail, stage.prefix), await StoreHub.connect(frail, stage.prefix)];
      stage.hubs.push(one, other);
      await one.open();
      await one.write('shop', 'A');
      await set('maxmemory', '1')();
      await other.open();
      expect((await other.read('shop'))?.credential?.value).toBe('A');
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
      stage.redis.freeze();
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
      stage.redis.thaw();
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
    const reconnected = (hub: StoreHub): Promise<unknown> => until(() => hub.isConnected());

    /** Takes everything from it, and lets these look as soon as they are connected again. */
    const loseEverything = async (...hubs: readonly StoreHub[]): Promise<void> => {
      await stage.redis.goBackToNothing();
      await stage.redis.run();
      for (const hub of hubs) {
        await reconnected(hub);
        hub.pass(2000);
        await hub.store.catchUp();
      }
    };

    it('gives no lease until everybody had the time to write again what was lost', async () => {
      const [one, other] = [await open(), await open()];
      await one.write('shop', 'A');
      await stage.redis.save();
      await stage.redis.kill();
      await stage.redis.run();
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
      await stage.redis.ask('FLUSHALL');
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
      await stage.redis.ask('DEL', `{${stage.prefix}}:key`);
      await expect(one.write('crm', 'B')).rejects.toThrow('it may have lost something');
      await one.store.catchUp();
      const late = await open();
      expect((await late.read('shop'))?.credential?.value).toBe('A');
    });

    it('is there again for who was shut out because the key was gone, once all of it is taken away', async () => {
      const one = await open();
      await one.write('shop', 'A');
      await stage.redis.ask('DEL', `{${stage.prefix}}:key`);
      const late = await connect();
      await expect(late.store.open()).rejects.toThrow('if none has any, take away what is there');
      await stage.redis.forget(stage.prefix);
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
      await stage.redis.ask('FLUSHALL');
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
