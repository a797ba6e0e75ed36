import { CredentialsService, type Surroundings } from '../src/credentials/credentials.service.js';
import { usable } from '../src/credentials/policy.js';
import type { HostedApp } from '../src/credentials/hosted-app.js';
import type { Source } from '../src/credentials/source.js';
import type { ScriptName } from '../src/credentials/store/redis.port.js';
import { RedisStore } from '../src/credentials/store/redis.store.js';
import type { WechatAnswer, WechatCall } from '../src/wechat/wechat.client.js';
import { VirtualProcess } from '../test/simulation/virtual-process.js';
import { chance, VirtualTime } from '../test/simulation/virtual-time.js';
import { accounts, LIFE_MS, STORED_KINDS } from './accounts.js';
import { MeteredRedis, type ScriptRun } from './metered-redis.js';

const MINUTE = 60_000;
const HUBS = 3;
/** As often as the cron's. */
const TICK_MS = 500;
/** In so much time everything is asked for first: all lives end together, which is the worst that can be. */
const BEGINNING_MS = MINUTE;
/** One in so many is asked of two hubs in the same instant. */
const CONTESTED = 10;
/** From a call to WeChat to its answer. */
const ANSWER_MS = { least: 50, most: 150 };
const VALUE_LENGTH = 136;
const STOPPED_MS = 10 * MINUTE;
/** How often to look whether a hub has all that it should. */
const LOOK_MS = 15 * MINUTE;
const LOOK_CLOSELY_MS = 100;

/** When what happens, in minutes from the start. A life of two hours is renewed five minutes before its end. */
const AT = { calm: 10, late: 60, firstRound: 110, firstDone: 130, secondRound: 220, stop: 230.5, end: 250 };

/** What the fleet did in one part of the run. */
export class Period {
  /** New values that came into Redis, by the hub that brought them. */
  readonly renewals: number[] = Array.from({ length: HUBS }, () => 0);
  /** Values that WeChat gave. */
  given = 0;
  readonly scripts = new Map<ScriptName, number>();
  /** Writes that were not kept, by script and verdict. */
  readonly refused = new Map<string, number>();
  /** What hubs told of besides new values. */
  readonly told = new Map<string, number>();
  mostKeys = 0;
  mostCallsAtOnce = 0;
  /** Of a credential, from when the first hub found it due to the new value in Redis. */
  longestDueMs = 0;
  /** Of the value before, when the new one was there. */
  leastLeftMs = Infinity;
  private readonly seconds = new Map<number, number>();

  get renewalCount(): number {
    return total(this.renewals);
  }

  get scriptCount(): number {
    return total(this.scripts.values());
  }

  get busiestSecond(): number {
    return Math.max(0, ...this.seconds.values());
  }

  /** The most renewals of one of these hubs, as a multiple of their mean. */
  busiest(hubs: readonly number[]): number {
    const shares = hubs.map((hub) => this.renewals[hub] ?? 0);
    return (Math.max(...shares) * shares.length) / total(shares);
  }

  renewed(hub: number, now: number, { dueSince = now, expiresAt = Infinity }: Course): void {
    this.renewals[hub] = (this.renewals[hub] ?? 0) + 1;
    count(this.seconds, Math.floor(now / 1000));
    this.longestDueMs = Math.max(this.longestDueMs, now - dueSince);
    this.leastLeftMs = Math.min(this.leastLeftMs, expiresAt - now);
  }
}

/** What came of the run. */
export interface FleetFigures {
  readonly credentials: number;
  readonly virtualMinutes: number;
  readonly beginning: Period;
  /** Nothing is due. */
  readonly calm: Period;
  readonly calmMinutes: number;
  /** All renew, the one that came late too. */
  readonly firstRound: Period;
  /** The first is stopped in the middle of it. */
  readonly secondRound: Period;
  /** What it had renewed until then. */
  readonly byTheStopped: number;
  /** From when it ran again until it had everything. */
  readonly recoveredMs: number;
  /** Credentials that some running hub had not, by the looks every quarter of an hour. */
  readonly missed: number;
}

/** How a credential fares in Redis. */
interface Course {
  readonly app: string;
  readonly kind: string;
  /** While somebody has the lease: when the first hub found it due, and when the lease was given. */
  dueSince?: number;
  grantedAt?: number;
  expiresAt?: number;
}

interface Hub {
  readonly process: VirtualProcess;
  readonly service: CredentialsService;
}

/** Lets three hubs on one Redis keep so many credentials through two rounds of renewals, in virtual time. */
export function fleet(credentials: number): Promise<FleetFigures> {
  return new Fleet(credentials).run();
}

class Fleet {
  private readonly time = new VirtualTime();
  private readonly random = chance(1);
  private readonly redis = new MeteredRedis(this.time, this.random, (run) => this.noteRun(run));
  private readonly hubs: Hub[] = [];
  private readonly apps: ReturnType<typeof accounts>;
  private readonly startedAt = this.time.now();
  /** By the name of the entry. */
  private readonly courses: ReadonlyMap<string, Course>;
  private period = new Period();
  private callsAtOnce = 0;
  private values = 0;
  private missed = 0;

  constructor(private readonly credentials: number) {
    this.apps = accounts(credentials / STORED_KINDS.length);
    this.courses = new Map(
      [...this.apps].flatMap(([app, { identity }]) =>
        STORED_KINDS.map((kind): [string, Course] => [`${identity}/${kind}`, { app, kind }]),
      ),
    );
  }

  async run(): Promise<FleetFigures> {
    const beginning = this.period;
    await this.join();
    await this.join();
    await this.begin();
    const calm = await this.periodFrom(AT.calm);
    // What a hub reads that joins belongs to no period.
    await this.periodFrom(AT.late);
    await this.join();

    const firstRound = await this.periodFrom(AT.firstRound);
    await this.periodFrom(AT.firstDone);
    const secondRound = await this.periodFrom(AT.secondRound);
    await this.passUntil(AT.stop);
    const [byTheStopped = 0] = secondRound.renewals;
    const recoveredMs = await this.interrupt();
    await this.passUntil(AT.end);
    const { credentials, missed } = this;
    return {
      credentials,
      virtualMinutes: AT.end,
      beginning,
      calm,
      calmMinutes: AT.late - AT.calm,
      firstRound,
      secondRound,
      byTheStopped,
      recoveredMs,
      missed,
    };
  }

  /** Starts one more hub. */
  private async join(): Promise<void> {
    const hub = this.hubs.length;
    const { random, time } = this;
    const process = new VirtualProcess(time);
    const tell: Surroundings['tell'] = ({ event }) => {
      if (event !== 'minted') count(this.period.told, event);
    };
    const store = new RedisStore({ redis: this.redis.connect(hub, process), clock: process, tell }, 'fleet');
    await time.during(store.open());
    const wechat = { call: (_: string, call: WechatCall) => process.outcome(this.answer(call)) };
    const service = new CredentialsService(
      { clock: process, replica: `hub-${hub}`, store, wechat, random, sleep: process.sleep, tell },
      { burst: 3, everyMs: 30_000 },
    );
    await time.during(service.apply(this.apps));
    this.hubs.push({ process, service });
    const tick = (): void => {
      service.renewDue();
      process.in(TICK_MS, tick);
    };
    process.in(random() * TICK_MS, tick);
  }

  /** Stops the first hub for a while; gives the milliseconds that it then takes to have everything again. */
  private async interrupt(): Promise<number> {
    const [hub] = this.hubs;
    if (!hub) return NaN;
    hub.process.stop(STOPPED_MS);
    // What it has when it wakes up has ended long ago; that is no miss until it has had the time to look.
    await this.time.pass(STOPPED_MS);
    const startedAt = this.time.now();
    // What it has not got by the next look is a miss.
    while (this.missing(hub) > 0 && this.time.now() < startedAt + LOOK_MS) await this.time.pass(LOOK_CLOSELY_MS);
    return this.time.now() - startedAt;
  }

  /** Lets clients ask for every credential for the first time, one after another, of whichever hub. */
  private async begin(): Promise<void> {
    let awaited = 0;
    let asked = 0;
    for (const course of this.courses.values()) {
      await this.time.pass(BEGINNING_MS / this.credentials);
      const one = Math.floor(this.random() * this.hubs.length);
      const hubs = this.hubs.filter((_, hub) => hub === one || asked % CONTESTED === 0);
      asked += 1;
      for (const hub of hubs) {
        awaited += 1;
        void source(hub, course)
          .get()
          .then(() => (awaited -= 1));
      }
    }
    while (awaited > 0) await this.time.pass(LOOK_CLOSELY_MS);
  }

  private async periodFrom(minute: number): Promise<Period> {
    await this.passUntil(minute);
    this.period = new Period();
    return this.period;
  }

  private async passUntil(minute: number): Promise<void> {
    const until = this.startedAt + minute * MINUTE;
    while (this.time.now() < until) {
      await this.time.passUntil(Math.min(until, this.time.now() + LOOK_MS));
      for (const hub of this.hubs) if (hub.process.runs) this.missed += this.missing(hub);
    }
  }

  /** How many credentials a hub has not got, or none that can be used. */
  private missing({ service, process }: Hub): number {
    const now = process.now();
    let missing = 0;
    for (const app of service.all.values()) {
      for (const kind of STORED_KINDS) {
        const credential = keptBy(app, kind)?.current;
        if (!credential || usable(credential, now) !== undefined) missing += 1;
      }
    }
    return missing;
  }

  /** A WeChat that knows every account, never refuses and always has something new. */
  private async answer({ path }: WechatCall): Promise<WechatAnswer> {
    this.callsAtOnce += 1;
    this.period.mostCallsAtOnce = Math.max(this.period.mostCallsAtOnce, this.callsAtOnce);
    await this.time.sleep(ANSWER_MS.least + this.random() * (ANSWER_MS.most - ANSWER_MS.least));
    this.callsAtOnce -= 1;
    this.values += 1;
    this.period.given += 1;
    const value = String(this.values).padEnd(VALUE_LENGTH, '-');
    return { [path === '/cgi-bin/token' ? 'access_token' : 'ticket']: value, expires_in: LIFE_MS / 1000 };
  }

  private noteRun({ hub, script, keys, name, verdict }: ScriptRun): void {
    const { period, time } = this;
    count(period.scripts, script);
    period.mostKeys = Math.max(period.mostKeys, keys);
    if (script !== 'grant' && script !== 'commit') return;
    if (verdict !== 'kept') {
      count(period.refused, `${script} ${verdict}`);
      return;
    }
    const course = this.courses.get(name);
    if (!course) throw new Error(`nobody asked for ${name}`);
    if (script === 'grant') {
      course.grantedAt = time.now();
      course.dueSince ??= this.earliestDue(course);
    } else if (course.grantedAt !== undefined) {
      period.renewed(hub, time.now(), course);
      // WeChat was asked after the lease was there: it ends a little later than that.
      course.expiresAt = course.grantedAt + LIFE_MS;
      delete course.grantedAt;
      delete course.dueSince;
    }
  }

  private earliestDue(course: Course): number {
    const running = this.hubs.filter(({ process }) => process.runs);
    return Math.min(this.time.now(), ...running.map((hub) => source(hub, course).renewalAt));
  }
}

/** Makes a ticket that nobody has asked for yet, as a client would. */
function keptBy(app: HostedApp | undefined, kind: string): Source | undefined {
  return kind.startsWith('ticket/') ? app?.ticket(kind.slice('ticket/'.length)) : app?.accessToken;
}

function source({ service }: Hub, { app, kind }: Course): Source {
  const found = keptBy(service.app(app), kind);
  if (!found) throw new Error(`a hub does not keep the ${kind} of ${app}`);
  return found;
}

function total(counts: Iterable<number>): number {
  let sum = 0;
  for (const count of counts) sum += count;
  return sum;
}

function count<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
