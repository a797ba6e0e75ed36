import { VirtualTime } from '../../test/simulation/virtual-time.js';
import { Secret } from '../config/secret.js';
import type { App } from '../wechat/platforms/platform.js';
import { CredentialsService } from './credentials.service.js';
import { MemoryStore } from './store/memory.store.js';

const COUNT = 5000;

function appWith(identity: string, secret: string): App {
  const mint = (): Promise<never> => Promise.reject(new Error('nobody asks for it'));
  return {
    platform: 'test',
    appid: identity,
    identity,
    dialect: 'wechat',
    secret: new Secret(secret),
    quotas: {},
    served: {
      accessToken: { kind: 'access-token', nature: {}, mint },
      tickets: {},
      isAlive: () => Promise.resolve(true),
    },
  };
}

/** Very many apps whose names begin like this. */
function appsOf(name: string, secret: string, from = 0): Map<string, App> {
  return new Map(Array.from({ length: COUNT }, (_, i) => [`${name}-${from + i}`, appWith(`wx-${from + i}`, secret)]));
}

describe('the apps of a new configuration', () => {
  it('change and go at one moment, and come when they are loaded, though others have their turns while it is prepared', async () => {
    const time = new VirtualTime();
    /** What a client sees whenever it has its turn. */
    const seen: Set<string>[] = [];
    let look = (): void => undefined;
    const service = new CredentialsService(
      {
        clock: time,
        replica: 'hub',
        random: () => 0,
        sleep: (ms) => {
          look();
          return time.sleep(ms);
        },
        store: new MemoryStore(time),
        wechat: { call: () => Promise.reject(new Error('nobody calls it')) },
        tell: () => undefined,
      },
      { burst: 3, everyMs: 30_000 },
    );
    await time.during(service.apply(appsOf('old', 'old')));
    look = () => {
      const apps = [...service.all].map(([name, app]) => [name, app.name, app.secret.reveal()]);
      seen.push(new Set(apps.map((words) => words.join().replaceAll(/-\d+/g, ''))));
    };
    // Half of them stay under other names, half go, and as many come.
    await time.during(service.apply(appsOf('new', 'new', COUNT / 2)));
    look();
    expect(seen.pop()).toEqual(new Set(['new,new,new']));
    expect(seen.length).toBeGreaterThan(COUNT / 1000);
    for (const words of seen) expect([['old,old,old'], ['new,new,new']]).toContainEqual([...words]);
    expect(service.all.size).toBe(COUNT);
    expect(service.app('old-0')).toBeUndefined();
  });
});
