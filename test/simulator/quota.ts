/** Numbers the calendar period that an instant falls into; a quota starts afresh when the number changes. */
export type Period = (now: number) => number;

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

/** Periods of a minute, for per-minute quotas. */
export const minutes: Period = (now) => Math.floor(now / minute);

/** Days that begin at midnight so many hours east of Greenwich; China is 8. */
export function daysAt(utcOffsetHours: number): Period {
  return (now) => Math.floor((now + utcOffsetHours * hour) / day);
}

/** Months of the calendar so many hours east of Greenwich, for the clears that an account may spend. */
export function monthsAt(utcOffsetHours: number): Period {
  return (now) => {
    const date = new Date(now + utcOffsetHours * hour);
    return date.getUTCFullYear() * 12 + date.getUTCMonth();
  };
}

/** Counts the uses within the current period. */
export class Counter {
  readonly #period: Period;
  #current = Number.NaN;
  #used = 0;

  constructor(period: Period) {
    this.#period = period;
  }

  used(now: number): number {
    return this.#period(now) === this.#current ? this.#used : 0;
  }

  add(now: number): void {
    this.#used = this.used(now) + 1;
    this.#current = this.#period(now);
  }

  clear(): void {
    this.#used = 0;
  }
}

/** WeCom's kind of limit: who exceeds it is locked out for as long as the period lasts, counted from the excess. */
export class Throttle {
  readonly #length: number;
  readonly #counter: Counter;
  #blockedUntil = Number.NEGATIVE_INFINITY;

  constructor(length: 'minute' | 'hour') {
    this.#length = length === 'minute' ? minute : hour;
    this.#counter = new Counter((now) => Math.floor(now / this.#length));
  }

  blocked(now: number): boolean {
    return now < this.#blockedUntil;
  }

  /** Takes one use and tells whether it was still within the limit. */
  take(now: number, limit: number): boolean {
    if (this.blocked(now)) return false;
    this.#counter.add(now);
    if (this.#counter.used(now) <= limit) return true;
    this.#blockedUntil = now + this.#length;
    return false;
  }
}

/** A setting whose edits take effect only some time after they were made, as in WeChat's consoles. */
export class Delayed<T> {
  #value: T;
  #next: { readonly value: T; readonly from: number } | undefined;

  constructor(value: T) {
    this.#value = value;
  }

  at(now: number): T {
    return this.#next && now >= this.#next.from ? this.#next.value : this.#value;
  }

  set(value: T, now: number, delaySeconds: number): void {
    this.#value = this.at(now);
    this.#next = { value, from: now + delaySeconds * 1000 };
  }
}
