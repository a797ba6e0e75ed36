import { byAndBy, inOneGo, inTurns, Pace, type Steps } from './turns.js';

/** Counts the turns of the event loop while something goes on. */
async function turnsDuring(work: () => Promise<void>): Promise<number> {
  let turns = 0;
  let turn = setImmediate(function next() {
    turns += 1;
    turn = setImmediate(next);
  });
  await work();
  clearImmediate(turn);
  return turns;
}

describe('very many things', () => {
  it.each([0, 1, 7, 8, 9, 80])(
    'are gone through one after another, all %d of them, some in each turn',
    async (count) => {
      const things = Array.from({ length: count }, (_, i) => i);
      const met: number[] = [];
      const sizes: number[] = [];
      const turns = await turnsDuring(async () => {
        for await (const some of inTurns(things, 8)) {
          met.push(...some);
          sizes.push(some.length);
        }
      });
      expect(met).toEqual(things);
      expect(sizes).toHaveLength(Math.ceil(count / 8));
      expect(Math.max(0, ...sizes)).toBeLessThanOrEqual(8);
      expect(turns).toBeGreaterThanOrEqual(sizes.length - 1);
    },
  );
});

describe('work of very many small steps', () => {
  function* countTo(most: number): Steps<number> {
    for (let count = 0; count < most; count += 1) yield;
    return most;
  }

  it.each([0, 1, 8, 9, 80])('has the same outcome in one go and by and by: %d', async (most) => {
    let outcome: number | undefined;
    const turns = await turnsDuring(async () => {
      outcome = await byAndBy(countTo(most), 8);
    });
    expect([outcome, inOneGo(countTo(most))]).toEqual([most, most]);
    expect(turns).toBeGreaterThanOrEqual(Math.floor(most / 8));
  });

  it('fails by and by as it does in one go', async () => {
    // eslint-disable-next-line require-yield -- it fails before it comes to that
    const failing = function* (): Steps<never> {
      throw new Error('at the first step');
    };
    await expect(byAndBy(failing())).rejects.toThrow('at the first step');
    expect(() => inOneGo(failing())).toThrow('at the first step');
  });
});

describe('what has a pace', () => {
  it('begins at once where it is little, and in the turns to come where it is much, in order', async () => {
    const pace = new Pace(3);
    const begun: number[] = [];
    const begin = async (i: number): Promise<void> => {
      await pace.begin();
      begun.push(i);
    };
    const all = Array.from({ length: 8 }, (_, i) => begin(i));
    const counts: number[] = [];
    for (let turn = 0; turn < 4; turn += 1) {
      await Promise.resolve();
      counts.push(begun.length);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(all);
    expect(begun).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(counts.every((count, turn) => count - (counts[turn - 1] ?? 0) <= 3)).toBe(true);
    expect(counts[0]).toBe(3);
    expect(pace.begin()).toBeUndefined();
  });

  it('has the rest of its turn where others have begun in it', async () => {
    const pace = new Pace(2);
    expect(pace.begin()).toBeUndefined();
    await new Promise((resolve) => setImmediate(resolve));
    expect([pace.begin(), pace.begin()]).toEqual([undefined, undefined]);
    expect(pace.begin()).toBeInstanceOf(Promise);
  });

  it('waits in bounded number: for each that comes beyond that the first of them begins', async () => {
    const pace = new Pace(2, 3);
    const begun: number[] = [];
    const all = Array.from({ length: 10 }, async (_, i) => {
      await pace.begin();
      begun.push(i);
    });
    await Promise.resolve();
    expect(begun).toEqual([0, 1, 2, 3, 4, 5, 6]);
    await Promise.all(all);
    expect(begun).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });
});
