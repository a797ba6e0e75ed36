import { randomUUID } from 'node:crypto';
import { openStore, RedisServer, settingsOf, until } from '../../../test/redis.fixture.js';
import { newKey } from '../../config/random-keys.js';
import { Secret } from '../../config/secret.js';
import { givenKeys } from './cipher.js';
import { RedisConnection } from './redis.connection.js';
import { type Rekeyed, type RekeyingPort, rekeyRedis } from './rekey.js';
import type { RedisStore } from './redis.store.js';
import type { Entry } from './store.js';

const [old, newer] = [newKey(), newKey()];
const secretOf = (...keys: readonly string[]): Secret => new Secret(keys.join(','));

const entryOf = (value: string, version = 1): Entry => ({
  credential: { value, issuedAt: 1_700_000_000_000, expiresAt: 1_700_007_200_000, version },
});

describe('sealing anew what is in Redis', () => {
  let redis: RedisServer;
  let connection: RedisConnection;
  let prefix: string;
  const open: RedisStore[] = [];
  const storeWith = async (...keys: readonly string[]): Promise<RedisStore> => {
    const store = await openStore(settingsOf(redis.url), prefix, { keys: secretOf(...keys) });
    open.push(store);
    return store;
  };
  const rekey = (keys: readonly string[], port: RekeyingPort = connection): Promise<Rekeyed> =>
    rekeyRedis(port, prefix, givenKeys(secretOf(...keys)));
  const valueIn = async (store: RedisStore, name: string): Promise<string | undefined> =>
    (await store.load([name])).get(name)?.entry.credential?.value;

  beforeAll(async () => {
    redis = await RedisServer.find();
    connection = new RedisConnection(settingsOf(redis.url));
    await until(() =>
      connection.run('read', [], []).then(
        () => true,
        () => false,
      ),
    );
  });
  beforeEach(() => (prefix = `rekey-${randomUUID()}`));
  afterEach(async () => {
    for (const store of open.splice(0)) await store.close();
    await redis.forget(prefix);
  });
  afterAll(async () => {
    await connection.close();
    await redis.stop();
  });

  it('leaves nothing that needs the older key, and finds nothing to do the next time', async () => {
    const before = await storeWith(old);
    const names = Array.from({ length: 1200 }, (_, i) => `app-${i}/access-token`);
    for (const name of names) await before.put(name, 0, entryOf(`value of ${name}`));
    expect(await rekey([newer, old])).toEqual({ records: 1200, resealed: 1200, unopened: [] });
    expect(await rekey([newer, old])).toEqual({ records: 1200, resealed: 0, unopened: [] });
    const after = await storeWith(newer);
    for (const name of names) expect(await valueIn(after, name)).toBe(`value of ${name}`);
    await expect(storeWith(old)).rejects.toThrow();
  }, 60_000);

  it('changes neither revision nor lease nor doubt, and hubs at work notice nothing', async () => {
    const [holder, reader] = [await storeWith(old, newer), await storeWith(newer, old)];
    const heard: string[] = [];
    reader.follow({
      knows: () => true,
      hear: (name) => heard.push(name),
      mourn: () => Promise.resolve(void heard.push('mourned')),
    });
    const { lease } = await holder.grant('shop', 0, entryOf('one'));
    const { stored } = await reader.grant('shop', 1);
    await until(() => Promise.resolve(heard.length > 0));
    expect(await rekey([newer, old])).toMatchObject({ resealed: 1 });
    expect((await reader.load(['shop'])).get('shop')).toMatchObject({ revision: stored.revision });
    expect((await reader.grant('shop', 1)).heldForMs).toBeGreaterThan(0);
    expect(lease && (await holder.commit(lease, entryOf('two', 2)))).toMatchObject({ kept: true });
    expect(await valueIn(reader, 'shop')).toBe('two');
    expect(heard).not.toContain('mourned');
  });

  it('looks again at a record that a hub writes at the same time, and never puts back what was there before', async () => {
    const hub = await storeWith(old, newer);
    await hub.put('shop', 0, entryOf('before'));
    let isWritten = false;
    const racing: RekeyingPort = {
      run: async (script, keys, args) => {
        if (script === 'reseal' && !isWritten) {
          isWritten = true;
          await hub.put('shop', 1, entryOf('written meanwhile', 2));
        }
        return connection.run(script, keys, args);
      },
    };
    expect(await rekey([newer, old], racing)).toEqual({ records: 1, resealed: 1, unopened: [] });
    expect(await valueIn(await storeWith(newer), 'shop')).toBe('written meanwhile');
  });

  it('leaves as they are, and names, records that it cannot open', async () => {
    const strangers = newKey();
    const [hub, other] = [await storeWith(old), await storeWith(old)];
    for (const name of ['good', 'damaged', 'moved']) await hub.put(name, 0, entryOf(name));
    const key = (name: string): string => `{${prefix}}:entry:${name}`;
    const sealed = (await redis.ask('HGET', key('good'), 'entry')) as string;
    await redis.ask('HSET', key('moved'), 'entry', sealed);
    await redis.ask('HSET', key('damaged'), 'entry', `${sealed.slice(0, -8)}AAAAAAA=`);
    expect(await rekey([newer, old])).toEqual({
      records: 3,
      resealed: 1,
      unopened: expect.arrayContaining(['moved', 'damaged']) as unknown,
    });
    expect(await redis.ask('HGET', key('moved'), 'entry')).toBe(sealed);
    expect((await rekey([strangers])).unopened).toHaveLength(3);
    expect(await other.load([])).toEqual(new Map());
  });

  it('does not touch what hubs with another prefix have, nor a record that is but a lease', async () => {
    const hub = await storeWith(old);
    await hub.grant('leased', 0);
    const others = await openStore(settingsOf(redis.url), `${prefix}2`, { keys: secretOf(old) });
    await others.put('shop', 0, entryOf('theirs'));
    try {
      expect(await rekey([newer, old])).toEqual({ records: 1, resealed: 0, unopened: [] });
      expect(await valueIn(others, 'shop')).toBe('theirs');
    } finally {
      await others.close();
      await redis.forget(`${prefix}2`);
    }
  });
});
