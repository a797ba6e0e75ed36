import { Secret } from '../../src/config/secret.js';
import { CredentialsService, type HubEvent } from '../../src/credentials/credentials.service.js';
import type { HostedApp } from '../../src/credentials/hosted-app.js';
import { type Credential, secondsLeft } from '../../src/credentials/policy.js';
import { MemoryStore } from '../../src/credentials/store/memory.store.js';
import type { Entry, Granted, Written } from '../../src/credentials/store/store.js';
import { officialAccount } from '../../src/wechat/platforms/official-account.js';
import { readAnswer, type Wechat, type WechatAnswer, type WechatCall } from '../../src/wechat/wechat.client.js';
import { type Dialect, WechatNonsense, WechatUnreachable } from '../../src/wechat/wechat.error.js';
import type { Effect } from '../simulator/faults.js';
import { World } from '../simulator/world.js';
import { chance, VirtualTime } from './virtual-time.js';
import { z } from 'zod';

/** What may go wrong in a run. */
export interface Weather {
  readonly slow?: boolean;
  readonly lostAnswers?: boolean;
  readonly refusals?: boolean;
  readonly outages?: boolean;
  readonly crashes?: boolean;
  readonly rotations?: boolean;
  readonly foreignMints?: boolean;
  readonly fullDisk?: boolean;
}

/** One run: everything that happens in it follows from these. */
export interface Scenario {
  readonly seed: number;
  readonly endpoint: 'classic' | 'stable';
  readonly weather: Weather;
}

/** What a run came to. */
export interface Findings {
  /** Sentences about promises that were broken, with the instant; empty is what we want. */
  readonly broken: string[];
  readonly mints: number;
  readonly reads: number;
  readonly failedReads: number;
  readonly crashes: number;
  /** A digest of all that happened, for comparing two runs of one seed. */
  readonly history: string[];
}

/** What a crash leaves. */
class Disk {
  readonly entries = new Map<string, Entry>();
  isFull = false;
}

/** A store of one process on a disk: what is written is there a moment later, or not, if the process dies before. */
class DiskStore extends MemoryStore {
  constructor(
    clock: VirtualTime,
    private readonly disk: Disk,
    private readonly latency: () => Promise<void>,
  ) {
    super(clock);
    for (const [name, entry] of disk.entries) this.restore(name, entry);
  }

  override async grant(...asked: Parameters<MemoryStore['grant']>): Promise<Granted> {
    const granted = await super.grant(...asked);
    return asked[2] ? this.persisted(asked[0], granted) : granted;
  }

  override async commit(...asked: Parameters<MemoryStore['commit']>): Promise<Written> {
    return this.persisted(asked[0].name, await super.commit(...asked));
  }

  override async put(...asked: Parameters<MemoryStore['put']>): Promise<Written> {
    return this.persisted(asked[0], await super.put(...asked));
  }

  private async persisted<W extends Written>(name: string, written: W): Promise<W> {
    if (!written.kept) return written;
    await this.latency();
    if (this.disk.isFull) return { ...written, fault: new Error('ENOSPC') };
    this.disk.entries.set(name, written.stored.entry);
    return written;
  }
}

const APPID = 'wx1';
const HOURS = 2;
const KINDS = ['access-token', 'jsapi', 'wx_card'] as const;
type Kind = (typeof KINDS)[number];

/**
 * A hub, some clients and WeChat in virtual time. The hub's core is the real one; WeChat is the simulator's model, asked
 * over a network of two legs, so that "done, but the answer was lost" exists; the process may die at any await.
 */
export class OneHub {
  private readonly time = new VirtualTime();
  private readonly random: () => number;
  private readonly world: World;
  private readonly life: number;
  /** What is on disk: what a crash leaves. */
  private readonly disk = new Disk();
  private life_ = 0;
  private hub: CredentialsService | undefined;
  private isOut = false;
  private isOver = false;
  private callsSeen = 0;
  private rotatedAt = -Infinity;
  private foreignAt = -Infinity;
  private readonly findings = {
    broken: [] as string[],
    mints: 0,
    reads: 0,
    failedReads: 0,
    crashes: 0,
    history: [] as string[],
  };

  constructor(private readonly scenario: Scenario) {
    this.random = chance(scenario.seed);
    this.world = new World({ clock: this.time, seed: scenario.seed });
    this.life = [7200, 7200, 1800, 600][Math.floor(this.random() * 4)] ?? 7200;
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
    await this.start();
    for (let client = 0; client < 3; client += 1) this.client(client);
    this.sky();
    await this.time.pass(HOURS * 3_600_000);
    await this.clearUp();
    return { ...this.findings, mints: this.world.mints(APPID, this.scenario.endpoint) };
  }

  private async start(): Promise<void> {
    const life = (this.life_ += 1);
    const isAlive = (): boolean => life === this.life_;
    // What a dead process awaits never comes.
    const alive = async <T>(work: Promise<T>): Promise<T> => {
      const outcome = await work.then(
        (value) => () => value,
        (error: unknown) => () => {
          throw error;
        },
      );
      return isAlive() ? outcome() : new Promise<never>(() => undefined);
    };
    const hub = new CredentialsService(
      {
        clock: this.time,
        random: this.random,
        sleep: this.time.sleep,
        store: new DiskStore(this.time, this.disk, async () => {
          await this.time.sleep(1 + this.random() * 5);
          if (!isAlive()) await new Promise<never>(() => undefined);
        }),
        wechat: { call: (dialect, call) => alive(this.call(dialect, call)) } satisfies Wechat,
        tell: (event) => {
          if (isAlive()) this.note(event);
        },
      },
      { burst: 3, everyMs: 30_000 },
    );
    const settings = { appid: APPID, secret: 'x', endpoint: this.scenario.endpoint };
    const app = officialAccount.schema(z.any().transform(() => new Secret('secret'))).parse(settings);
    await hub.apply(new Map([['default', app]]));
    this.hub = hub;
    const tick = (): void => {
      if (!isAlive()) return;
      hub.renewDue();
      this.time.at(this.time.now() + 5000, tick);
    };
    tick();
  }

  /** One call over the network: the way there, WeChat, the way back; five seconds for all of it. */
  private async call(dialect: Dialect, call: WechatCall): Promise<WechatAnswer> {
    const { slow, outages } = this.scenario.weather;
    const leg = (): number =>
      slow && !this.isOver && this.random() < 0.1 ? this.random() * 8000 : 5 + this.random() * 50;
    if (outages && this.isOut) {
      await this.time.sleep(1);
      throw new WechatUnreachable('ECONNREFUSED', false);
    }
    const deadline = this.time.now() + 5000;
    const giveUp = async (): Promise<never> => {
      await this.time.sleep(deadline - this.time.now());
      throw new WechatUnreachable('no answer within 5 s', true);
    };
    const there = leg();
    const arrived = new Promise<string | undefined>((resolve) => {
      this.time.at(this.time.now() + there, () => {
        const answer = this.world.answer(request(call));
        if (answer.transport && answer.transport.kind !== 'slow') resolve(undefined);
        else resolve(answer.status === 200 ? answer.body : '<html>');
      });
    });
    if (there > 5000) return giveUp();
    const text = await arrived;
    const back = leg();
    if (text === undefined || this.time.now() + back > deadline) return giveUp();
    await this.time.sleep(back);
    if (text === '<html>') throw new WechatNonsense('HTTP status 502');
    return readAnswer(text, dialect, call);
  }

  /** A program that reads, holds what it got for as long as it may, and tells when WeChat refuses it. */
  private client(client: number): void {
    const held = new Map<Kind, Credential>();
    const act = async (): Promise<void> => {
      const app = this.hub?.app('default');
      const kind = KINDS[Math.floor(this.random() ** 2 * KINDS.length)] ?? 'access-token';
      if (!app || this.life_ === 0) return;
      const life = this.life_;
      const luck = this.random();
      const refused = held.get(kind);
      if (this.scenario.weather.rotations && luck < 0.01 && refused) {
        this.rotatedAt = this.time.now();
        await this.receive(client, kind, held, life, app, () => app.rotate(sourceOf(app, kind), refused.value));
        this.rotatedAt = this.time.now();
      } else if (luck < 0.02 && refused && kind === 'access-token') {
        await this.receive(
          client,
          kind,
          held,
          life,
          app,
          async () => (await app.report({ version: refused.version })).credential,
        );
      } else {
        await this.receive(client, kind, held, life, app, () => sourceOf(app, kind).get());
      }
    };
    const next = (): void => {
      this.time.at(this.time.now() + this.random() * 100_000, () => {
        void act();
        next();
      });
    };
    next();
  }

  private async receive(
    client: number,
    kind: Kind,
    held: Map<Kind, Credential>,
    life: number,
    app: HostedApp,
    ask: () => Promise<Credential>,
  ): Promise<void> {
    const usableBefore = sourceOf(app, kind).status.usable;
    const isRead = !this.scenario.weather.rotations;
    this.findings.reads += 1;
    let credential: Credential;
    try {
      credential = await ask();
    } catch (error) {
      if (life !== this.life_) return;
      this.findings.failedReads += 1;
      const { name } = error as Error;
      if (isRead && usableBefore && name === 'Unavailable' && sourceOf(app, kind).status.usable) {
        this.breaks(`I-5: client ${client} was refused a ${kind} though a usable one is there`);
      }
      return;
    }
    if (life !== this.life_) return;
    const last = held.get(kind);
    held.set(kind, credential);
    if (last && credential.version < last.version)
      this.breaks(`I-11: the version of ${kind} fell for client ${client}`);
    const seconds = secondsLeft(credential, this.time.now());
    const servedAt = this.time.now();
    this.expectAlive(kind, credential, servedAt, 'when it was served');
    this.time.at(servedAt + seconds * 1000, () => {
      this.expectAlive(kind, credential, servedAt, `at the end of its ${seconds} s`);
    });
  }

  private expectAlive(kind: Kind, { value }: Credential, servedAt: number, when: string): void {
    if (this.world.verdict(value).accepted) return;
    // A client's rotation, or somebody else's mint, may end what others hold: that is what the promise leaves out.
    // A rotation that fails is tried again for a while by the hub itself.
    const excusedSince = Math.max(this.rotatedAt + 120_000, this.foreignAt);
    if (excusedSince >= servedAt) return;
    this.breaks(`I-1: a ${kind} was dead ${when}`);
  }

  /** What goes wrong, and when. */
  private sky(): void {
    const { weather } = this.scenario;
    const event = (isOn: boolean | undefined, everyMs: number, happen: () => void): void => {
      if (!isOn) return;
      const next = (): void => {
        this.time.at(this.time.now() + this.random() * 2 * everyMs, () => {
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
    event(weather.lostAnswers, 600_000, () =>
      strike({ kind: 'hang', executed: this.random() < 0.7 }, 1 + Math.floor(this.random() * 3)),
    );
    event(weather.refusals, 600_000, () => {
      const errcode = [-1, 45011, -1000][Math.floor(this.random() * 3)] ?? -1;
      strike(this.random() < 0.3 ? { kind: 'status', status: 502, executed: true } : { kind: 'errcode', errcode }, 3);
    });
    event(weather.outages, 1_800_000, () => {
      this.isOut = true;
      this.time.at(this.time.now() + this.random() * 400_000, () => (this.isOut = false));
    });
    event(weather.fullDisk, 1_800_000, () => {
      this.disk.isFull = true;
      this.time.at(this.time.now() + this.random() * 400_000, () => (this.disk.isFull = false));
    });
    event(weather.foreignMints, 1_200_000, () => {
      this.world.mintElsewhere(APPID);
      this.foreignAt = this.time.now() + 300_000 + this.life * 1000;
    });
    event(weather.crashes, 400_000, () => {
      if (!this.hub) return;
      this.crash();
    });
    // And when it hurts most: somewhere in the middle of a renewal.
    if (weather.crashes) {
      const watch = (): void => {
        if (this.hub && this.world.calls.length !== this.callsSeen && this.random() < 0.2) {
          this.callsSeen = this.world.calls.length;
          this.time.at(this.time.now() + this.random() * 60, () => {
            if (this.hub && !this.isOver) this.crash();
          });
        }
        this.time.at(this.time.now() + 1000, watch);
      };
      watch();
    }
  }

  private crash(): void {
    this.findings.crashes += 1;
    this.life_ += 1;
    this.hub = undefined;
    this.time.at(this.time.now() + this.random() * 20_000, () => void this.start());
  }

  /** The weather clears: within half a minute everything that clients asked for is fresh again. */
  private async clearUp(): Promise<void> {
    this.isOver = true;
    if (!this.hub) await this.start();
    this.world.faults.clear();
    this.isOut = false;
    this.disk.isFull = false;
    // The slowest chain waits 30 s and a fifth between two tries, and a try may take its five seconds.
    await this.time.pass(45_000);
    for (const [kind, source] of this.hub?.app('default')?.kept ?? []) {
      if (!source.status.credential) continue;
      // A ticket whose birth nobody saw is taken for older than it may be; until WeChat has another, there is none.
      if (!(await this.reads(source))) await this.time.pass(45_000);
      if (!(await this.reads(source)) || source.status.unsaved) this.breaks(`I-8: ${kind} is not well again`);
    }
    const { size } = this.disk.entries;
    if (size > 4) this.breaks(`I-12: the store has ${size} entries`);
  }

  /** Whether a read gets a credential, alive as far as the hub can know. */
  private async reads(source: HostedApp['accessToken']): Promise<boolean> {
    const read = await this.time.during(source.get().catch(() => undefined));
    return read !== undefined && (this.scenario.weather.foreignMints ?? this.world.verdict(read.value).accepted);
  }

  private note(event: HubEvent): void {
    this.findings.history.push(`${this.time.now()} ${event.event}${'flaw' in event ? ` ${event.flaw}` : ''}`);
  }

  private breaks(sentence: string): void {
    const at = (this.time.now() - Date.UTC(2026, 0, 1, 1)) / 1000;
    this.findings.broken.push(`${sentence} (at ${at.toFixed(3)} s, lives of ${this.life} s)`);
  }
}

function sourceOf(app: HostedApp, kind: Kind): HostedApp['accessToken'] {
  return kind === 'access-token' ? app.accessToken : (app.ticket(kind) ?? app.accessToken);
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
