import { setImmediate as endOfTurn } from 'node:timers/promises';

/** So many apps, or lines about them, are gone through in a millisecond. */
const AT_ONCE = 100;

/**
 * Goes through very many things, some of them in each turn of the event loop, so that clients come in between: a hundred
 * thousand in one go would let them wait for a second.
 * @param rest ends when it is our turn again.
 */
export async function* inTurns<T>(
  things: Iterable<T>,
  atOnce = AT_ONCE,
  rest: () => Promise<unknown> = endOfTurn,
): AsyncGenerator<readonly T[], void, undefined> {
  let some: T[] = [];
  for (const thing of things) {
    if (some.length === atOnce) {
      yield some;
      await rest();
      some = [];
    }
    some.push(thing);
  }
  if (some.length > 0) yield some;
}

/** Work of very many small steps, with a pause where it yields, and an outcome. */
export type Steps<T> = Generator<void, T, undefined>;

/** Does such work some steps at a time, as {@link inTurns} does. */
export async function byAndBy<T>(work: Steps<T>, atOnce = AT_ONCE): Promise<T> {
  for (let step = 1; ; step += 1) {
    const { done, value } = work.next();
    if (done) return value;
    if (step % atOnce === 0) await endOfTurn();
  }
}

/** Does such work without a pause, while nobody waits yet. */
export function inOneGo<T>(work: Steps<T>): T {
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
  }
}
