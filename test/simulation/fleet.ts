import { z } from 'zod';
import { Secret } from '../../src/config/secret.js';
import { CredentialsService } from '../../src/credentials/credentials.service.js';
import type { HubEvent } from '../../src/credentials/journal.js';
import type { HostedApp } from '../../src/credentials/hosted-app.js';
import { type Credential, secondsLeft } from '../../src/credentials/policy.js';
import { RedisStore } from '../../src/credentials/store/redis.store.js';
import { type Store, StoreUnreachable } from '../../src/credentials/store/store.js';
import { officialAccount } from '../../src/wechat/platforms/official-account.js';
import { CALL_DEADLINE_MS, readAnswer, type WechatAnswer, type WechatCall } from '../../src/wechat/wechat.client.js';
import { type Dialect, WechatNonsense, WechatUnreachable } from '../../src/wechat/wechat.error.js';
import type { Effect } from '../simulator/faults.js';
import { World } from '../simulator/world.js';
import { Disk, DiskStore } from './disk.js';
import { VirtualProcess } from './virtual-process.js';
import { VirtualRedis } from './virtual-redis.js';
import { chance, VirtualTime } from './virtual-time.js';

/** What may go wrong in a run. */
export interface Weather {
  readonly slow?: boolean;
  readonly lostAnswers?: boolean;
  readonly refusals?: boolean;
  readonly outages?: boolean;
  readonly crashes?: boolean;
  readonly rotations?: boolean;
  readonly foreignMints?: boolean;
  /** Of one hub on a disk. */
  readonly fullDisk?: boolean;
  /** Of several hubs on one Redis: hubs are stopped for 1 to 40 s. */
  readonly pauses?: boolean;
  /** Their clocks are up to half an hour apart. */
  readonly clocks?: boolean;
  readonly slowRedis?: boolean;
  readonly lostMessages?: boolean;
  /** Redis is away, or frozen, and comes back as it was. */
  readonly redisOutages?: boolean;
  /** A hub is cut off from Redis. */
  readonly partitions?: boolean;
  /** Redis comes back with less than it had: a failover, a snapshot, nothing. */
  readonly redisLosses?: boolean;
}

/** One run: everything that happens in it follows from these. */
export interface Scenario {
  readonly seed: number;
  readonly endpoint: 'classic' | 'stable';
  readonly weather: Weather;
  /** One hub has a disk of its own; several share a Redis. */
  readonly hubs: number;
  readonly clients: number;
  readonly hours: number;
}

/** What a run came to. */
export interface Findings {
  /** Sentences about promises that were broken, with the instant; empty is what we want. */
  readonly broken: string[];
  readonly mints: number;
  readonly reads: number;
  readonly failedReads: number;
  readonly crashes: number;
  /** For how long, at most, a value was handed out after its death, in milliseconds. */
  readonly longestDeadMs: number;
  /** A digest of all that happened, for comparing two runs of one seed. */
  readonly history: string[];
}

const APPID = 'wx1';
const KINDS = ['access-token', 'jsapi', 'wx_card'] as const;
type Kind = (typeof KINDS)[number];

/** Where the store has lost what it knew, nobody can know better at once. */
const DEAD_AT_MOST_MS = 20_000;
/** Who knows better than Redis, and can reach it, has told it and the other hubs within this time. */
const TOLD_WITHIN_MS = 20_000;
/** Calls whose answers were lost, of which the first and the last may have begun the same ticket, are so far apart at most. */
const DOUBT_LASTS_MS = 180_000;
/** In the usual case far sooner; but messages get lost, and hubs look for what they missed every two seconds. */
const HEARD_WITHIN_MS = 5000;

/**
 * For how long a rotation may be unheard of: it may be lost, and tried again for a while; and a hub that is cut off hears of
 * it when it is back.
 */
const ROTATION_HEARD_MS = { alone: 120_000, together: 480_000 };

/** A hub and the process that it runs in. */
interface Running {
  readonly process: VirtualProcess;
  readonly service: CredentialsService;
  readonly index: number;
}

/** What a client got, and from whom. */
interface Held {
  readonly credential: Credential;
  readonly from: Running;
}

/**
 * Hubs, some clients and WeChat in virtual time. The hubs' core is the real one, and so is their shared store; WeChat and
 * Redis are models, asked over networks of two legs, so that "done, but the answer was lost" exists; a process may be
 * stopped or die at any await.
 */
export class Fleet {
  private readonly time = new VirtualTime();
  private readonly random: () => number;
  private readonly world: World;
  private readonly redis: VirtualRedis;
  private readonly disk = new Disk();
  private readonly life: number;
  private readonly hubs: (Running | undefined)[];
  private isOut = false;
  private cutOff: number | undefined;
  private isOver = false;
  private callsSeen = 0;
  private rotatedAt = -Infinity;
  private foreignAt = -Infinity;
  /** From when on a hub is not cut off from Redis any more. */
  private readonly reachesRedisFrom = new Map<number, number>();
  /** Of each ticket, the hubs that know when its life ends. */
  private readonly witnesses = new Map<string, Set<Running>>();
  private readonly newest = new Map<
    Kind,
    { readonly version: number; readonly since: number; readonly before: number }
  >();
  private readonly findings = {
    broken: [] as string[],
    reads: 0,
    failedReads: 0,
    crashes: 0,
    longestDeadMs: 0,
    history: [] as string[],
  };

  constructor(private readonly scenario: Scenario) {
    this.random = chance(scenario.seed);
    this.world = new World({ clock: this.time, seed: scenario.seed });
    this.redis = new VirtualRedis(this.time, this.random);
    this.redis.isSlow = scenario.weather.slowRedis ?? false;
    this.redis.messageLoss = scenario.weather.lostMessages ? 0.3 : 0;
    if (scenario.weather.clocks) this.redis.skewMs = (this.random() - 0.5) * 3_600_000;
    this.life = [7200, 7200, 1800, 600][Math.floor(this.random() * 4)] ?? 7200;
    this.hubs = Array.from({ length: scenario.hubs }, () => undefined);
    this.world.account({
      appid: APPID,
      secret: 'secret',
      kind: 'official-account',
      life: this.life,
      ticketLife: this.life,
      overlap: 300,
    });
  }

  /** Runs the scenario to its end, and half a minute of good weather after it. */
  async run(): Promise<Findings> {
    for (const index of this.hubs.keys()) await this.time.during(this.start(index));
    for (let client = 0; client < this.scenario.clients; client += 1) this.client(client);
    this.sky();
    await this.time.pass(this.scenario.hours * 3_600_000);
    await this.clearUp();
    return { ...this.findings, mints: this.world.mints(APPID, this.scenario.endpoint) };
  }

  private get isShared(): boolean {
    return this.scenario.hubs > 1;
  }

  private async start(index: number): Promise<void> {
    const process = new VirtualProcess(this.time, this.scenario.weather.clocks ? (this.random() - 0.5) * 3_600_000 : 0);
    const service = new CredentialsService(
      {
        clock: process,
        replica: `hub-${index}`,
        random: this.random,
        sleep: process.sleep,
        store: await this.open(process, index),
        wechat: { call: (dialect, call) => this.call(process, dialect, call) },
        tell: (event) => {
          if (process.lives) this.note(index, event);
        },
      },
      { burst: 3, everyMs: 30_000 },
    );
    const settings = { appid: APPID, secret: 'x', endpoint: this.scenario.endpoint };
    const app = officialAccount.schema(z.any().transform(() => new Secret('secret'))).parse(settings);
    await process.outcome(service.apply(new Map([['default', app]])));
    this.hubs[index] = { process, service, index };
    const tick = (): void => {
      service.renewDue();
      process.in(this.isShared ? 2000 : 5000, tick);
    };
    tick();
  }

  private async open(process: VirtualProcess, index: number): Promise<Store> {
    if (!this.isShared) {
      return new DiskStore(process, this.disk, () => process.sleep(1 + this.random() * 5));
    }
    const redis = this.redis.connect(process, () => this.cutOff === index);
    const tell = (event: HubEvent): void => {
      if (process.lives) this.note(index, event);
    };
    const store = new RedisStore({ redis, clock: process, tell }, 'fleet', KEY);
    await store.open().catch((error: unknown) => {
      if (!(error instanceof StoreUnreachable)) throw error;
    });
    return store;
  }

  /** One call over the network: the connection, the way there, WeChat, the way back; five seconds for all of it. */
  private call(process: VirtualProcess, dialect: Dialect, call: WechatCall): Promise<WechatAnswer> {
    const { slow, outages } = this.scenario.weather;
    const leg = (): number =>
      slow && !this.isOver && this.random() < 0.1 ? this.random() * 8000 : 5 + this.random() * 50;
    const startedAt = this.time.now();
    const deadline = startedAt + CALL_DEADLINE_MS;
    const silence = `no answer within ${CALL_DEADLINE_MS / 1000} s`;
    let sent = false;
    const late = async (): Promise<never> => {
      await this.time.sleep(deadline - this.time.now());
      throw new WechatUnreachable(silence, sent);
    };
    const exchange = async (): Promise<WechatAnswer> => {
      await process.sleep(5 + this.random() * 20);
      if (outages && this.isOut) throw new WechatUnreachable('ECONNREFUSED', false);
      // A process that was stopped while it connected does not send any more.
      if (this.time.now() > deadline) throw new WechatUnreachable(silence, false);
      sent = true;
      const text = await new Promise<string | undefined>((resolve) => {
        this.time.in(leg(), () => {
          const answer = this.world.answer(request(call));
          const isLost = answer.transport !== undefined && answer.transport.kind !== 'slow';
          if (isLost) return;
          this.time.in(leg(), () => resolve(answer.status === 200 ? answer.body : undefined));
        });
      });
      if (text === undefined) throw new WechatNonsense('HTTP status 502');
      return readAnswer(text, dialect, call);
    };
    return process.outcome(Promise.race([exchange(), late()]));
  }

  /** A program that reads, holds what it got for as long as it may, and tells when WeChat refuses it. */
  private client(client: number): void {
    const held = new Map<Kind, Held>();
    const act = async (): Promise<void> => {
      const running = this.hubs.filter((hub) => hub?.process.runs);
      const hub = running[Math.floor(this.random() * running.length)];
      const app = hub?.service.app('default');
      const kind = KINDS[Math.floor(this.random() ** 2 * KINDS.length)] ?? 'access-token';
      if (!hub || !app) return;
      const luck = this.random();
      const refused = held.get(kind)?.credential;
      const source = sourceOf(app, kind);
      if (this.scenario.weather.rotations && !this.isOver && luck < 0.01 && refused) {
        this.rotatedAt = this.time.now();
        await this.receive(client, kind, held, hub, () => app.rotate(source, refused.value));
        this.rotatedAt = this.time.now();
      } else if (luck < 0.02 && refused && kind === 'access-token') {
        const circumstances = { client: String(client), requestId: '' };
        const report = async (): Promise<Credential> =>
          (await app.report({ version: refused.version }, circumstances)).credential;
        await this.receive(client, kind, held, hub, report);
      } else {
        await this.receive(client, kind, held, hub, () => source.get());
      }
    };
    const next = (): void => {
      this.time.in(this.random() * 100_000, () => {
        void act();
        next();
      });
    };
    next();
  }

  private async receive(
    client: number,
    kind: Kind,
    held: Map<Kind, Held>,
    hub: Running,
    ask: () => Promise<Credential>,
  ): Promise<void> {
    const source = sourceOf(hub.service.app('default'), kind);
    const isUsable = (): boolean => source?.status.usable ?? false;
    const wasUsable = isUsable();
    this.findings.reads += 1;
    let credential: Credential;
    try {
      credential = await ask();
    } catch (error) {
      if (!hub.process.lives) return;
      this.findings.failedReads += 1;
      const { name } = error as Error;
      if (!this.scenario.weather.rotations && wasUsable && name === 'Unavailable' && isUsable()) {
        this.breaks(`I-5: client ${client} was refused a ${kind} though a usable one is there`);
      }
      return;
    }
    if (!hub.process.lives) return;
    const last = held.get(kind);
    held.set(kind, { credential, from: hub });
    if (last?.from === hub && credential.version < last.credential.version) {
      this.breaks(`I-11: the version of ${kind} fell for client ${client}`);
    }
    this.expectNews(kind, credential);
    const seconds = secondsLeft(credential, hub.process.now());
    const servedAt = this.time.now();
    const isKnowable = this.isKnowable(credential.value);
    const expectAlive = (when: string): void => this.expectAlive(kind, credential, servedAt, isKnowable, when);
    expectAlive('when it was served');
    this.time.at(servedAt + seconds * 1000, () => expectAlive(`at the end of its ${seconds} s`));
  }

  private expectAlive(kind: Kind, { value }: Credential, servedAt: number, isKnowable: boolean, when: string): void {
    const verdict = this.world.verdict(value);
    if (verdict.accepted) return;
    // A client's rotation, or somebody else's mint, may end what others hold: that is what the promise leaves out.
    // A rotation that fails is tried again for a while by the hubs themselves.
    const excusedSince = Math.max(
      this.rotatedAt + ROTATION_HEARD_MS[this.isShared ? 'together' : 'alone'],
      this.foreignAt,
    );
    if (excusedSince >= servedAt) return;
    const deadMs = servedAt - verdict.until;
    this.findings.longestDeadMs = Math.max(this.findings.longestDeadMs, deadMs);
    if (this.isExcused(kind, isKnowable, deadMs)) return;
    this.breaks(`I-1: a ${kind} was dead ${when}, served ${(deadMs / 1000).toFixed(1)} s after its death`);
  }

  /**
   * Where Redis has lost something, a stable token is safe even then; a classic one is served dead for a little while at
   * most. WeChat repeats a ticket as if it were fresh: it is served dead only if nobody is left who knows how old it is.
   */
  private isExcused(kind: Kind, isKnowable: boolean, deadMs: number): boolean {
    if (!this.scenario.weather.redisLosses) return false;
    if (kind !== 'access-token') return !isKnowable;
    return this.scenario.endpoint === 'classic' && deadMs <= DEAD_AT_MOST_MS;
  }

  /** Whether a hub lives that knows when the life of a ticket ends, and has had the time to tell. */
  private isKnowable(ticket: string): boolean {
    return [...(this.witnesses.get(ticket) ?? [])].some(({ process, index }) => {
      const ableFrom = Math.max(
        process.runsFrom,
        this.redis.answersFrom,
        this.reachesRedisFrom.get(index) ?? -Infinity,
      );
      return process.lives && this.time.now() >= ableFrom + TOLD_WITHIN_MS;
    });
  }

  private bearWitness(hub: Running | undefined): void {
    if (!hub?.process.lives) return;
    for (const kind of KINDS) {
      const { value, expiresAt = 0 } = sourceOf(hub.service.app('default'), kind)?.status.credential ?? {};
      if (value === undefined) continue;
      const isRight = expiresAt - hub.process.now() <= this.world.verdict(value).until - this.time.now();
      const witnesses = this.witnesses.get(value) ?? new Set();
      if (isRight) this.witnesses.set(value, witnesses.add(hub));
    }
  }

  /** What one hub has handed out as new, the others do not go without for long, unless Redis keeps it from them. */
  private expectNews(kind: Kind, { version }: Credential): void {
    const now = this.time.now();
    const newest = this.newest.get(kind);
    if (!newest || version > newest.version) {
      this.newest.set(kind, { version, since: now, before: newest?.version ?? 0 });
      return;
    }
    const { slowRedis, redisOutages, partitions, redisLosses, pauses } = this.scenario.weather;
    if (slowRedis ?? redisOutages ?? partitions ?? redisLosses ?? pauses) return;
    if (version < newest.version && now > newest.since + HEARD_WITHIN_MS) {
      this.breaks(`I-8: an old ${kind} was served ${((now - newest.since) / 1000).toFixed(1)} s after the new one`);
    }
  }

  /** What goes wrong, and when. */
  private sky(): void {
    const { weather } = this.scenario;
    const event = (isOn: boolean | undefined, everyMs: number, happen: () => void): void => {
      if (!isOn) return;
      const next = (): void => {
        this.time.in(this.random() * 2 * everyMs, () => {
          if (this.isOver) return;
          happen();
          next();
        });
      };
      next();
    };
    const strike = (effect: Effect, times: number): void => {
      this.world.faults.add({ ...effect, path: '/cgi-bin/*', times });
    };
    const some = (): Running | undefined => this.hubs[Math.floor(this.random() * this.hubs.length)];
    event(weather.lostAnswers, 600_000, () =>
      strike({ kind: 'hang', executed: this.random() < 0.7 }, 1 + Math.floor(this.random() * 3)),
    );
    event(weather.refusals, 600_000, () => {
      const errcode = [-1, 45011, -1000][Math.floor(this.random() * 3)] ?? -1;
      strike(this.random() < 0.3 ? { kind: 'status', status: 502, executed: true } : { kind: 'errcode', errcode }, 3);
    });
    event(weather.outages, 1_800_000, () => {
      this.isOut = true;
      this.time.in(this.random() * 400_000, () => (this.isOut = false));
    });
    event(weather.fullDisk, 1_800_000, () => {
      this.disk.isFull = true;
      this.time.in(this.random() * 400_000, () => (this.disk.isFull = false));
    });
    event(weather.foreignMints, 1_200_000, () => {
      this.world.mintElsewhere(APPID);
      this.foreignAt = this.time.now() + 300_000 + this.life * 1000;
    });
    event(weather.crashes, 400_000, () => this.crash(some()));
    event(weather.pauses, 200_000, () => some()?.process.stop(1000 + this.random() * 39_000));
    event(weather.redisOutages, 900_000, () => {
      const ms = this.random() ** 2 * 120_000;
      if (this.random() < 0.5) this.redis.freeze(ms);
      else this.failRedis(ms, this.redis.snapshot);
    });
    event(weather.partitions, 900_000, () => {
      const [hub, ms] = [Math.floor(this.random() * this.hubs.length), this.random() * 120_000];
      this.cutOff = hub;
      this.reachesRedisFrom.set(hub, this.time.now() + ms);
      this.time.in(ms, () => (this.cutOff = undefined));
    });
    let snapshot = this.redis.snapshot;
    event(weather.redisLosses, 600_000, () => (snapshot = this.redis.snapshot));
    event(weather.redisLosses, 900_000, () => {
      const luck = this.random();
      const ms = this.random() ** 2 * 30_000;
      this.failRedis(ms, luck < 0.6 ? { lagMs: this.random() * 2000 } : luck < 0.8 ? snapshot : 'nothing');
    });
    // And when it hurts most: somewhere in the middle of a renewal.
    const { crashes, pauses, redisOutages, redisLosses } = weather;
    if (!(crashes ?? pauses ?? redisOutages ?? redisLosses)) return;
    const watch = (): void => {
      if (this.world.calls.length !== this.callsSeen && this.random() < 0.2) {
        this.callsSeen = this.world.calls.length;
        this.time.in(this.random() * 60, () => {
          if (!this.isOver) this.hurt(some());
        });
      }
      this.time.in(1000, watch);
    };
    watch();
  }

  private hurt(hub: Running | undefined): void {
    const { crashes, pauses, redisOutages, redisLosses } = this.scenario.weather;
    const ways = [
      crashes && (() => this.crash(hub)),
      pauses && (() => hub?.process.stop(1000 + this.random() * 39_000)),
      redisOutages && (() => this.redis.freeze(this.random() * 20_000)),
      redisLosses && (() => this.failRedis(this.random() * 10_000, { lagMs: this.random() * 200 })),
    ].filter((way) => way !== undefined && way !== false);
    ways[Math.floor(this.random() * ways.length)]?.();
  }

  private failRedis(ms: number, backWith: Parameters<VirtualRedis['fail']>[1]): void {
    for (const hub of this.hubs) this.bearWitness(hub);
    this.redis.fail(ms, backWith);
  }

  private crash(hub: Running | undefined): void {
    if (!hub?.process.lives) return;
    this.findings.crashes += 1;
    hub.process.kill();
    this.hubs[hub.index] = undefined;
    this.time.in(this.random() * 20_000, () => void this.start(hub.index));
  }

  /** The weather clears: within half a minute everything that clients asked for is fresh again, and everywhere the same. */
  private async clearUp(): Promise<void> {
    this.isOver = true;
    this.world.faults.clear();
    this.isOut = false;
    this.disk.isFull = false;
    this.cutOff = undefined;
    this.redis.isSlow = false;
    this.redis.messageLoss = 0;
    // What is down or stopped is so for 40 s at most; then a chain waits 30 s and a fifth, and a try takes five seconds.
    await this.time.pass(120_000 + 45_000);
    for (const kind of KINDS) {
      const wanted = this.hubs.some((hub) => sourceOf(hub?.service.app('default'), kind)?.status.credential);
      if (!wanted) continue;
      // A ticket whose birth nobody saw is taken for older than it may be: near its end there is none, now and then, from
      // the first end that it may have to the last, which are as far apart as the calls whose answers were lost.
      const isInDoubt = this.hubs.some((hub) => sourceOf(hub?.service.app('default'), kind)?.status.credential?.births);
      const wellBy = this.time.now() + (isInDoubt ? DOUBT_LASTS_MS : 40_000);
      while (!(await this.isWell(kind)) && this.time.now() < wellBy) await this.time.pass(10_000);
      if (!(await this.isWell(kind))) this.breaks(`I-8: ${kind} is not well again: ${this.standing(kind)}`);
    }
    const size = this.isShared ? this.redis.size : this.disk.entries.size;
    if (size > KINDS.length + 2) this.breaks(`I-12: the store has ${size} entries`);
  }

  /** Whether all hubs serve one value, alive as far as a hub can know, and the store has it. */
  private async isWell(kind: Kind): Promise<boolean> {
    const values = new Set<string | undefined>();
    for (const hub of this.hubs) {
      const source = sourceOf(hub?.service.app('default'), kind);
      const read = source && (await this.time.during(source.get().catch(() => undefined)));
      if (!read || source.status.unsaved) return false;
      const isAlive = this.world.verdict(read.value).accepted;
      const isExcused =
        this.scenario.weather.foreignMints ?? this.isExcused(kind, this.isKnowable(read.value), Infinity);
      if (!isAlive && !isExcused) return false;
      values.add(read.value);
    }
    return values.size === 1;
  }

  /** How a credential stands with each hub. */
  private standing(kind: Kind): string {
    const hubs = this.hubs.map((hub, index) => {
      const { credential, usable, unsaved } = sourceOf(hub?.service.app('default'), kind)?.status ?? {};
      const isAlive = credential && this.world.verdict(credential.value).accepted;
      return `hub ${index} has ${credential?.version ?? 'none'}${isAlive ? '' : ', dead'}${usable ? '' : ', unusable'}${unsaved ? ', unsaved' : ''}`;
    });
    return hubs.join('; ');
  }

  private note(index: number, event: HubEvent): void {
    const kind = 'kind' in event ? event.kind : '';
    const flaw = 'flaw' in event ? ` ${event.flaw}` : '';
    if (event.event === 'minted') this.bearWitness(this.hubs[index]);
    this.findings.history.push(`${this.instant()} hub ${index}: ${kind} ${event.event}${flaw}`);
  }

  private breaks(sentence: string): void {
    this.findings.broken.push(`${sentence} (at ${this.instant()}, lives of ${this.life} s)`);
  }

  private instant(): string {
    return `${((this.time.now() - Date.UTC(2026, 0, 1, 1)) / 1000).toFixed(3)} s`;
  }
}

const KEY = new Secret(Buffer.alloc(32, 7).toString('base64'));

function sourceOf(app: HostedApp, kind: Kind): HostedApp['accessToken'];
function sourceOf(app: HostedApp | undefined, kind: Kind): HostedApp['accessToken'] | undefined;
function sourceOf(app: HostedApp | undefined, kind: Kind): HostedApp['accessToken'] | undefined {
  return kind === 'access-token' ? app?.accessToken : app?.ticket(kind);
}

function request({ path, query = {}, body }: WechatCall): Parameters<World['answer']>[0] {
  const plain = (parameters: Exclude<WechatCall['query'], undefined>): Record<string, string | boolean> =>
    Object.fromEntries(
      Object.entries(parameters).map(([name, value]) => [name, value instanceof Secret ? value.reveal() : value]),
    );
  const search = new URLSearchParams(
    Object.entries(plain(query)).map(([name, value]): [string, string] => [name, String(value)]),
  );
  if (!body) return { method: 'GET', target: `${path}?${search.toString()}` };
  const text = JSON.stringify(plain(body));
  return { method: 'POST', target: path, body: text, headers: { 'content-length': String(text.length) } };
}
