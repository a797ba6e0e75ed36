import { inTurns } from './turns.js';

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
