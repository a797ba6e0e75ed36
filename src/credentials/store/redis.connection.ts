import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { readFileSync } from 'node:fs';
import type { RedisSettings } from '../../config/redis-settings.js';
import type { RedisPort, ScriptName } from './redis.port.js';
import type { RekeyingPort, RekeyingScript } from './rekey.js';
import { StoreUnreachable } from './store.js';

/** One answer takes this long at most. Left to itself, the library waits for more than 15 s on a server that is frozen. */
const ANSWER_MS = 500;
const CONNECT_MS = 2000;
/** A connection on which nothing came in for so long is given up; the hub looks for changes far more often. */
const SILENCE_MS = 10_000;
/** The subscriber hears nothing for hours where nothing happens, so it has to ask whether it is still connected. */
const PING_EVERY_MS = 3000;
const RECONNECT_MS = { first: 50, last: 1000 };

const SCRIPTS: Readonly<Record<ScriptName | RekeyingScript, string>> = {
  hello: script('hello'),
  read: script('read'),
  grant: script('grant'),
  commit: script('commit'),
  news: script('news'),
  records: script('records'),
  reseal: script('reseal'),
};

/** Redis itself, as one server, behind Sentinels, or as a cluster: through ioredis, and quick to say that it is away. */
export class RedisConnection implements RedisPort, RekeyingPort {
  private readonly commands: Redis | Cluster;
  private readonly messages: Redis | Cluster;
  private readonly pinging: NodeJS.Timeout;
  /** What kept it from connecting last. */
  private trouble: Error | undefined;
  private isElsewhere = false;
  private isClosed = false;

  constructor(settings: RedisSettings) {
    this.commands = connect(settings);
    for (const [name, lua] of Object.entries(SCRIPTS)) this.commands.defineCommand(commandOf(name), { lua });
    this.messages = connect(settings);
    for (const client of [this.commands, this.messages]) {
      // The library gives up for good when it hears of another master just while it asks a Sentinel for one.
      client.on('end', () => {
        if (!this.isClosed) setTimeout(() => this.connectAgain(client), RECONNECT_MS.last).unref();
      });
      client.connect().catch(() => undefined);
    }
    // What fails is told by who asks for something, in our words; the library's have addresses in them.
    this.messages.on('error', () => undefined);
    this.commands.on('error', (error: Error) => {
      this.trouble = error;
      // Left to itself, the library would go on in the database that it happens to be in.
      if (isOfDatabase(error)) this.isElsewhere = true;
    });
    this.commands.on('close', () => (this.isElsewhere = false));
    this.commands.on('ready', () => (this.trouble = undefined));
    this.pinging = setInterval(() => {
      this.messages.ping().catch(() => undefined);
    }, PING_EVERY_MS).unref();
  }

  async run(script: ScriptName | RekeyingScript, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    const commands = this.commands as unknown as Record<string, Run>;
    let reply: unknown;
    try {
      reply = await commands[commandOf(script)]?.(keys.length, ...keys, ...args);
    } catch (error) {
      throw new StoreUnreachable(reasonOf(error, this.trouble));
    }
    if (this.isElsewhere) throw new StoreUnreachable('its database cannot be selected');
    return reply;
  }

  listen(channel: string, hear: (message: string) => void): void {
    this.messages.on('message', (on: string, message: string) => {
      if (on === channel) hear(message);
    });
    this.messages.on('ready', () => {
      this.messages.subscribe(channel).catch(() => undefined);
    });
  }

  async close(): Promise<void> {
    this.isClosed = true;
    clearInterval(this.pinging);
    const clients = [this.commands, this.messages];
    // What was asked is answered first; a server that is away is not waited for.
    await Promise.allSettled(clients.map((client) => client.quit()));
    for (const client of clients) client.disconnect();
  }

  private connectAgain(client: Redis | Cluster): void {
    if (!this.isClosed) client.connect().catch(() => undefined);
  }
}

type Run = (...args: (string | number)[]) => Promise<unknown>;

/** The library knows scripts by names beside its own commands, of which HELLO, for one, it needs itself. */
function commandOf(script: string): string {
  return `hub:${script}`;
}

function script(name: ScriptName | RekeyingScript): string {
  const [record, own] = ['record', name].map((file) =>
    readFileSync(new URL(`scripts/${file}.lua`, import.meta.url), 'utf8'),
  );
  return `${record ?? ''}\n${own ?? ''}`;
}

function connect(settings: RedisSettings): Redis | Cluster {
  const { username, password, tls } = settings;
  const common = {
    ...(username !== undefined && { username }),
    ...(password && { password: password.reveal() }),
    ...(tls && { tls }),
    connectTimeout: CONNECT_MS,
    disconnectTimeout: ANSWER_MS,
    commandTimeout: ANSWER_MS,
    socketTimeout: SILENCE_MS,
    maxRetriesPerRequest: 1,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    // It is done in {@link RedisConnection.listen}: by itself the library would let it fail unheard, which ends the process.
    autoResubscribe: false,
    lazyConnect: true,
    connectionName: 'wechat-token-hub',
    // A master that was set back to replica: go and ask who is master now.
    reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
    retryStrategy: reconnectAfter,
  } satisfies RedisOptions;
  switch (settings.kind) {
    case 'single':
      return new Redis({ ...common, host: settings.host, port: settings.port, db: settings.db });
    case 'sentinel':
      return new Redis({
        ...common,
        sentinels: [...settings.sentinels],
        name: settings.name,
        db: settings.db,
        sentinelCommandTimeout: ANSWER_MS,
        sentinelRetryStrategy: reconnectAfter,
        ...(settings.sentinelUsername !== undefined && { sentinelUsername: settings.sentinelUsername }),
        ...(settings.sentinelPassword && { sentinelPassword: settings.sentinelPassword.reveal() }),
        ...(tls && { sentinelTLS: tls, enableTLSForSentinelMode: true }),
        failoverDetector: true,
      });
    case 'cluster': {
      const { retryStrategy: _, enableOfflineQueue: __, ...redisOptions } = common;
      return new Cluster([...settings.nodes], {
        redisOptions,
        lazyConnect: true,
        enableOfflineQueue: false,
        clusterRetryStrategy: reconnectAfter,
        slotsRefreshTimeout: ANSWER_MS * 2,
        retryDelayOnFailover: 50,
        maxRedirections: 3,
        // Certificates name hosts, and clusters tell addresses.
        ...(tls && { dnsLookup: (address, callback) => callback(null, address) }),
      });
    }
  }
}

function reconnectAfter(attempts: number): number {
  const wait = Math.min(RECONNECT_MS.first * 2 ** Math.min(attempts, 10), RECONNECT_MS.last);
  return wait * (0.5 + Math.random() / 2);
}

/**
 * A code, or the first word of Redis' answer: nothing of addresses, and nothing of what was asked.
 * @param trouble what kept the connection from being made; where there is none, that is the reason.
 */
function reasonOf(error: unknown, trouble?: Error): string {
  const { code, message, name } = error as NodeJS.ErrnoException;
  if (code !== undefined) return code;
  const [word] = /^[A-Z]{3,}(?= )/.exec(message) ?? [];
  if (word !== undefined) return word;
  if (message === 'Command timed out') return `no answer within ${ANSWER_MS} ms`;
  if (trouble !== undefined) return reasonOf(trouble);
  return name === 'Error' ? 'not connected' : name;
}

/** Whether it is SELECT that failed: the number is too large, or the user may not. */
function isOfDatabase(error: Error): boolean {
  return /DB index|invalid DB|'select'/i.test(error.message);
}
