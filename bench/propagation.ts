import { Redis } from 'ioredis';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { SteadyClock } from '../src/credentials/clock.js';
import { CredentialsService } from '../src/credentials/credentials.service.js';
import { RedisServer } from '../test/redis.fixture.js';
import { accounts, LIFE_MS } from './accounts.js';
import { type Spread, spread } from './figures.js';

const APP = 'app-0';
const HUBS = 3;
/** Between two measurements, so that they have nothing to do with each other. */
const APART_MS = 20;
const PATIENCE_MS = 5000;
/** What keeps connections alive, and what the benchmark asks itself. */
const NOT_COUNTED = ['ping', 'info', 'config|resetstat'];

/** How quickly hubs on a real Redis hear of each other, and what a read costs it. */
export interface Propagation {
  /** From WeChat's answer in one hub until the last of the others has the value in hand. */
  readonly rotationMs: Spread;
  /** From a bare publish until the message is there, on connections of the same process. */
  readonly publishMs: Spread;
  /** The one as a multiple of the other in the same round. */
  readonly timesPublish: Spread;
  /** How many commands Redis ran while the reads were answered. */
  readonly commandsOfReads: number;
  /** Every command that Redis was given by hubs and their scripts. */
  readonly commands: readonly string[];
}

/** Measures three hubs in one process, on a Redis server of their own: so many rotations, and so many reads. */
export async function propagation(rotations: number, reads: number): Promise<Propagation> {
  const server = await RedisServer.start();
  const bystander = new Bystander(server.url);
  const hubs: Hub[] = [];
  try {
    await bystander.open();
    const givenAt = new Map<string, number>();
    for (let hub = 0; hub < HUBS; hub += 1) hubs.push(await start(server, givenAt));
    const [asked, ...others] = hubs;
    const source = asked?.service.app(APP)?.accessToken;
    if (!source) throw new Error(`there is no ${APP}`);

    let { value } = await source.get();
    const rounds: { readonly rotationMs: number; readonly publishMs: number }[] = [];
    for (let round = 0; round < rotations; round += 1) {
      await delay(APART_MS);
      const publishMs = await bystander.publishMs();
      await delay(APART_MS);
      ({ value } = await source.replace(value, () => undefined));
      const heardAt: number[] = [];
      for (const { heard } of others) heardAt.push(await instantOf(heard, value));
      rounds.push({ rotationMs: Math.max(...heardAt) - (givenAt.get(value) ?? NaN), publishMs });
    }
    await delay(APART_MS);
    const before = await bystander.commands();
    for (let read = 0; read < reads; read += 1) await hubs[read % HUBS]?.service.app(APP)?.accessToken.get();
    const after = await bystander.commands();
    return {
      rotationMs: spread(rounds.map(({ rotationMs }) => rotationMs)),
      publishMs: spread(rounds.map(({ publishMs }) => publishMs)),
      timesPublish: spread(rounds.map(({ rotationMs, publishMs }) => rotationMs / publishMs)),
      commandsOfReads: sum(after) - sum(before),
      commands: [...after.keys()].sort(),
    };
  } finally {
    await Promise.all(hubs.map((hub) => hub.close()));
    bystander.close();
    await server.stop();
  }
}

interface Hub {
  readonly service: CredentialsService;
  /** When it heard of which value from another hub. */
  readonly heard: ReadonlyMap<string, number>;
  close(): Promise<void>;
}

/** Starts a hub whose WeChat always has something new, and says when it gave which value. */
async function start(server: RedisServer, givenAt: Map<string, number>): Promise<Hub> {
  const clock = new SteadyClock();
  const store = await server.open('bench', { clock });
  const heard = new Map<string, number>();
  const service = new CredentialsService(
    {
      clock,
      replica: 'bench',
      store,
      wechat: {
        call: () => {
          const value = `value-${givenAt.size}`;
          givenAt.set(value, performance.now());
          return Promise.resolve({ access_token: value, expires_in: LIFE_MS / 1000 });
        },
      },
      random: Math.random,
      sleep: (ms) => delay(ms),
      tell: () => undefined,
    },
    { burst: 3, everyMs: 30_000 },
  );
  store.follow({
    knows: (name) => service.knows(name),
    hear: (name, stored) => {
      service.hear(name, stored);
      const value = service.app(APP)?.accessToken.current?.value;
      if (value !== undefined && !heard.has(value)) heard.set(value, performance.now());
    },
    mourn: () => service.mourn(),
  });
  await service.apply(accounts(1));
  return { service, heard, close: () => store.close() };
}

async function instantOf(heard: ReadonlyMap<string, number>, value: string): Promise<number> {
  const patience = AbortSignal.timeout(PATIENCE_MS);
  for (;;) {
    const instant = heard.get(value);
    if (instant !== undefined) return instant;
    if (patience.aborted) throw new Error('a rotation was not heard of');
    await delay(1);
  }
}

function sum(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((total, count) => total + count, 0);
}

/** Somebody on the same server who is no hub. */
class Bystander {
  private readonly speaker: Redis;
  private readonly hearer: Redis;

  constructor(url: string) {
    this.speaker = new Redis(url, { lazyConnect: true });
    this.hearer = new Redis(url, { lazyConnect: true });
  }

  /** Comes in, and lets the server forget what was asked of it until then. */
  async open(): Promise<void> {
    await Promise.all([this.speaker.connect(), this.hearer.connect()]);
    await this.hearer.subscribe('bare');
    await this.speaker.config('RESETSTAT');
  }

  /** How long a message takes from one of its connections to the other. */
  async publishMs(): Promise<number> {
    const heardAt = once(this.hearer, 'message').then(() => performance.now());
    const sentAt = performance.now();
    await this.speaker.publish('bare', '');
    return (await heardAt) - sentAt;
  }

  /** How often the server ran which command, whoever asked: hubs, or scripts of theirs. */
  async commands(): Promise<Map<string, number>> {
    const text = await this.speaker.info('commandstats');
    const counts = [...text.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)].map(
      ([, command = '', calls]) => [command, Number(calls)] as const,
    );
    return new Map(counts.filter(([command]) => !NOT_COUNTED.includes(command)));
  }

  close(): void {
    this.speaker.disconnect();
    this.hearer.disconnect();
  }
}
