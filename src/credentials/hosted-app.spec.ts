import { VirtualTime } from '../../test/simulation/virtual-time.js';
import { Secret } from '../config/secret.js';
import type { App, Recipe } from '../wechat/platforms/platform.js';
import { HostedApp } from './hosted-app.js';
import { MemoryStore } from './store/memory.store.js';
import { NOTHING_STORED } from './store/store.js';
import { Closed } from './unavailable.js';

/** An app in a hub by itself, and how often its WeChat was asked. */
class Stage {
  readonly time = new VirtualTime();
  readonly store = new MemoryStore(this.time);
  asked = 0;
  readonly app = new HostedApp('shop', this.configured(), {
    now: () => this.time.now(),
    replica: 'hub',
    random: () => 0,
    sleep: this.time.sleep,
    store: this.store,
    wechat: { call: () => Promise.reject(new Error('nobody calls it so')) },
    rotations: { burst: 3, everyMs: 30_000 },
    tell: () => undefined,
    plan: () => undefined,
  });

  get kinds(): string[] {
    return this.app.sources.map(({ kind }) => kind);
  }

  private configured(): App {
    const recipe = (kind: string): Recipe => ({
      kind,
      nature: {},
      mint: () => Promise.resolve({ value: `${kind} ${(this.asked += 1)}`, expiresIn: 7200 }),
    });
    return {
      platform: 'test',
      appid: 'wx1',
      identity: 'test/wx1',
      dialect: 'wechat',
      secret: new Secret('no secret of anybody'),
      quotas: {},
      served: {
        accessToken: recipe('access-token'),
        tickets: { jsapi: recipe('ticket/jsapi'), wx_card: recipe('ticket/wx_card') },
        isAlive: () => Promise.resolve(true),
      },
    };
  }
}

describe('an app', () => {
  it('has a ticket once somebody asks for it, or the store has one, and none before', async () => {
    const { app, kinds, time } = new Stage();
    expect(kinds).toEqual(['access-token']);
    app.hear('ticket/jsapi', NOTHING_STORED, 0);
    expect(app.source('ticket/jsapi')).toBeUndefined();
    const credential = { value: 'J', issuedAt: time.now(), expiresAt: time.now() + 7_200_000, version: 1 };
    app.hear('ticket/jsapi', { entry: { credential }, revision: 1 });
    expect(app.ticket('jsapi')?.current).toEqual(credential);
    const ticket = app.ticket('wx_card');
    expect(app.ticket('wx_card')).toBe(ticket);
    expect(await time.during(ticket?.get() ?? Promise.reject(new Error('it is not there')))).toMatchObject({
      value: 'ticket/wx_card 1',
    });
    expect(app.sources.map(({ kind }) => kind)).toEqual(['access-token', 'ticket/jsapi', 'ticket/wx_card']);
    expect(app.ticket('constructor')).toBeUndefined();
  });

  it('has all its rotations until one is spent, here or elsewhere', async () => {
    const { app, time } = new Stage();
    expect(app.rotationsLeft).toBe(3);
    app.hear('rotations', { entry: { fullAgainAt: time.now() + 30_000 }, revision: 1 });
    expect(app.rotationsLeft).toBe(2);
    await app.rotations.take();
    expect(app.rotationsLeft).toBe(1);
  });

  it('that is closed begins nothing, for a ticket that nobody asked for before neither', async () => {
    const stage = new Stage();
    await stage.time.during(stage.app.close());
    await expect(stage.app.ticket('jsapi')?.get()).rejects.toThrow(Closed);
    expect([stage.asked, stage.app.wakeAt]).toEqual([0, undefined]);
  });
});
