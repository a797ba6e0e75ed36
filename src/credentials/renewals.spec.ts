import { VirtualProcess } from '../../test/simulation/virtual-process.js';
import { VirtualTime } from '../../test/simulation/virtual-time.js';
import { Secret } from '../config/secret.js';
import type { App, Minted, Recipe } from '../wechat/platforms/platform.js';
import { type Dialect, WechatRefusal, WechatUnreachable } from '../wechat/wechat.error.js';
import { CredentialsService } from './credentials.service.js';
import { MemoryStore } from './store/memory.store.js';

const MINUTE_MS = 60_000;
const LIFE_S = 7200;
const KINDS = ['access-token', 'ticket/jsapi'];

/** A call to WeChat that came in. */
interface Call {
  readonly app: string;
  readonly kind: string;
  readonly at: number;
}

/** How a host of WeChat answers. */
type Host = (call: Call, time: VirtualTime) => Promise<Minted>;

/** A hub by itself with apps that have what the test says, before hosts of WeChat that answer as it says. */
class Stage {
  readonly time = new VirtualTime();
  readonly calls: Call[] = [];
  /** The most calls that were under way at once: with each host, and of any one app. */
  readonly most = { wechat: 0, wecom: 0, app: 0 };
  private readonly process = new VirtualProcess(this.time, 0);
  private readonly store = new MemoryStore(this.process);
  private readonly apps = new Map<string, App>();
  private readonly underWay = new Map<string, number>();
  private value = 0;
  private readonly service = new CredentialsService(
    {
      clock: this.process,
      replica: 'hub',
      random: () => 0,
      sleep: this.process.sleep,
      store: this.store,
      wechat: { call: () => Promise.reject(new Error('nobody calls it so')) },
      tell: () => undefined,
    },
    { burst: 3, everyMs: 30_000 },
  );

  constructor(private readonly hosts: Readonly<Record<Dialect, Host>>) {}

  /** Adds apps whose token and ticket are stored, and end in so many milliseconds of a life of so many seconds. */
  add(dialect: Dialect, count: number, endsInMs: number, lifeS = LIFE_S): string[] {
    const names = Array.from({ length: count }, () => `${dialect}-${this.apps.size}-${(this.value += 1)}`);
    for (const name of names) {
      const expiresAt = this.time.now() + endsInMs;
      for (const kind of KINDS) {
        const credential = { value: `${name}/${kind}`, issuedAt: expiresAt - lifeS * 1000, expiresAt, version: 1 };
        this.store.restore(`${name}/${kind}`, { credential });
      }
      this.apps.set(name, this.app(name, dialect));
    }
    return names;
  }

  /** Starts the hub and lets it run for so long. */
  async run(ms: number): Promise<void> {
    const tick = (): void => {
      this.service.renewDue();
      this.process.in(500, tick);
    };
    await this.time.during(this.service.apply(this.apps));
    tick();
    await this.time.during(this.time.sleep(ms));
  }

  /** How many of these can still be given to clients, of all kinds. */
  usable(names: readonly string[]): number {
    return names.flatMap((name) => this.service.app(name)?.sources ?? []).filter(({ status }) => status.usable).length;
  }

  private app(identity: string, dialect: Dialect): App {
    const recipe = (kind: string): Recipe => ({
      kind,
      nature: {},
      mint: () =>
        this.counted(dialect, dialect, () =>
          this.counted(identity, 'app', async () => {
            const call = { app: identity, kind, at: this.time.now() };
            this.calls.push(call);
            return this.hosts[dialect](call, this.time);
          }),
        ),
    });
    return {
      platform: 'test',
      appid: identity,
      identity,
      dialect,
      secret: new Secret('no secret of anybody'),
      quotas: {},
      served: {
        accessToken: recipe('access-token'),
        tickets: { jsapi: recipe('ticket/jsapi') },
        isAlive: () => Promise.resolve(true),
      },
    };
  }

  private async counted<T>(what: string, most: keyof Stage['most'], work: () => Promise<T>): Promise<T> {
    const now = (this.underWay.get(what) ?? 0) + 1;
    this.underWay.set(what, now);
    this.most[most] = Math.max(this.most[most], now);
    try {
      return await work();
    } finally {
      this.underWay.set(what, (this.underWay.get(what) ?? 0) - 1);
    }
  }
}

let serial = 0;
const within =
  (ms: number, life = LIFE_S): Host =>
  async (_, time) => {
    await time.sleep(ms);
    return { value: `fresh-${(serial += 1)}`, expiresIn: life };
  };
const silent: Host = async (_, time) => {
  await time.sleep(5000);
  throw new WechatUnreachable('ETIMEDOUT', true);
};

describe('renewals that are due at once', () => {
  it('are spread: bounded with each host, and one at a time for each app', async () => {
    const stage = new Stage({ wechat: within(300), wecom: within(300) });
    const names = [...stage.add('wechat', 2500, 5 * MINUTE_MS), ...stage.add('wecom', 2500, 5 * MINUTE_MS)];
    await stage.run(MINUTE_MS);
    expect(stage.calls).toHaveLength(10_000);
    expect(stage.usable(names)).toBe(10_000);
    expect(stage.most).toEqual({ wechat: 128, wecom: 128, app: 1 });
    // Not even the first of them come as a crowd.
    const [first] = stage.calls;
    expect(stage.calls.filter(({ at }) => at === first?.at).length).toBeLessThanOrEqual(32);
  });

  it('are done in time, a hundred thousand of them, when WeChat takes 300 ms', async () => {
    const stage = new Stage({ wechat: within(300), wecom: within(300) });
    const names = stage.add('wechat', 50_000, 5 * MINUTE_MS);
    await stage.run(5 * MINUTE_MS - 10_000);
    expect(new Set(stage.calls.map(({ app, kind }) => `${app}/${kind}`)).size).toBe(100_000);
    expect(stage.usable(names)).toBe(100_000);
  });

  it('wait for no other host: one that says nothing holds up those of its own apps alone', async () => {
    const stage = new Stage({ wechat: silent, wecom: within(300) });
    stage.add('wechat', 2000, 5 * MINUTE_MS);
    const names = stage.add('wecom', 2000, 5 * MINUTE_MS);
    await stage.run(MINUTE_MS);
    expect(new Set(stage.calls.map(({ app }) => app).filter((app) => names.includes(app))).size).toBe(2000);
    expect(stage.most.wechat).toBe(128);
  });

  it('come in the order in which they end: a short life passes by those that have been due for longer', async () => {
    const stage = new Stage({ wechat: within(300), wecom: within(300) });
    stage.add('wechat', 5000, 4 * MINUTE_MS);
    const short = stage.add('wechat', 20, 15_000, 60);
    await stage.run(2000);
    expect(stage.usable(short)).toBe(40);
    expect(new Set(stage.calls.map(({ app }) => app)).size).toBeLessThan(2000);
  });

  it('are not held up by what has ended and fails: that has its turn among the others', async () => {
    const refused = new Set<string>();
    const host: Host = async (call, time) => {
      await time.sleep(300);
      if (refused.has(call.app)) throw new WechatRefusal('wechat', -1, 'system error', false);
      return within(0)(call, time);
    };
    const stage = new Stage({ wechat: host, wecom: host });
    for (const name of stage.add('wechat', 3000, -MINUTE_MS)) refused.add(name);
    const sound = stage.add('wechat', 2000, 40_000, 120);
    await stage.run(35_000);
    expect(stage.usable(sound)).toBe(4000);
    expect(new Set(stage.calls.map(({ app }) => app).filter((app) => refused.has(app))).size).toBeGreaterThan(100);
  });
});
