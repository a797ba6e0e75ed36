/** Tells the time that lives are counted by. */
export abstract class Clock {
  /** Epoch milliseconds; never jumps. */
  abstract now(): number;
  /** Milliseconds to add to get the wall clock's time: for what people see and what outlives the process. */
  abstract drift(): number;
}

/**
 * Tells the time without jumps: the wall clock's at the start of the process, and from there what has really passed. A
 * wall clock that is put right by an hour neither ages nor rejuvenates a token.
 */
export class SteadyClock implements Clock {
  private readonly start = Date.now() - performance.now();

  now(): number {
    return this.start + performance.now();
  }

  drift(): number {
    return Math.round(Date.now() - this.now());
  }
}
