import { Stage, until } from '../../../test/redis-store.fixture.js';
import { redisSettingsOf } from '../../config/redis-settings.js';
import { newKey } from '../../config/random-keys.js';
import { Secret } from '../../config/secret.js';
import { SteadyClock } from '../clock.js';
import type { RedisPort } from './redis.port.js';
import { RedisStore } from './redis.store.js';
import { StoreRefused, StoreUnreachable } from './store.js';

describe('the store that hubs share', () => {
  const stage = Stage.forTests();
  const { connect, open, keyOf } = stage;

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
      const settings = redisSettingsOf(stage.redis.url);
      if (!settings) throw new Error('no address');
      const silent: RedisPort = {
        run: () => Promise.resolve([]),
        listen: () => undefined,
        close: () => Promise.resolve(),
      };
      const surroundings = { redis: silent, clock: new SteadyClock(), tell: () => undefined };
      expect(() => new RedisStore(surroundings, stage.prefix, new Secret('hush'))).toThrow(StoreRefused);
      expect(() => new RedisStore(surroundings, stage.prefix, new Secret('hush'))).toThrow(
        /^STORE_KEY must be 32 random bytes/,
      );
    });
  });

  describe('as for what was tampered with,', () => {
    it('passes an entry over that does not open, tells its name, and takes a new one in its place', async () => {
      const hub = await open();
      await hub.write('shop', 'A');
      await hub.write('crm', 'B');
      const sealed = Buffer.from(String(await stage.redis.ask('HGET', keyOf('shop'), 'entry')), 'base64');
      sealed[sealed.length - 1] = (sealed.at(-1) ?? 0) ^ 1;
      await stage.redis.ask('HSET', keyOf('shop'), 'entry', sealed.toString('base64'));
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
      await stage.redis.ask('HSET', keyOf('shop'), 'entry', text);
      expect(await hub.read('shop')).toEqual({});
      expect(hub.events).toEqual([{ event: 'store-damaged', name: 'shop' }]);
    });

    it('does not take the entry of one name for that of another', async () => {
      const hub = await open();
      await hub.write('shop', 'A');
      await hub.write('crm', 'B');
      await stage.redis.ask(
        'HSET',
        keyOf('crm'),
        'entry',
        String(await stage.redis.ask('HGET', keyOf('shop'), 'entry')),
      );
      expect(await hub.read('crm')).toEqual({});
      expect(hub.events).toEqual([{ event: 'store-damaged', name: 'crm' }]);
    });

    it('tells of what does not open once, and again when it was whole in between', async () => {
      const hub = await open();
      await hub.write('shop', 'A');
      for (let time = 0; time < 3; time += 1) {
        await stage.redis.ask('HSET', keyOf('shop'), 'entry', 'hush');
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
        await stage.redis.ask('PUBLISH', `{${stage.prefix}}:changes`, JSON.stringify(message));
        await stage.redis.ask('ZADD', `{${stage.prefix}}:changes`, '1', `stranger-${i}`);
        await stage.redis.ask('HSET', keyOf(`stranger-${i}`), 'entry', 'hush', 'revision', '1');
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
        await stage.redis.ask(command ?? '', `{${stage.prefix}}:${key}`, ...rest);
        for (let look = 0; look < 3; look += 1) {
          for (const each of [hub, other]) {
            each.pass(2000);
            await each.store.catchUp();
          }
        }
        await stage.redis.ask('DEL', `{${stage.prefix}}:changes`, `{${stage.prefix}}:changes:count`);
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
      await stage.redis.ask('HSET', keyOf('shop'), 'entry', 'hush');
      const next = await open();
      expect(next.events).toEqual([{ event: 'store-damaged', name: 'shop' }]);
    });
  });
});
