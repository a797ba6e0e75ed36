import fc from 'fast-check';
import { type LoneOutside, LoneSource } from '../../test/lone-source.fixture.js';
import type { Minted } from '../wechat/platforms/platform.js';
import type { Source } from './source.js';
import { MemoryStore } from './store/memory.store.js';

const START = Date.UTC(2026, 0, 1);
const deeds = fc.array(fc.constantFrom('read', 'rotate', 'condemn', 'renew', 'close'), { minLength: 1, maxLength: 12 });

/** A source whose every await ends when, and in which order, the scheduler likes. */
function raced(scheduler: fc.Scheduler): { source: Source; minted: string[]; store: MemoryStore } {
  const minted: string[] = [];
  const now = (): number => START + 6_950_000;
  const store = new MemoryStore({ now });
  /** What is asked of one store is done in the order of the calls, whenever the answers come: so it promises. */
  const slow = <T>(answer: Promise<T>): Promise<T> =>
    scheduler.schedule(Promise.resolve(), 'stored').then(() => answer);
  const outside: LoneOutside = {
    now,
    replica: 'hub',
    random: () => 0,
    sleep: () => scheduler.schedule(Promise.resolve(), 'sleep'),
    store: {
      grant: (...asked) => slow(store.grant(...asked)),
      commit: (...asked) => slow(store.commit(...asked)),
      put: (...asked) => slow(store.put(...asked)),
      isBehind: () => false,
      catchUp: () => Promise.resolve(),
    },
    tell: () => undefined,
    plan: () => undefined,
  };
  const mint = (): Promise<Minted> => {
    const value = `T${minted.push('')}`;
    minted[minted.length - 1] = value;
    return scheduler.schedule(Promise.resolve({ value, expiresIn: 7200 }), `minted ${value}`);
  };
  const credential = { value: 'T0', issuedAt: START, expiresAt: START + 7_200_000, version: 1 };
  const source = new LoneSource('x', mint, { supersedesAfterMs: 300_000 }, outside);
  store.restore('x', { credential });
  source.hear({ entry: { credential }, revision: 1 });
  return { source, minted, store };
}

describe('whatever comes together, in whatever order it ends', () => {
  it('one value is replaced once, by a value that all then have, in memory and in the store', async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), deeds, async (scheduler, done) => {
        const { source, minted, store } = raced(scheduler);
        const act = {
          read: () => source.get(),
          rotate: () => source.replace('T0', () => undefined),
          condemn: () => source.condemn('T0'),
          renew: () => source.wake(),
          close: () => source.close(),
        };
        const results = done.map((deed) =>
          scheduler.schedule(Promise.resolve(), deed).then(() =>
            act[deed]().then(
              (credential) => ({ deed, value: credential?.value }),
              () => ({ deed, value: undefined }),
            ),
          ),
        );
        for (const { deed, value } of await scheduler.waitFor(Promise.all(results))) {
          const replaces = (deed === 'rotate' || deed === 'condemn') && value !== undefined;
          expect(replaces ? value : 'T1').toBe('T1');
        }
        expect(minted.length).toBeLessThanOrEqual(1);
        const present = source.current;
        expect(present?.value).toBe(minted[0] ?? 'T0');
        expect(store.entries().get('x')).toEqual({ credential: present });
      }),
      { numRuns: 500 },
    );
  });
});
