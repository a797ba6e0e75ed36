/** What the simulator asks for the time; every instant is in epoch milliseconds. */
export interface Clock {
  now(): number;
}

/** A clock that somebody can push forward, so that two hours need not be waited for. */
export interface MovableClock extends Clock {
  advance(milliseconds: number): void;
}

/** Time that stands still until it is driven: for tests and for simulations in virtual time. */
export class DrivenClock implements MovableClock {
  #now: number;

  /** Starts at nine in the morning in China, far from the hour at which daily quotas are renewed. */
  constructor(start: number = Date.UTC(2026, 0, 1, 1)) {
    this.#now = start;
  }

  now(): number {
    return this.#now;
  }

  advance(milliseconds: number): void {
    this.#now += milliseconds;
  }
}

/** Real time plus what it was pushed ahead: for a simulator that runs as a process and is fast-forwarded now and then. */
export class RealClock implements MovableClock {
  #ahead = 0;

  now(): number {
    return Date.now() + this.#ahead;
  }

  advance(milliseconds: number): void {
    this.#ahead += milliseconds;
  }
}

/** Tells whether a clock can be pushed forward. */
export function isMovable(clock: Clock): clock is MovableClock {
  return 'advance' in clock;
}
