interface Appointment {
  readonly at: number;
  readonly happen: () => void;
}

/**
 * Time that passes only when nothing is left to do: hours take milliseconds, and one seed gives one history. Serves the
 * hub as its clock and the simulator as its own.
 */
export class VirtualTime {
  private instant = Date.UTC(2026, 0, 1, 1);
  private appointments: Appointment[] = [];

  now(): number {
    return this.instant;
  }

  drift(): number {
    return 0;
  }

  /**
   * Lets something happen at an instant; what was arranged first happens first.
   * @returns what calls it off.
   */
  at(instant: number, happen: () => void): () => void {
    if (Number.isNaN(instant)) throw new Error('that is no instant');
    const appointment = { at: Math.max(instant, this.instant), happen };
    this.appointments.splice(this.placeAfter(appointment.at), 0, appointment);
    return () => {
      const found = this.appointments.indexOf(appointment);
      if (found >= 0) this.appointments.splice(found, 1);
    };
  }

  /** Lets something happen so many milliseconds from now. */
  in(ms: number, happen: () => void): () => void {
    return this.at(this.instant + ms, happen);
  }

  readonly sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      const wake = (): void => {
        callOff();
        signal?.removeEventListener('abort', wake);
        resolve();
      };
      const callOff = this.in(ms, wake);
      signal?.addEventListener('abort', wake);
    });

  /** Behind everything that happens at that instant or before; half of them are ruled out at each look. */
  private placeAfter(instant: number): number {
    let [from, to] = [0, this.appointments.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if ((this.appointments[middle]?.at ?? Infinity) > instant) to = middle;
      else from = middle + 1;
    }
    return from;
  }

  /** Lets time pass until an instant. */
  async passUntil(instant: number): Promise<void> {
    // From here on it is promises that are being followed up.
    await Promise.resolve();
    await settled();
    for (;;) {
      const next = this.appointments[0];
      if (!next || next.at > instant) break;
      this.appointments.shift();
      this.instant = next.at;
      next.happen();
      await settled();
    }
    this.instant = instant;
  }

  /** Lets so many milliseconds pass. */
  pass(ms: number): Promise<void> {
    return this.passUntil(this.instant + ms);
  }

  /** Lets time pass until a promise has its outcome, and gives it; a promise that waits for nothing is an error. */
  async during<T>(promise: Promise<T>): Promise<T> {
    const state = { isPending: true };
    const ended = promise.finally(() => (state.isPending = false));
    ended.catch(() => undefined);
    await Promise.resolve();
    await settled();
    while (state.isPending) {
      const next = this.appointments[0];
      if (!next) throw new Error('this promise waits for nothing that will happen');
      await this.passUntil(next.at);
    }
    return ended;
  }
}

/**
 * Everything that can happen now has happened. While promises are being followed up, Node comes to the next tick when none
 * is left to follow; so this is without the detour over its event loop, which takes most of the time otherwise.
 */
function settled(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}

/** Chance with a seed (mulberry32): from 0 to 1. */
export function chance(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
