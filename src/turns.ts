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

/**
 * Lets so many things begin in one turn of the event loop, and the others in the next ones, in the order in which they came.
 * Where very many wait, the first of them begins for each that comes: what waits takes memory, and strangers may send it.
 */
export class Pace {
  private begun = 0;
  private readonly waiting: (() => void)[] = [];

  constructor(
    private readonly atOnce: number,
    private readonly mostWaiting = Infinity,
  ) {}

  /** Ends when it is time to begin. */
  begin(): Promise<void> | undefined {
    if (this.begun === this.atOnce) {
      if (this.waiting.length >= this.mostWaiting) this.waiting.shift()?.();
      return new Promise((resolve) => this.waiting.push(resolve));
    }
    if (this.begun === 0) setImmediate(this.turn);
    this.begun += 1;
    return undefined;
  }

  private readonly turn = (): void => {
    const next = this.waiting.splice(0, this.atOnce);
    this.begun = next.length;
    if (this.begun > 0) setImmediate(this.turn);
    for (const begin of next) begin();
  };
}
