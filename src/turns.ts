import { setImmediate as endOfTurn } from 'node:timers/promises';

/** So many apps, or lines about them, are gone through in a millisecond. */
const AT_ONCE = 100;

/**
 * Goes through very many things, some of them in each turn of the event loop, so that clients come in between: a hundred
 * thousand in one go would let them wait for a second.
 */
export async function* inTurns<T>(
  things: Iterable<T>,
  atOnce = AT_ONCE,
): AsyncGenerator<readonly T[], void, undefined> {
  let some: T[] = [];
  for (const thing of things) {
    if (some.length === atOnce) {
      yield some;
      await endOfTurn();
      some = [];
    }
    some.push(thing);
  }
  if (some.length > 0) yield some;
}
