import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort, openStore, RedisServer, settingsOf, until } from '../../../test/redis.fixture.js';
import { RedisConnection } from './redis.connection.js';
import type { RedisStore } from './redis.store.js';
import { type Rekeyed, rekeyRedis } from './rekey.js';
import type { Entry } from './store.js';

const NAME = 'weixin/wx1/classic/access-token';

const entryOf = (value: string): Entry => ({
  credential: { value, issuedAt: 1_700_000_000_000, expiresAt: 1_700_007_200_000, version: 1 },
});

const valueIn = async (store: RedisStore): Promise<string | undefined> =>
  (await store.load([NAME])).get(NAME)?.entry.credential?.value;

/** Seals anew what is there, as far as that can be done with a key that nobody has used. */
async function rekeyed(url: string, prefix: string): Promise<Rekeyed> {
  const connection = new RedisConnection(settingsOf(url));
  try {
    await until(() =>
      connection.run('news', [`{${prefix}}:changes`, `{${prefix}}:changes:count`], ['0', '1']).then(
        () => true,
        () => false,
      ),
    );
    return await rekeyRedis(connection, prefix, [randomBytes(32)]);
  } finally {
    await connection.close();
  }
}

describe('a Redis that breaks off just when it is there again', () => {
  let redis: RedisServer;
  let between: Server;
  const sockets = new Set<Socket>();
  let isCutting = false;
  let cuts = 0;
  beforeAll(async () => {
    redis = await RedisServer.start();
    between = createServer((client) => {
      const server = connect(redis.port, '127.0.0.1');
      for (const socket of [client, server]) {
        sockets.add(socket.on('error', () => undefined).once('close', () => sockets.delete(socket)));
      }
      client.on('data', (asked) => {
        if (!isCutting || !/subscribe/i.test(asked.toString('latin1'))) return;
        cuts += 1;
        for (const socket of [client, server]) socket.destroy();
      });
      client.pipe(server).pipe(client);
    }).listen(0, '127.0.0.1');
    await once(between, 'listening');
  });
  afterAll(async () => {
    between.close();
    for (const socket of sockets) socket.destroy();
    await redis.stop();
  });

  it('is listened to once it stays, and nothing worse comes of it', async () => {
    const { port } = between.address() as AddressInfo;
    const connection = new RedisConnection(settingsOf(`redis://127.0.0.1:${port}`));
    const heard: string[] = [];
    connection.listen('news', (message) => heard.push(message));
    const publish = async (message: string): Promise<boolean> => (await redis.ask('PUBLISH', 'news', message)) === 1;
    await until(() => publish('before'));
    isCutting = true;
    for (const socket of sockets) socket.destroy();
    await until(() => Promise.resolve(cuts >= 3));
    isCutting = false;
    await until(() => publish('after'));
    await until(() => Promise.resolve(heard.includes('after')));
    // By then the library has given up what it asked for itself.
    await delay(700);
    await connection.close();
    expect(heard.at(-1)).toBe('after');
  });
});

describe('a store behind Sentinels', () => {
  let master: RedisServer;
  let replica: RedisServer;
  let sentinel: RedisServer;
  let store: RedisStore;
  beforeAll(async () => {
    master = await RedisServer.start();
    replica = await RedisServer.start('--replicaof', `127.0.0.1 ${master.port}`, '--repl-diskless-sync-delay', '0');
    sentinel = await RedisServer.startSentinel(master, 'hub');
    const settings = settingsOf(`redis+sentinel://127.0.0.1:${sentinel.port}/hub`);
    store = await openStore(settings, 'fleet');
  }, 30_000);
  afterAll(async () => {
    await store.close();
    for (const server of [sentinel, replica, master]) await server.stop();
  });

  it('follows a failover to the replica, with what had arrived there', async () => {
    expect(await store.put(NAME, 0, entryOf('one'))).toMatchObject({ kept: true });
    // A replica that the Sentinel does not know of yet is no help.
    await until(async () => ((await sentinel.ask('SENTINEL', 'REPLICAS', 'hub')) as unknown[]).length > 0, 15_000);
    await until(async () => (await replica.namesOf('fleet')).some((key) => key.includes(NAME)));
    await master.kill();
    await until(async () => {
      await store.catchUp();
      return (await valueIn(store).catch(() => undefined)) === 'one' && store.status.reachable;
    }, 40_000);
    // A connection to the old master may fail once more.
    await until(() =>
      store.put(NAME, 1, entryOf('two')).then(
        ({ kept }) => kept,
        () => false,
      ),
    );
    expect(await replica.ask('ROLE')).toMatchObject({ 0: 'master' });
    expect(await valueIn(store)).toBe('two');
  }, 90_000);
});

describe('a store on a cluster', () => {
  let nodes: RedisServer[];
  beforeAll(async () => {
    nodes = await RedisServer.startCluster();
  }, 40_000);
  afterAll(async () => {
    for (const node of nodes) await node.stop();
  });

  it('keeps everything on one node, gives leases there, and lets others hear, whichever node they asked first', async () => {
    const urls = nodes.map(({ port }) => `redis+cluster://127.0.0.1:${port}`);
    const [one, other] = await Promise.all(urls.slice(0, 2).map((url) => openStore(settingsOf(url), 'fleet')));
    if (!one || !other) throw new Error('there are two');
    try {
      const heard = new Promise<string | undefined>((resolve) => {
        other.follow({
          knows: () => true,
          hear: (_name, { entry }) => resolve(entry.credential?.value),
          mourn: () => Promise.resolve(),
        });
      });
      const { lease } = await one.grant(NAME, 0);
      expect(lease).toBeDefined();
      expect(await other.grant(NAME, 0)).toMatchObject({ kept: false, heldForMs: expect.any(Number) as number });
      if (lease) await one.commit(lease, entryOf('one'));
      expect(await heard).toBe('one');
      expect(await valueIn(other)).toBe('one');
      expect(await rekeyed(urls[2] ?? '', 'fleet')).toEqual({ records: 1, resealed: 0, unopened: [NAME] });
      const names = await Promise.all(nodes.map((node) => node.namesOf('fleet')));
      expect(names.filter((some) => some.length > 0)).toHaveLength(1);
    } finally {
      await Promise.all([one.close(), other.close()]);
    }
  }, 30_000);
});

describe('a store that wants to know who asks', () => {
  const password = 'p:a/s@s w%rd?#';
  /** What docs/operations.md tells operators to allow, and no more. */
  const allowed = /ACL SETUSER hub on >PASSWORD ([^`]*)\n```/.exec(
    readFileSync(new URL('../../../docs/operations.md', import.meta.url), 'utf8'),
  )?.[1];
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await RedisServer.start();
    const rules = (allowed ?? '').trim().split(/\s+/);
    await redis.ask('ACL', 'SETUSER', 'hub', 'on', `>${password}`, ...rules);
  });
  afterAll(() => redis.stop());

  it('lets in a user with the rights that the documentation names, and nothing is missing', async () => {
    const url = `redis://hub:${encodeURIComponent(password)}@127.0.0.1:${redis.port}`;
    const [one, other] = await Promise.all([url, url].map((each) => openStore(settingsOf(each), 'wechat-token-hub')));
    if (!one || !other) throw new Error('there are two');
    try {
      const heard = new Promise((resolve) => {
        other.follow({
          knows: () => true,
          hear: (_name, { entry }) => resolve(entry.credential?.value),
          mourn: () => Promise.resolve(),
        });
      });
      const { lease } = await one.grant(NAME, 0);
      if (lease) await one.commit(lease, entryOf('one'));
      expect(await heard).toBe('one');
      await other.catchUp();
      await rekeyed(url, 'wechat-token-hub');
      expect(await redis.ask('ACL', 'LOG')).toEqual([]);
    } finally {
      await Promise.all([one.close(), other.close()]);
    }
  });

  it.each([
    ['a wrong password', 'redis://hub:not-the-password@127.0.0.1:PORT', 'WRONGPASS'],
    ['a port where nobody listens', 'redis://127.0.0.1:1', 'ECONNREFUSED'],
    ['a database that is not there', 'redis://127.0.0.1:PORT/99', 'its database cannot be selected'],
  ])('says why it is out of reach: %s', async (_, url, reason) => {
    const connection = new RedisConnection(settingsOf(url.replace('PORT', String(redis.port))));
    try {
      let said = '';
      await until(async () => {
        said = await connection.run('read', [], []).then(String, String);
        return said.endsWith(reason);
      });
      expect(said).toBe(`StoreUnreachable: The shared store cannot be reached: ${reason}`);
    } finally {
      await connection.close();
    }
  });

  it('is out of reach with a wrong password, which nobody is told', async () => {
    const settings = settingsOf(`redis://hub:not-the-password@127.0.0.1:${redis.port}`);
    const failure = await openStore(settings, 'fleet', { patienceMs: 1500 }).catch((error: unknown) => error);
    expect(String(failure)).not.toContain('not-the-password');
  }, 30_000);
});

describe('a store over TLS', () => {
  let folder: string;
  let port: number;
  let redis: RedisServer;
  const file = (name: string): string => join(folder, name);
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tls-'));
    const made = spawnSync('openssl', [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
      ...['-subj', '/CN=redis', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', file('key'), '-out', file('cert')],
    ]);
    if (made.status !== 0) throw new Error(`openssl made no certificate: ${made.stderr.toString()}`);
    port = await freePort();
    redis = await RedisServer.start(
      ...['--tls-port', String(port), '--tls-cert-file', file('cert'), '--tls-key-file', file('key')],
      ...['--tls-ca-cert-file', file('cert'), '--tls-auth-clients', 'no'],
    );
  });
  afterAll(async () => {
    await redis.stop();
    rmSync(folder, { recursive: true });
  });

  it('is reached with the authority that is configured, and with no other', async () => {
    const settings = settingsOf(`rediss://127.0.0.1:${port}`);
    const store = await openStore({ ...settings, tls: { ca: readFileSync(file('cert'), 'utf8') } }, 'fleet');
    expect(await store.put(NAME, 0, entryOf('one'))).toMatchObject({ kept: true });
    await store.close();
    await expect(openStore(settings, 'fleet', { patienceMs: 1500 })).rejects.toThrow(/was not so/);
  }, 30_000);
});
