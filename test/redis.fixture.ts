import { Redis } from 'ioredis';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type RedisSettings, redisSettingsOf } from '../src/config/redis-settings.js';
import type { Secret } from '../src/config/secret.js';
import { SteadyClock } from '../src/credentials/clock.js';
import { RedisConnection } from '../src/credentials/store/redis.connection.js';
import { RedisStore, type StoreSurroundings } from '../src/credentials/store/redis.store.js';
import { StoreUnreachable } from '../src/credentials/store/store.js';

const PATIENCE_MS = 10_000;

/** A Redis server of a test's own, on a free port of the loopback interface, that can be treated badly. */
export class RedisServer {
  private child: ChildProcess | undefined;

  /** @param args of its command line. */
  private constructor(
    readonly url: string,
    private readonly folder: string,
    private readonly args: readonly string[],
  ) {}

  /** @param settings more than the usual ones, as on the command line of redis-server. */
  static async start(...settings: readonly string[]): Promise<RedisServer> {
    const port = await freePort();
    const folder = mkdtempSync(join(tmpdir(), 'redis-'));
    const usual = ['--port', String(port), '--dir', folder, '--bind', '127.0.0.1', '--appendonly', 'no', '--save', ''];
    return RedisServer.launch(port, folder, [...usual, ...settings]);
  }

  /** Starts a Sentinel that watches a server, and puts a replica in its place should it die. */
  static async startSentinel(master: RedisServer, name: string): Promise<RedisServer> {
    const port = await freePort();
    const folder = mkdtempSync(join(tmpdir(), 'redis-'));
    const file = join(folder, 'sentinel.conf');
    const lines = [
      `port ${port}`,
      `dir ${folder}`,
      'bind 127.0.0.1',
      `sentinel monitor ${name} 127.0.0.1 ${master.port} 1`,
      `sentinel down-after-milliseconds ${name} 500`,
      `sentinel failover-timeout ${name} 3000`,
    ];
    // Its own memory: it writes down there who is master now.
    writeFileSync(file, lines.join('\n'));
    return RedisServer.launch(port, folder, [file, '--sentinel']);
  }

  /** Starts a cluster of three servers, each with a third of the slots. */
  static async startCluster(): Promise<RedisServer[]> {
    const start = async (): Promise<RedisServer> =>
      RedisServer.start('--cluster-enabled', 'yes', '--cluster-port', String(await freePort()));
    const nodes = [await start(), await start(), await start()];
    for (const [i, node] of nodes.entries()) {
      await node.ask('CLUSTER', 'ADDSLOTSRANGE', Math.ceil((16_384 * i) / 3), Math.ceil((16_384 * (i + 1)) / 3) - 1);
      await node.ask('CLUSTER', 'SET-CONFIG-EPOCH', i + 1);
    }
    const [first, ...others] = nodes;
    for (const { port, busPort } of others) await first?.ask('CLUSTER', 'MEET', '127.0.0.1', port, busPort);
    const isWhole = async (node: RedisServer): Promise<boolean> =>
      /cluster_state:ok[^]*cluster_known_nodes:3/.test(String(await node.ask('CLUSTER', 'INFO')));
    for (const node of nodes) await until(() => isWhole(node));
    return nodes;
  }

  private static async launch(port: number, folder: string, args: readonly string[]): Promise<RedisServer> {
    const server = new RedisServer(`redis://127.0.0.1:${port}`, folder, args);
    await server.run();
    return server;
  }

  /** One for tests that do it no harm: that of TEST_REDIS_URL, if it is set. */
  static async find(): Promise<RedisServer> {
    const { TEST_REDIS_URL: given } = process.env;
    return given === undefined ? RedisServer.start() : new RedisServer(given, '', []);
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  private get busPort(): number {
    return Number(this.args[this.args.indexOf('--cluster-port') + 1]);
  }

  /** Asks it something, on a connection of its own. */
  async ask(command: string, ...args: readonly (string | number)[]): Promise<unknown> {
    const client = new Redis(this.url, { lazyConnect: true, retryStrategy: null, disconnectTimeout: 100 });
    client.on('error', () => undefined);
    try {
      await client.connect();
      return await client.call(command, ...args);
    } finally {
      client.disconnect();
    }
  }

  /** Opens a store on it, as a hub with that prefix would. */
  open(prefix: string, opening?: Opening): Promise<RedisStore> {
    return openStore(settingsOf(this.url), prefix, opening);
  }

  /** The names of what hubs with that prefix keep there. */
  async namesOf(prefix: string): Promise<string[]> {
    return (await this.ask('KEYS', `{${prefix}}:*`)) as string[];
  }

  /** Takes away what hubs with that prefix keep there. */
  async forget(prefix: string): Promise<void> {
    for (const key of await this.namesOf(prefix)) await this.ask('DEL', key);
  }

  /** Lets the leases of hubs with that prefix grow older. */
  async ageLeases(prefix: string, ms: number): Promise<void> {
    for (const key of await this.namesOf(prefix)) {
      if (key.includes(':entry:') && (await this.ask('HEXISTS', key, 'until')))
        await this.ask('HINCRBY', key, 'until', -ms);
    }
  }

  /** Starts it, after it was killed, on the same port, with what it last saved. */
  async run(): Promise<void> {
    const child = spawn(program(), this.args, { stdio: 'ignore' });
    this.child = child;
    await until(async () => {
      if (child.exitCode !== null) throw new Error('redis-server did not start');
      return this.answers();
    });
  }

  /** Whether it answers right now. */
  async answers(): Promise<boolean> {
    const answer = await this.ask('PING').catch((error: unknown) => error);
    // Who wants a password is awake, too.
    return answer === 'PONG' || /^(NOAUTH|WRONGPASS)/.test((answer as Error).message);
  }

  /** Writes down what it has, for {@link run}; with a name, for {@link goBackTo}. */
  async save(name?: string): Promise<void> {
    await this.ask('SAVE');
    if (name !== undefined) copyFileSync(join(this.folder, 'dump.rdb'), join(this.folder, name));
  }

  /** Kills it, if it runs, and lets it have at its next start what it had when this name was saved. */
  async goBackTo(name: string): Promise<void> {
    await this.kill();
    copyFileSync(join(this.folder, name), join(this.folder, 'dump.rdb'));
  }

  /** Kills it, if it runs, and lets it have nothing at its next start. */
  async goBackToNothing(): Promise<void> {
    await this.kill();
    rmSync(join(this.folder, 'dump.rdb'), { force: true });
  }

  /** Stops it in the middle of whatever it does; its connections stay. */
  freeze(): void {
    this.child?.kill('SIGSTOP');
  }

  thaw(): void {
    this.child?.kill('SIGCONT');
  }

  async kill(): Promise<void> {
    const { child } = this;
    if (child?.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  /** Everything that is on its disk. */
  get dump(): string {
    return join(this.folder, 'dump.rdb');
  }

  async stop(): Promise<void> {
    await this.kill();
    if (this.folder) rmSync(this.folder, { recursive: true, force: true });
  }
}

/** How a hub reads a REDIS_URL. */
export function settingsOf(url: string): RedisSettings {
  const settings = redisSettingsOf(url);
  if (!settings) throw new Error(`${url} is no address of a Redis server`);
  return settings;
}

/** What a store may be opened with, where the usual will not do. */
interface Opening extends Partial<StoreSurroundings> {
  readonly keys?: Secret;
  readonly patienceMs?: number;
}

/** Opens a store as a hub with these settings would, as soon as Redis is there. */
export async function openStore(settings: RedisSettings, prefix: string, opening: Opening = {}): Promise<RedisStore> {
  const { keys, patienceMs, ...surroundings } = opening;
  const redis = new RedisConnection(settings);
  const usual = { redis, clock: new SteadyClock(), tell: () => undefined };
  const store = new RedisStore({ ...usual, ...surroundings }, prefix, keys);
  try {
    await until(async () => {
      try {
        await store.open();
        return true;
      } catch (error) {
        if (error instanceof StoreUnreachable) return false;
        throw error;
      }
    }, patienceMs);
    return store;
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** Waits until something is so. */
export async function until(isSo: () => Promise<boolean>, patienceMs = PATIENCE_MS): Promise<void> {
  const patience = AbortSignal.timeout(patienceMs);
  while (!(await isSo())) {
    if (patience.aborted) throw new Error(`it was not so within ${patienceMs} ms`);
    await delay(10);
  }
}

function program(): string {
  const found = ['redis-server', 'valkey-server'].find((name) => spawnSync(name, ['--version']).status === 0);
  if (found === undefined) throw new Error('there is no redis-server on the PATH');
  return found;
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
