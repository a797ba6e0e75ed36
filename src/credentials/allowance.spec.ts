import fc from 'fast-check';
import { AllowanceSpent, Budget, spend, takeFrom } from './allowance.js';
import { MemoryStore } from './store/memory.store.js';
import { NOTHING_STORED } from './store/store.js';

/** From when what was refused is allowed again. */
function retryAtOf(act: () => unknown): number {
  try {
    act();
  } catch (error) {
    if (error instanceof AllowanceSpent) return error.retryAt;
    throw error;
  }
  throw new Error('it was allowed');
}

function isAllowed(act: () => unknown): boolean {
  try {
    act();
    return true;
  } catch (error) {
    if (error instanceof AllowanceSpent) return false;
    throw error;
  }
}

describe('the budget of an app for rotations', () => {
  const NOW = 1_700_000_000_000;

  /** A budget that was never touched: whether it lets something happen at an instant. */
  function budget(burst: number, everyMs: number): (at: number) => boolean {
    let fullAgainAt = 0;
    return (at) => isAllowed(() => (fullAgainAt = takeFrom(fullAgainAt, { burst, everyMs }, at)));
  }

  it('lets three happen at once, and one more every 30 s', () => {
    const takes = budget(3, 30_000);
    const at = (ms: number): boolean => takes(NOW + ms);
    expect([0, 0, 0, 0, 29_999].map(at)).toEqual([true, true, true, false, false]);
    expect([30_000, 30_000, 59_999, 60_000, 60_001].map(at)).toEqual([true, false, false, true, false]);
  });

  it('is full again after a rest, and no fuller than full', () => {
    const takes = budget(2, 1000);
    const at = (ms: number): boolean => takes(NOW + ms);
    expect([0, 0, 0].map(at)).toEqual([true, true, false]);
    expect([1_000_000, 1_000_000, 1_000_000].map(at)).toEqual([true, true, false]);
  });

  it('tells from when the next is covered, and that is true', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.array(fc.nat(5000), { maxLength: 50 }), (burst, waits) => {
        const limits = { burst, everyMs: 1000 };
        let fullAgainAt = 0;
        let now = NOW;
        for (const wait of waits) {
          now += wait;
          const [at, before] = [now, fullAgainAt];
          if (isAllowed(() => (fullAgainAt = takeFrom(before, limits, at)))) continue;
          const retryAt = retryAtOf(() => takeFrom(before, limits, at));
          expect(retryAt).toBeGreaterThan(now);
          expect(retryAt).toBeLessThanOrEqual(now + 1000);
          expect(isAllowed(() => takeFrom(before, limits, retryAt - 1))).toBe(false);
          expect(isAllowed(() => (fullAgainAt = takeFrom(before, limits, retryAt)))).toBe(true);
          now = retryAt;
        }
      }),
    );
  });

  it('never lets more happen in any stretch of time than the burst and one per interval', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.array(fc.nat(2000), { maxLength: 60 }), (burst, waits) => {
        const takes = budget(burst, 1000);
        const taken: number[] = [];
        let now = NOW;
        for (const wait of waits) {
          now += wait;
          if (takes(now)) taken.push(now);
        }
        for (const [index, from] of taken.entries()) {
          for (const [count, to] of taken.slice(index).entries()) {
            expect(count + 1).toBeLessThanOrEqual(burst + Math.floor((to - from) / 1000) + 1);
          }
        }
      }),
    );
  });

  describe('that hubs share', () => {
    const limits = { burst: 3, everyMs: 30_000 };
    const hubs = (): { store: MemoryStore; open: () => Budget } => {
      const now = (): number => NOW;
      const store = new MemoryStore({ now });
      return { store, open: () => new Budget('app/rotations', limits, { now, store }) };
    };
    const takes = (budget: Budget): Promise<boolean> =>
      budget.take().then(
        () => true,
        () => false,
      );

    it('is one, though each has heard nothing of the others', async () => {
      const { open } = hubs();
      const [a, b, c] = [open(), open(), open()];
      expect([await takes(a), await takes(b), await takes(c), await takes(a)]).toEqual([true, true, true, false]);
      expect([a.left, b.left, c.left]).toEqual([0, 1, 0]);
      expect([await takes(b), b.left]).toEqual([false, 0]);
    });

    it('is one when they take from it at the same moment', async () => {
      const { open } = hubs();
      const taken = await Promise.all(Array.from({ length: 20 }, () => takes(open())));
      expect(taken.filter(Boolean)).toHaveLength(3);
    });

    it('outlives those who spent it, and stays spent when the store forgets', async () => {
      const { store, open } = hubs();
      const budget = open();
      for (let time = 0; time < 3; time += 1) await budget.take();
      const next = open();
      next.hear((await store.load(['app/rotations'])).get('app/rotations') ?? NOTHING_STORED);
      expect(next.left).toBe(0);
      store.clear();
      budget.hear(NOTHING_STORED);
      expect(await takes(budget)).toBe(false);
    });
  });
});

describe('a ration of what WeChat counts', () => {
  const FORCED = { times: 18, withinMs: 86_400_000, apartMs: 31_000 };
  const NOW = 1_700_000_000_000;

  it('remembers when it was spent, and forgets what no longer counts', () => {
    expect(spend([], FORCED, NOW)).toEqual([NOW]);
    const yesterday = NOW - FORCED.withinMs;
    expect(spend([yesterday - 1, yesterday, yesterday + 1], FORCED, NOW)).toEqual([yesterday + 1, NOW]);
  });

  it('keeps two apart', () => {
    expect(retryAtOf(() => spend([NOW], FORCED, NOW + 30_999))).toBe(NOW + 31_000);
    expect(spend([NOW], FORCED, NOW + 31_000)).toEqual([NOW, NOW + 31_000]);
  });

  it('is used up after so many in a day, until the first of them is a day old', () => {
    const spent = Array.from({ length: 18 }, (_, index) => NOW + index * 60_000);
    const later = NOW + 20 * 60_000;
    expect(retryAtOf(() => spend(spent, FORCED, later))).toBe(NOW + FORCED.withinMs);
    expect(spend(spent, FORCED, NOW + FORCED.withinMs)).toEqual([...spent.slice(1), NOW + FORCED.withinMs]);
  });

  it('changes nothing when it refuses', () => {
    const spent = Object.freeze([NOW]);
    expect(isAllowed(() => spend(spent, FORCED, NOW))).toBe(false);
    expect(spent).toEqual([NOW]);
  });

  it('holds in every window, whenever it is asked for', () => {
    const ration = { times: 3, withinMs: 100, apartMs: 7 };
    fc.assert(
      fc.property(fc.array(fc.nat(40), { maxLength: 80 }), (waits) => {
        let spent: readonly number[] = [];
        const all: number[] = [];
        const refused: { readonly at: number; readonly retryAt: number; readonly again: boolean }[] = [];
        let now = NOW;
        for (const wait of waits) {
          now += wait;
          const [at, before] = [now, spent];
          if (isAllowed(() => (spent = spend(before, ration, at)))) {
            all.push(at);
          } else {
            const retryAt = retryAtOf(() => spend(before, ration, at));
            refused.push({ at, retryAt, again: isAllowed(() => spend(before, ration, retryAt)) });
          }
        }
        expect(refused.filter(({ at, retryAt, again }) => retryAt <= at || !again)).toEqual([]);
        for (const [index, at] of all.entries()) {
          expect((all[index + 1] ?? Infinity) - at).toBeGreaterThanOrEqual(ration.apartMs);
          expect((all[index + ration.times] ?? Infinity) - at).toBeGreaterThanOrEqual(ration.withinMs);
        }
        expect(spent.length).toBeLessThanOrEqual(ration.times);
      }),
    );
  });
});
