import { Redis } from 'ioredis';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { redisSettingsOf } from '../src/config/redis-settings.js';
import type { Secret } from '../src/config/secret.js';
import { SteadyClock } from '../src/credentials/clock.js';
import { RedisConnection } from '../src/credentials/store/redis.connection.js';
import { RedisStore, type StoreSurroundings } from '../src/credentials/store/redis.store.js';
import { StoreUnreachable } from '../src/credentials/store/store.js';

const PATIENCE_MS = 10_000;

/** A Redis server of a test's own, on a free port of the loopback interface, that can be treated badly. */
export class RedisServer {
  private child: ChildProcess | undefined;

  private constructor(
    readonly url: string,
    private readonly folder: string,
    private readonly settings: readonly string[],
  ) {}

  /** @param settings more than the usual ones, as on the command line of redis-server. */
  static async start(...settings: readonly string[]): Promise<RedisServer> {
    const url = `redis://127.0.0.1:${await freePort()}`;
    const server = new RedisServer(url, mkdtempSync(join(tmpdir(), 'redis-')), settings);
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
  async open(
    prefix: string,
    { keys, ...more }: Partial<StoreSurroundings> & { readonly keys?: Secret } = {},
  ): Promise<RedisStore> {
    const settings = redisSettingsOf(this.url);
    if (!settings) throw new Error(`${this.url} is no address of a Redis server`);
    const redis = new RedisConnection(settings);
    const store = new RedisStore({ redis, clock: new SteadyClock(), tell: () => undefined, ...more }, prefix, keys);
    const patience = AbortSignal.timeout(PATIENCE_MS);
    for (;;) {
      try {
        await store.open();
        return store;
      } catch (error) {
        if (error instanceof StoreUnreachable && !patience.aborted) await delay(5);
        else {
          await store.close();
          throw error;
        }
      }
    }
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
    const settings = ['--port', this.port, '--dir', this.folder, '--bind', '127.0.0.1', '--appendonly', 'no'].map(
      String,
    );
    this.child = spawn(program(), [...settings, '--save', '', '--daemonize', 'no', ...this.settings], {
      stdio: 'ignore',
    });
    const patience = AbortSignal.timeout(PATIENCE_MS);
    while (!(await this.answers())) {
      if (patience.aborted || this.child.exitCode !== null) throw new Error('redis-server did not start');
      await delay(20);
    }
  }

  /** Whether it answers right now. */
  async answers(): Promise<boolean> {
    return (await this.ask('PING').catch(() => undefined)) === 'PONG';
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

function program(): string {
  const found = ['redis-server', 'valkey-server'].find((name) => spawnSync(name, ['--version']).status === 0);
  if (found === undefined) throw new Error('there is no redis-server on the PATH');
  return found;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
