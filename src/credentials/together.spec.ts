import { VirtualProcess } from '../../test/simulation/virtual-process.js';
import { VirtualRedis } from '../../test/simulation/virtual-redis.js';
import { VirtualTime } from '../../test/simulation/virtual-time.js';
import { Secret } from '../config/secret.js';
import type { App, Minted, Nature, Need, Recipe } from '../wechat/platforms/platform.js';
import { LATE_ARRIVAL_MS, WechatRefusal } from '../wechat/wechat.error.js';
import { AllowanceSpent } from './allowance.js';
import { lineOf } from './chronicle.js';
import { CredentialsService } from './credentials.service.js';
import type { HostedApp } from './hosted-app.js';
import type { HubEvent } from './journal.js';
import type { Credential } from './policy.js';
import type { Source } from './source.js';
import type { RedisPort } from './store/redis.port.js';
import { RedisStore } from './store/redis.store.js';
import { LEASE_MS, StoreUnreachable } from './store/store.js';
import { Closed, NotReplaced, Unavailable } from './unavailable.js';

const classic: Nature = { supersedesAfterMs: 300_000 };
const stable: Nature = { supersedesAfterMs: 300_000, repeats: 'life-left' };
const repeated: Nature = { repeats: 'full-life' };

const busy = new WechatRefusal('wechat', -1, 'system error', false);
const wrongSecret = new WechatRefusal('wechat', 40125, 'invalid appsecret', false);

/** Something comes of everything within this time, or never. */
const PATIENCE_MS = 120_000;
/** What instants may suffer on the way from one clock to another. */
const SLACK_MS = 10;

/** A hub in a process of its own, with all that it does by itself. */
interface Hub {
  readonly process: VirtualProcess;
  readonly app: HostedApp;
  readonly source: Source;
  readonly events: HubEvent[];
  /** When it asked Redis for leases. */
  readonly grants: number[];
}

type Answer = Minted | Error | ((need: Need) => Promise<Minted>);

/** Hubs that share a Redis, in a time and before a WeChat that the test decides on. */
class Stage {
  readonly time = new VirtualTime();
  readonly redis = new VirtualRedis(this.time, () => 0.5);
  readonly asks: { readonly by: number; readonly at: number }[] = [];
  latency = 100;
  /** Whether no hub reaches Redis, which goes on as it is. */
  isCut = false;
  /** Which chance each hub has, from 0 to 1. */
  luck = (index: number): number => index / 4;
  private hubs = 0;

  /** @param answers what WeChat answers, in turn, whoever asks; the last answer repeats. */
  constructor(
    private readonly nature: Nature,
    private readonly answers: readonly Answer[],
  ) {}

  /** Which hubs asked WeChat, in turn. */
  get askers(): number[] {
    return this.asks.map(({ by }) => by);
  }

  now(): number {
    return this.time.now();
  }

  async open(skewMs = 0): Promise<Hub> {
    const index = this.hubs;
    this.hubs += 1;
    const process = new VirtualProcess(this.time, skewMs);
    const [events, grants]: [HubEvent[], number[]] = [[], []];
    const tell = (event: HubEvent): void => void events.push(event);
    const connection = this.redis.connect(process, () => this.isCut);
    const redis: RedisPort = {
      ...connection,
      run: (script, ...asked) => {
        if (script === 'grant') grants.push(this.now());
        return connection.run(script, ...asked);
      },
    };
    const store = new RedisStore({ redis, clock: process, tell }, 'hubs');
    await this.time.during(store.open().catch(() => undefined));
    const service = new CredentialsService(
      {
        clock: process,
        replica: `hub-${index}`,
        random: () => this.luck(index),
        sleep: process.sleep,
        store,
        wechat: { call: () => Promise.reject(new Error('nobody calls it so')) },
        tell,
      },
      { burst: 3, everyMs: 30_000 },
    );
    await this.time.during(service.apply(new Map([['shop', this.app(index, process)]])));
    const tick = (): void => {
      service.renewDue();
      process.in(500, tick);
    };
    tick();
    const app = service.app('shop');
    if (!app) throw new Error('the app is not there');
    return { process, app, source: app.accessToken, events, grants };
  }

  /** What comes of something. */
  async outcome<T>(work: Promise<T>): Promise<T | Error> {
    const nothing = this.time.sleep(PATIENCE_MS).then(() => new Error('nothing came of it'));
    return this.time.during(Promise.race([work.catch((error: unknown) => error as Error), nothing]));
  }

  async credential(work: Promise<Credential>): Promise<Credential> {
    const outcome = await this.outcome(work);
    if (outcome instanceof Error) throw outcome;
    return outcome;
  }

  private app(index: number, process: VirtualProcess): App {
    const mint: Recipe['mint'] = (_account, _means, need) => process.outcome(this.mint(index, need));
    return {
      platform: 'test',
      appid: 'wx1',
      identity: 'test/wx1',
      dialect: 'wechat',
      secret: new Secret('no secret of anybody'),
      quotas: {},
      served: {
        accessToken: { kind: 'access-token', nature: this.nature, mint },
        tickets: {},
        isAlive: () => Promise.resolve(true),
      },
    };
  }

  private async mint(by: number, need: Need): Promise<Minted> {
    const answer = this.answers[Math.min(this.asks.length, this.answers.length - 1)];
    this.asks.push({ by, at: this.now() });
    await this.time.sleep(this.latency);
    if (typeof answer === 'function') return answer(need);
    if (!answer || answer instanceof Error) throw answer ?? new Error('nobody told WeChat what to answer');
    return answer;
  }
}

const value = (name: string, expiresIn = 7200): Minted => ({ value: name, expiresIn });
const allowed = (): void => undefined;

/** Two hubs, of which the first has a value that both know. */
async function warm(nature: Nature, ...more: readonly Answer[]): Promise<{ stage: Stage; hubs: readonly [Hub, Hub] }> {
  const stage = new Stage(nature, [value('A'), ...more]);
  const hubs = [await stage.open(), await stage.open()] as const;
  await stage.credential(hubs[0].source.get());
  await stage.time.pass(1000);
  expect(hubs[1].source.current?.value).toBe('A');
  return { stage, hubs };
}

describe('two hubs', () => {
  describe('that want the same', () => {
    it('ask once, and both have what came of it', async () => {
      const stage = new Stage(classic, [value('A'), value('B')]);
      const [one, other] = [await stage.open(), await stage.open()];
      const reads = Array.from({ length: 20 }, () => [one.source.get(), other.source.get()]).flat();
      const got = (await stage.outcome(Promise.all(reads))) as Credential[];
      expect(new Set(got.map((credential) => `${credential.value} ${credential.version}`)).size).toBe(1);
      expect(stage.asks).toHaveLength(1);
    });

    it('have it at the same moment: who waits for the other one hears of it', async () => {
      const stage = new Stage(classic, [value('A')]);
      stage.latency = 3000;
      const [one, other] = [await stage.open(), await stage.open()];
      const instants: number[] = [];
      const reads = [one, other].map(({ source }) => source.get().then(() => instants.push(stage.now())));
      await stage.outcome(Promise.all(reads));
      expect(Math.abs((instants[0] ?? 0) - (instants[1] ?? Infinity))).toBeLessThan(SLACK_MS);
    });

    it('have it soon after it is there, though messages get lost', async () => {
      const stage = new Stage(classic, [value('A'), value('B')]);
      stage.redis.messageLoss = 1;
      const [one, other] = [await stage.open(), await stage.open()];
      const startedAt = stage.now();
      const got = (await stage.outcome(Promise.all([one.source.get(), other.source.get()]))) as Credential[];
      expect(got.map((credential) => credential.value)).toEqual(['A', 'A']);
      expect(stage.now() - startedAt).toBeLessThan(1000);
    });

    it('need as few calls as one: it is renewed by whoever comes first', async () => {
      const stage = new Stage(
        classic,
        Array.from({ length: 9 }, (_, i) => value(`T${i}`)),
      );
      const [one, other] = [await stage.open(), await stage.open()];
      await stage.credential(one.source.get());
      await stage.time.pass(4 * 6_910_000);
      expect(stage.asks).toHaveLength(5);
      expect(other.source.current).toMatchObject({ value: 'T4' });
    });

    it('replace a value once that both are told is refused', async () => {
      const { stage, hubs } = await warm(classic, value('B'), value('C'));
      const rotations = hubs.map(({ source }) => source.replace('A', allowed));
      const got = (await stage.outcome(Promise.all(rotations))) as Credential[];
      expect(got.map((credential) => credential.value)).toEqual(['B', 'B']);
      expect(stage.asks).toHaveLength(2);
    });

    it('do not keep a client waiting for the other one while there is a usable value', async () => {
      const stage = new Stage(classic, [value('A'), value('B')]);
      stage.luck = () => 0;
      const [one, other] = [await stage.open(), await stage.open()];
      // So that it becomes due between two rounds of the clockwork.
      await stage.time.pass(100);
      await stage.credential(one.source.get());
      stage.latency = 5000;
      await stage.time.passUntil((one.source.current?.issuedAt ?? 0) + 6_900_001);
      // Both find it due before either has heard of the other.
      for (const { source } of [one, other]) void source.wake();
      await stage.time.pass(1000);
      expect(stage.asks).toHaveLength(2);
      const before = stage.now();
      expect((await stage.credential(other.source.get())).value).toBe('A');
      expect(stage.now()).toBe(before);
      await stage.time.pass(10_000);
      for (const { source } of [one, other]) expect(source.current?.value).toBe('B');
      expect(stage.asks).toHaveLength(2);
      // Nor does the other renewal go on asking for the lease: there is one for the first value, and one each.
      expect(one.grants.length + other.grants.length).toBe(3);
    });

    it('know of each other’s calls: while one asks, the other trusts the old value for five minutes', async () => {
      const { stage, hubs } = await warm(classic, value('B'));
      const [one, other] = hubs;
      stage.latency = 3000;
      const rotation = one.source.replace('A', allowed);
      await stage.time.pass(100);
      const [, { at }] = stage.asks as [unknown, { at: number }];
      expect(Math.abs((other.source.current?.expiresAt ?? 0) - at - 300_000)).toBeLessThan(SLACK_MS);
      await stage.credential(rotation);
    });

    it('hand out nothing that one of them saw refused', async () => {
      const { stage, hubs } = await warm(classic, busy);
      const [one, other] = hubs;
      expect(await stage.outcome(one.source.condemn('A'))).toBeInstanceOf(Unavailable);
      await stage.time.pass(100);
      expect(await stage.outcome(other.source.get())).toBeInstanceOf(Unavailable);
    });
  });

  describe('whose WeChat fails', () => {
    it('give the same answer, and one of them asks', async () => {
      const stage = new Stage(classic, [busy]);
      const [one, other] = [await stage.open(), await stage.open()];
      const reads = [one.source.get(), other.source.get()];
      const failures = (await stage.outcome(
        Promise.all(reads.map((read) => read.catch((error: unknown) => error))),
      )) as [Unavailable, Unavailable];
      expect(failures.map(({ cause }) => cause)).toEqual([busy, busy]);
      expect(Math.abs(failures[0].retryAt - failures[1].retryAt)).toBeLessThan(SLACK_MS);
      expect(stage.asks).toHaveLength(1);
      expect(await stage.outcome(other.source.get())).toMatchObject({ cause: busy });
      expect(stage.asks).toHaveLength(1);
    });

    it('have one chain of tries among them', async () => {
      const stage = new Stage(classic, [busy]);
      const [one, other] = [await stage.open(), await stage.open()];
      await stage.outcome(Promise.all([one, other].map(({ source }) => source.get().catch(() => undefined))));
      for (let second = 0; second < 60; second += 1) {
        for (const { source } of [one, other]) await stage.outcome(source.get());
        await stage.time.pass(900);
      }
      const waits = stage.asks.map(({ at }, i) => at - (stage.asks[i - 1]?.at ?? at)).slice(1);
      for (const [i, atLeast] of [1000, 2000, 4000, 8000, 15_000].entries()) {
        expect(waits[i]).toBeGreaterThanOrEqual(atLeast - SLACK_MS);
        expect(waits[i]).toBeLessThan(atLeast * 1.2 + 2000);
      }
    });

    it('know which of them has met it, and each says so once, and that it is over', async () => {
      const stage = new Stage(classic, [wrongSecret, wrongSecret, wrongSecret, value('A')]);
      const [one, other] = [await stage.open(), await stage.open()];
      await stage.outcome(one.source.get());
      await stage.time.pass(100);
      expect(other.source.status.failure).toMatchObject({ error: wrongSecret, by: 'hub-0' });
      const told = (hub: Hub): HubEvent[] => hub.events.filter(({ event }) => event.startsWith('fail'));
      const [heard] = told(other);
      if (!heard) throw new Error('it was not told');
      expect(lineOf(heard, stage.now())).toMatchObject({
        level: 'error',
        line: {
          event: 'failure-heard',
          by: 'hub-0',
          errcode: 40125,
          msg: expect.stringMatching(
            /^shop access-token: the hub hub-0 has met this: WeChat refused: 40125 .* Where other hubs get values, see what is different at that one/,
          ) as string,
        },
      });
      // There is nothing new in its meeting the same again.
      await stage.time.pass(600_000);
      expect(stage.asks).toHaveLength(4);
      const events = [one, other].map((hub) => told(hub).map(({ event }) => event));
      for (const each of events) expect(each.filter((event) => event !== 'failed').length).toBeLessThanOrEqual(2);
      expect(events.flat().filter((event) => event === 'failed')).toHaveLength(3);
      expect(events[1]).toContain('failure-heard');
      expect(events.flat()).toContain('failure-over');
      for (const { source } of [one, other]) expect(source.status.failure).toBeUndefined();
    });

    it('have the next try made by another than the one that met what a person has to mend, for that may be its own', async () => {
      const stage = new Stage(classic, [wrongSecret, value('A')]);
      const [wrong, right] = [await stage.open(), await stage.open()];
      await stage.outcome(wrong.source.get());
      for (let second = 0; second < 80 && stage.asks.length < 2; second += 1) {
        // Its clients go on asking it; those of the other one do not.
        await stage.outcome(wrong.source.get());
        await stage.time.pass(1000);
      }
      expect(stage.askers).toEqual([0, 1]);
      await stage.time.pass(1000);
      expect([wrong, right].map(({ source }) => source.current?.value)).toEqual(['A', 'A']);
    });

    it('go by what a hub of an earlier version has met, which did not say who it was', async () => {
      const stage = new Stage(classic, [busy]);
      const one = await stage.open();
      await stage.outcome(one.source.get());
      const { at, retryAt } = { at: stage.now(), retryAt: stage.now() + 30_000 };
      const failure = { reason: { wechat: wrongSecret.note }, count: 1, at, retryAt };
      one.source.hear({ entry: { failure }, revision: one.source.revision + 1 });
      expect(await stage.outcome(one.source.get())).toMatchObject({ cause: wrongSecret, retryAt });
      expect(one.source.status.failure).not.toHaveProperty('by');
      const [heard] = one.events.filter(({ event }) => event === 'failure-heard');
      expect(heard && lineOf(heard, stage.now()).line.msg).toContain('another hub has met this: WeChat refused: 40125');
    });

    it('let one that is started later try at once where somebody may have mended it, and only there', async () => {
      for (const [failure, asks] of [
        [wrongSecret, [0, 1]],
        [busy, [0]],
      ] as const) {
        const stage = new Stage(classic, [failure]);
        await stage.outcome((await stage.open()).source.get());
        const next = await stage.open();
        expect(await stage.outcome(next.source.get())).toMatchObject({ cause: failure });
        expect(stage.askers).toEqual(asks);
      }
    });
  });

  describe('of which one goes away while its clients wait for the other', () => {
    const leaving = async (
      latency: number,
      answer: Answer,
    ): Promise<{ stage: Stage; one: Hub; read: Promise<unknown> }> => {
      const stage = new Stage(classic, [answer, value('B')]);
      stage.latency = latency;
      const [one, other] = [await stage.open(), await stage.open()];
      void one.source.get().catch(() => undefined);
      await stage.time.pass(50);
      const read = other.source.get().catch((error: unknown) => error);
      await stage.time.pass(50);
      void other.app.close();
      return { stage, one, read };
    };

    it('have what that one gets, and nothing more is asked', async () => {
      const { stage, read } = await leaving(4000, value('A'));
      expect(await stage.outcome(read)).toMatchObject({ value: 'A' });
      await stage.time.pass(LEASE_MS);
      expect(stage.askers).toEqual([0]);
    });

    it('hear why it got nothing', async () => {
      const { stage, read } = await leaving(4000, busy);
      expect(await stage.outcome(read)).toMatchObject({ cause: busy });
    });

    it('wait for its turn to end at most, should it die', async () => {
      const { stage, one, read } = await leaving(4000, value('lost'));
      one.process.kill();
      const startedAt = stage.now();
      expect(await stage.outcome(read)).toBeInstanceOf(Closed);
      expect(stage.now() - startedAt).toBeLessThan(LEASE_MS + SLACK_MS);
      expect(stage.askers).toEqual([0]);
    });
  });

  describe('of which one stands still or dies', () => {
    it('are not kept waiting for longer than its lease, and then have a value for its whole life', async () => {
      const stage = new Stage(classic, [value('lost'), value('B')]);
      const [one, other] = [await stage.open(), await stage.open()];
      void one.source.get();
      await stage.time.pass(50);
      one.process.kill();
      const startedAt = stage.now();
      const { value: got, issuedAt, expiresAt } = await stage.credential(other.source.get());
      expect([got, expiresAt - issuedAt]).toEqual(['B', 7_200_000]);
      expect(issuedAt - startedAt).toBeGreaterThan(LATE_ARRIVAL_MS - 100);
      expect(stage.now() - startedAt).toBeLessThan(LEASE_MS + 2000);
    });

    it('give out what the other one got meanwhile: what comes of a lease that is over is too late', async () => {
      const stage = new Stage(classic, [value('late'), value('B')]);
      const [one, other] = [await stage.open(), await stage.open()];
      const late = one.source.get();
      await stage.time.pass(50);
      one.process.stop(40_000);
      const { version } = await stage.credential(other.source.get());
      expect(await stage.credential(late)).toMatchObject({ value: 'B', version });
      await stage.time.pass(5000);
      for (const { source } of [one, other]) expect(source.current).toMatchObject({ value: 'B', version });
      expect(stage.askers).toEqual([0, 1]);
    });

    it.each([1100, 5000, 15_900])('ask anew for a lease of which %d ms are gone before the call begins', async (ms) => {
      const stage = new Stage(classic, [value('A'), value('B')]);
      const [one, other] = [await stage.open(), await stage.open()];
      const read = one.source.get();
      // It is on its way to Redis.
      one.process.stop(ms);
      expect(await stage.credential(read)).toMatchObject({ value: 'A' });
      expect(one.events).toContainEqual(expect.objectContaining({ event: 'overtaken' }));
      // A call arrives before the lease ends, or not at all.
      const at = stage.asks[0]?.at ?? 0;
      const lease = one.grants.findLast((granted) => granted <= at) ?? 0;
      expect(lease + LEASE_MS - at).toBeGreaterThanOrEqual(LATE_ARRIVAL_MS);
      await stage.time.pass(1000);
      expect([other.source.current?.value, stage.asks.length]).toEqual(['A', 1]);
    });

    it('use a lease of which little is gone', async () => {
      const stage = new Stage(classic, [value('A')]);
      const one = await stage.open();
      const read = one.source.get();
      one.process.stop(900);
      await stage.credential(read);
      expect(one.events).not.toContainEqual(expect.objectContaining({ event: 'overtaken' }));
      expect(one.grants).toHaveLength(1);
    });
  });

  describe('whose Redis is away', () => {
    it('serve what they have, and hear of each other when it is back', async () => {
      const { stage, hubs } = await warm(classic, value('B'));
      const [one, other] = hubs;
      stage.redis.fail(60_000, { lagMs: 0 });
      for (const { source } of hubs) expect(await stage.credential(source.get())).toMatchObject({ value: 'A' });
      await stage.time.pass(90_000);
      expect(await stage.credential(other.source.replace('A', allowed))).toMatchObject({ value: 'B' });
      await stage.time.pass(1000);
      expect(one.source.current?.value).toBe('B');
    });

    it('say so of a credential while it is so, and not when it is over and nobody has asked again', async () => {
      const { stage, hubs } = await warm(classic, value('B'));
      const [one] = hubs;
      // Nothing is forgotten and nothing changes there, so that nothing is heard of the credential afterwards.
      stage.isCut = true;
      await stage.outcome(one.source.replace('A', allowed));
      expect(one.source.status.failure?.error).toBeInstanceOf(StoreUnreachable);
      stage.isCut = false;
      await stage.time.pass(60_000);
      expect([one.source.status.failure, one.source.status.usable]).toEqual([undefined, true]);
    });

    it.each([
      ['a classic token', classic],
      ['a ticket, or a token of WeCom', repeated],
    ])('never ask for %s alone', async (_, nature) => {
      const stage = new Stage(nature, [value('A')]);
      const one = await stage.open();
      stage.redis.fail(30_000, { lagMs: 0 });
      for (let second = 0; second < 29; second += 1) {
        expect(await stage.outcome(one.source.get())).toMatchObject({ cause: expect.any(StoreUnreachable) as unknown });
        await stage.time.pass(1000);
      }
      expect(stage.asks).toEqual([]);
      await stage.time.pass(20_000);
      expect(await stage.credential(one.source.get())).toMatchObject({ value: 'A' });
    });

    it('ask Redis once in a second, for however many want the value', async () => {
      const stage = new Stage(classic, [value('A')]);
      const one = await stage.open();
      stage.redis.fail(30_000, { lagMs: 0 });
      const before = one.grants.length;
      for (let i = 0; i < 100; i += 1) {
        await stage.outcome(one.source.get());
        await stage.time.pass(48);
      }
      expect(one.grants.length - before).toBeGreaterThan(2);
      expect(one.grants.length - before).toBeLessThanOrEqual(6);
    });

    it('ask for a stable token alone, which does no harm, each of them every ten seconds at most', async () => {
      const stage = new Stage(stable, [value('A', 30), value('B', 30), value('C', 30), value('D', 30), value('E', 30)]);
      const hubs = [await stage.open(), await stage.open()];
      stage.redis.fail(60_000, { lagMs: 0 });
      for (const { source } of hubs) expect((await stage.credential(source.get())).value).toMatch(/[AB]/);
      for (let second = 0; second < 35; second += 1) {
        for (const { source } of hubs) await stage.outcome(source.replace(source.current?.value ?? '', allowed));
        await stage.time.pass(1000);
      }
      for (const hub of [0, 1]) {
        const at = stage.asks.filter(({ by }) => by === hub).map((ask) => ask.at);
        expect(at.length).toBeGreaterThanOrEqual(4);
        for (const [i, instant] of at.slice(1).entries()) expect(instant - (at[i] ?? 0)).toBeGreaterThanOrEqual(10_000);
      }
    });

    it('do not spend alone what is rationed', async () => {
      const { stage, hubs } = await warm(stable, async ({ spend }) => {
        await spend({ times: 18, withinMs: 86_400_000, apartMs: 31_000 });
        return value('forced');
      });
      const [one] = hubs;
      stage.redis.fail(60_000, { lagMs: 0 });
      const refused = await stage.outcome(one.app.rotate(one.source, 'A'));
      expect(refused).toBeInstanceOf(NotReplaced);
      expect(refused).toMatchObject({ cause: expect.any(StoreUnreachable) as unknown });
      await stage.time.pass(12_000);
      // Nor on a word that costs nothing.
      const again = await stage.outcome(one.source.replace('A', allowed));
      expect(again).toMatchObject({ cause: expect.any(StoreUnreachable) as unknown });
      expect(await stage.credential(one.source.get())).toMatchObject({ value: 'A' });
    });

    it('trust a classic value that Redis was not told of until others may have asked, and five minutes more', async () => {
      const { stage, hubs } = await warm(classic, value('B'), value('C'));
      const [one, other] = hubs;
      stage.latency = 1000;
      const startedAt = stage.now();
      const rotation = one.source.replace('A', allowed);
      await stage.time.pass(500);
      stage.redis.fail(60_000, { lagMs: 0 });
      const { value: got, expiresAt } = await stage.credential(rotation);
      expect(got).toBe('B');
      expect(expiresAt).toBeLessThanOrEqual(startedAt + LEASE_MS + 300_000 + SLACK_MS);
      await stage.time.pass(30_000);
      // It does not live longer for being tried again.
      expect((await stage.credential(one.source.get())).expiresAt).toBeLessThanOrEqual(expiresAt);
      expect(one.source.status.unsaved).toBe(true);
      await stage.time.pass(60_000);
      expect(one.source.status.unsaved).toBe(false);
      for (const { source } of [one, other]) {
        const { value: now, issuedAt = 0, expiresAt: end = 0 } = source.current ?? {};
        expect([now, Math.abs(end - issuedAt - 7_200_000) < SLACK_MS]).toEqual(['B', true]);
      }
      expect(stage.asks).toHaveLength(2);
    });

    it('trust a stable value that Redis was not told of for its whole life', async () => {
      const { stage, hubs } = await warm(stable, value('B'));
      const [one] = hubs;
      stage.latency = 1000;
      const rotation = one.source.replace('A', allowed);
      await stage.time.pass(500);
      stage.redis.fail(60_000, { lagMs: 0 });
      const { issuedAt, expiresAt } = await stage.credential(rotation);
      expect(expiresAt - issuedAt).toBe(7_200_000);
    });

    it('write down again what Redis has forgotten, and ask for nothing', async () => {
      const { stage, hubs } = await warm(classic, value('B'));
      stage.redis.fail(1000, 'nothing');
      await stage.time.pass(15_000);
      for (const { source } of hubs) {
        const { value: now, issuedAt = 0, expiresAt = 0 } = source.current ?? {};
        expect([now, Math.abs(expiresAt - issuedAt - 7_200_000) < SLACK_MS]).toEqual(['A', true]);
      }
      const next = await stage.open();
      expect(await stage.credential(next.source.get())).toMatchObject({ value: 'A' });
      expect(stage.asks).toHaveLength(1);
    });

    it('write again what somebody took out of Redis by hand, and ask for nothing', async () => {
      const { stage } = await warm(classic, value('B'));
      await stage.time.pass(30_000);
      stage.redis.forget();
      await stage.time.pass(15_000);
      const next = await stage.open();
      expect(await stage.credential(next.source.get())).toMatchObject({ value: 'A' });
      expect(stage.asks).toHaveLength(1);
    });

    it('hear of what is written after somebody took a record out of Redis by hand, be it by one that came later', async () => {
      for (const isLater of [false, true]) {
        const { stage, hubs } = await warm(classic, value('B'), value('C'), value('D'), value('E'));
        for (const old of ['A', 'B', 'C']) await stage.credential(hubs[1].source.replace(old, allowed));
        stage.redis.forget();
        const next = isLater ? await stage.open() : hubs[0];
        const got = isLater ? next.source.get() : next.source.replace('D', allowed);
        expect(await stage.credential(got)).toMatchObject({ value: 'E' });
        await stage.time.pass(3000);
        for (const { source } of [...hubs, next]) expect(source.current?.value).toBe('E');
        expect(stage.asks).toHaveLength(5);
      }
    });

    it.each([3_600_000, -3_600_000])(
      'hand out no longer life when the clock of Redis was moved by %d ms',
      async (ms) => {
        const { stage, hubs } = await warm(classic, value('B'));
        const { expiresAt = 0 } = hubs[0].source.current ?? {};
        stage.redis.skewMs += ms;
        await stage.time.pass(15_000);
        const next = await stage.open();
        for (const { source } of [...hubs, next]) {
          expect(source.current?.value).toBe('A');
          expect(source.current?.expiresAt).toBeLessThanOrEqual(expiresAt + SLACK_MS);
        }
      },
    );
  });

  describe('with a budget', () => {
    const takes = async (stage: Stage, ...hubs: readonly Hub[]): Promise<boolean[]> => {
      const taken: boolean[] = [];
      for (const { app } of hubs) {
        const outcome = await stage.outcome(app.rotations.take());
        if (outcome instanceof Error && !(outcome instanceof AllowanceSpent)) throw outcome;
        taken.push(!(outcome instanceof Error));
      }
      return taken;
    };

    it('have one among them, and one more after its interval, though their clocks are an hour apart', async () => {
      const stage = new Stage(classic, []);
      const [one, other] = [await stage.open(1_800_000), await stage.open(-1_800_000)];
      expect(await takes(stage, one, other, other, one, other)).toEqual([true, true, true, false, false]);
      await stage.time.pass(29_900);
      expect(await takes(stage, other, one)).toEqual([false, false]);
      await stage.time.pass(100);
      expect(await takes(stage, other, one, other)).toEqual([true, false, false]);
      const next = await stage.open();
      expect(next.app.rotations.left).toBe(0);
      expect(await takes(stage, next)).toEqual([false]);
    });

    it('spend nothing of it while Redis is away, and change nothing', async () => {
      const { stage, hubs } = await warm(classic, value('B'));
      const [one, other] = hubs;
      stage.redis.fail(10_000, { lagMs: 0 });
      for (const { app } of hubs) expect(await stage.outcome(app.rotations.take())).toBeInstanceOf(StoreUnreachable);
      expect(await stage.outcome(one.app.rotate(one.source, 'A'))).toBeInstanceOf(NotReplaced);
      await stage.time.pass(20_000);
      expect(await takes(stage, one, other, one, other)).toEqual([true, true, true, false]);
      expect(stage.asks).toHaveLength(1);
    });

    it('keep what was spent of it, whatever Redis forgets', async () => {
      const stage = new Stage(classic, []);
      const one = await stage.open();
      expect(await takes(stage, one, one, one)).toEqual([true, true, true]);
      stage.redis.fail(1000, 'nothing');
      await stage.time.pass(10_000);
      expect(await takes(stage, one)).toEqual([false]);
    });
  });
});
