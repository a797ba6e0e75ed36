import { Agent, get } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { APPID, APPSECRET, ask, tokenFor, WEB_KEY } from './hub.fixture.js';
import { Fleet, HubProcess, noteFigures, secondsOf, valueOf } from './process.fixture.js';
import { RedisServer } from './redis.fixture.js';

const EX_CONFIG = 78;
const START_MS = 60_000;
const CLIENTS = 60;
/** What one hub learns, all serve within this. */
const PROPAGATION_MS = 5000;

/**
 * Like a Service of Kubernetes, and its clients: each request goes to the next of the hubs that are there, on a
 * connection that is kept, and a hub that says `Connection: close` is not sent to any more.
 */
class Service {
  readonly failures: string[] = [];
  answers = 0;
  sentAgain = 0;
  private readonly agents = new Map<HubProcess, Agent>();
  private turn = 0;
  private isOver = false;

  constructor(private readonly path: string) {}

  add(hub: HubProcess): void {
    this.agents.set(hub, new Agent({ keepAlive: true }));
  }

  /** Lets so many clients ask, each so often, while the work is being done. */
  async underLoad(clients: number, paceMs: number, work: () => Promise<void>): Promise<void> {
    const client = async (): Promise<void> => {
      while (!this.isOver) await Promise.all([this.request(), delay(paceMs)]);
    };
    const load = Promise.all(Array.from({ length: clients }, client));
    try {
      await work();
    } finally {
      this.isOver = true;
      await load;
      for (const agent of this.agents.values()) agent.destroy();
    }
  }

  private request(): Promise<void> {
    const there = [...this.agents];
    const [hub, agent] = there[(this.turn += 1) % there.length] ?? [];
    if (!hub || !agent) throw new Error('there is no hub to send to');
    return new Promise((resolve) => {
      const fail = (reason: string): void => {
        this.failures.push(reason);
        resolve();
      };
      const headers = { Authorization: `Bearer ${tokenFor()}` };
      let isAnswered = false;
      const request = get(hub.url + this.path, { headers, agent }, (response) => {
        isAnswered = true;
        if (response.headers.connection === 'close') this.agents.delete(hub);
        response.resume().once('end', () => {
          if (response.statusCode === 200) this.answers += 1;
          else this.failures.push(`status ${response.statusCode}`);
          resolve();
        });
        response.once('error', (error) => fail(String(error)));
      });
      request.once('error', (error) => {
        // A kept connection may be closed while a request is on its way: that is sent again, as HTTP has it.
        if (request.reusedSocket && !isAnswered) {
          this.sentAgain += 1;
          this.request().then(resolve, fail);
        } else fail(String(error));
      });
    });
  }
}

describe('three hubs on one Redis', () => {
  let fleet: Fleet;
  beforeAll(async () => {
    fleet = await Fleet.start({
      'cold-classic': 'classic',
      'cold-stable': 'stable',
      'rotated-classic': 'classic',
      'rotated-stable': 'stable',
      'told-classic': 'classic',
      'kept-classic': 'classic',
      'kept-stable': 'stable',
    });
  }, START_MS);
  afterAll(() => fleet.stop());

  it.each(['classic', 'stable'])(
    'ask WeChat once for each credential of a cold %s app, for any crowd',
    async (kind) => {
      const app = `cold-${kind}`;
      const kinds = ['access-token', 'ticket?type=jsapi', 'ticket?type=wx_card'];
      const crowd = Array.from({ length: CLIENTS }, (_, i) => ({
        path: `${app}/${kinds[i % kinds.length] ?? ''}`,
        hub: fleet.at(Math.floor(i / kinds.length)),
      }));
      const replies = await Promise.all(crowd.map(({ path, hub }) => fleet.read(path, hub)));
      expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]));
      const values = new Set(replies.map((reply, i) => `${crowd[i]?.path ?? ''} ${valueOf(reply)}`));
      expect(values.size).toBe(kinds.length);
      expect(fleet.calls(app)).toBe(kinds.length);
      expect(replies.every((reply) => fleet.isLive(valueOf(reply)))).toBe(true);
      noteFigures(`cold crowd, ${kind}`, { clients: CLIENTS, credentials: kinds.length, calls: fleet.calls(app) });
    },
  );

  it.each([
    { endpoint: 'classic', calls: 1 },
    // It is asked for a better one first, and then for another one.
    { endpoint: 'stable', calls: 2 },
  ])('replace a $endpoint token once when a crowd rotates it', async ({ endpoint, calls }) => {
    const app = `rotated-${endpoint}`;
    const path = `${app}/access-token`;
    const old = await fleet.allServeOneLiveValue(path);
    const [asked, minted] = [fleet.calls(app), fleet.simulator.world.mints(Fleet.appid(app))];
    const crowd = Array.from({ length: CLIENTS }, (_, i) => fleet.rotate(path, old, fleet.at(i)));
    const replies = await Promise.all(crowd);
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]));
    const [value = '', ...others] = new Set(replies.map(valueOf));
    expect(others).toEqual([]);
    expect(value).not.toBe(old);
    expect(fleet.calls(app) - asked).toBe(calls);
    expect(fleet.simulator.world.mints(Fleet.appid(app)) - minted).toBe(1);
    expect(await fleet.allServeOneLiveValue(path, old, PROPAGATION_MS)).toBe(value);
    noteFigures(`rotating crowd, ${endpoint}`, { clients: CLIENTS, calls: fleet.calls(app) - asked });
  });

  it('serve what one of them got, each within five seconds', async () => {
    const path = 'told-classic/access-token';
    let value = await fleet.allServeOneLiveValue(path);
    const waits: number[] = [];
    for (let time = 0; time < 20; time += 1) {
      const reply = await fleet.rotate(path, value, fleet.at(time));
      waits.push(await secondsOf(fleet.allServeOneLiveValue(path, value, PROPAGATION_MS)));
      value = valueOf(reply);
      expect(fleet.isLive(value)).toBe(true);
    }
    waits.sort((a, b) => a - b);
    noteFigures('what one hub got, all serve', {
      times: waits.length,
      median_s: waits[waits.length >> 1] ?? 0,
      worst_s: waits.at(-1) ?? 0,
    });
  });

  it('are replaced one after the other under load: no request fails, and WeChat is not asked', async () => {
    const paths = ['kept-classic/access-token', 'kept-classic/ticket?type=jsapi', 'kept-stable/access-token'];
    const values = await Promise.all(paths.map((path) => fleet.allServeOneLiveValue(path)));
    const asked = fleet.calls();
    const service = new Service(`/apps/${paths[0] ?? ''}`);
    fleet.hubs.forEach((hub) => service.add(hub));
    const startedAt = performance.now();
    await service.underLoad(CLIENTS, 200, async () => {
      for (const old of [...fleet.hubs]) {
        const next = await fleet.join();
        expect((await fleet.ready(next)).json['status']).toBe('ok');
        service.add(next);
        fleet.leave(old);
        old.signal('SIGTERM');
        expect(await old.exited).toEqual({ code: 0, signal: null });
      }
    });
    expect(service.failures).toEqual([]);
    expect(service.answers).toBeGreaterThan(CLIENTS);
    expect(await Promise.all(paths.map((path) => fleet.allServeOneLiveValue(path)))).toEqual(values);
    expect(fleet.calls() - asked).toBe(0);
    noteFigures('rolling restart of three hubs', {
      requests: service.answers,
      per_second: Math.round(service.answers / ((performance.now() - startedAt) / 1000)),
      failed: service.failures.length,
      sent_again: service.sentAgain,
      calls: fleet.calls() - asked,
    });
  }, 60_000);
});

describe('a hub on a Redis that may throw away what it keeps', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await RedisServer.start('--maxmemory-policy', 'allkeys-lru');
  });
  afterAll(() => redis.stop());

  it('ends with 78 and one report that names the setting', async () => {
    const hub = HubProcess.launch({ PORT: '0', APPID, APPSECRET, JWT_KEY_web: WEB_KEY, REDIS_URL: redis.url });
    expect(await hub.exited).toEqual({ code: EX_CONFIG, signal: null });
    expect(hub.output).toBe(
      'wechat-token-hub cannot start.\n' +
        'Redis may throw away what it keeps: its maxmemory-policy is allkeys-lru. Set it to noeviction.\n',
    );
  });
});

describe('a hub that cannot use its Redis when it starts', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await RedisServer.start();
    await redis.ask('CONFIG', 'SET', 'requirepass', 'right');
  });
  afterAll(() => redis.stop());

  it.each([
    ['a password is wanted', (url: string) => url, 'NOAUTH'],
    ['the password is wrong', (url: string) => url.replace('//', '//:wrong@'), 'WRONGPASS'],
    ['nothing listens there', () => 'redis://127.0.0.1:1', 'ECONNREFUSED'],
  ])('listens, is not ready, and says from the first why: %s', async (_, urlOf, reason) => {
    const environment = { PORT: '0', APPID, APPSECRET, JWT_KEY_web: WEB_KEY, REDIS_URL: urlOf(redis.url) };
    const hub = await HubProcess.start(environment);
    try {
      const { status, json } = await ask(`${hub.url}/health/ready`);
      const told = `The shared store cannot be reached: ${reason}.`;
      expect([status, json]).toMatchObject([503, { details: { store: { status: 'down', message: told } } }]);
      const [first = '', second = ''] = hub.output.split('\n');
      expect([first, second]).toEqual([expect.stringContaining(`(${reason})`), expect.stringContaining('Listening')]);
    } finally {
      await hub.kill();
    }
  });
});

describe('a hub whose Redis is full', () => {
  let fleet: Fleet;
  beforeAll(async () => (fleet = await Fleet.start({ shop: 'classic' }, 1)), START_MS);
  afterAll(() => fleet.stop());

  it('serves on, and tells everybody who looks what is wrong and what to do, until it is over', async () => {
    const path = 'shop/access-token';
    const value = await fleet.allServeOneLiveValue(path);
    const hub = fleet.at(0);
    const metrics = async (): Promise<string> => (await ask(`${hub.url}/metrics`, { token: null })).text;
    await fleet.redis.ask('CONFIG', 'SET', 'maxmemory', '1');
    const refused = await fleet.rotate(path, value);
    expect(refused).toMatchObject({ status: 503, json: { type: '/problems/not-replaced' } });
    const told = 'Redis answers, but takes no writes: it has used up its maxmemory (OOM).';
    expect(refused.json['detail']).toContain(told);
    expect((await fleet.ready(hub)).json).toMatchObject({
      status: 'degraded',
      details: { store: { status: 'degraded', message: expect.stringContaining(told) as string } },
    });
    expect(await metrics()).toMatch(/^wechat_token_hub_store_fault\{fault="OOM"\} 1$/m);
    expect(valueOf(await fleet.read(path))).toBe(value);
    await fleet.redis.ask('CONFIG', 'SET', 'maxmemory', '0');
    await hub.says(/"event":"store-fault-over"/);
    expect(hub.output.match(/"event":"store-fault"/g)).toHaveLength(1);
    await fleet.rotated(path, value);
    expect((await fleet.ready(hub)).json).toMatchObject({ status: 'ok', details: { store: { status: 'up' } } });
    expect(await metrics()).not.toMatch(/^wechat_token_hub_store_fault\{/m);
  });
});
