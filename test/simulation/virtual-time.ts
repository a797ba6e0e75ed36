import type { Clock as HubClock } from '../../src/credentials/clock.js';

interface Appointment {
  readonly at: number;
  readonly order: number;
  readonly happen: () => void;
}

/**
 * Time that passes only when nothing is left to do: hours take milliseconds, and one seed gives one history. Serves the
 * hub as its clock and the simulator as its own.
 */
export class VirtualTime implements HubClock {
  private instant = Date.UTC(2026, 0, 1, 1);
  private made = 0;
  private appointments: Appointment[] = [];

  now(): number {
    return this.instant;
  }

  drift(): number {
    return 0;
  }

  /** Lets something happen at an instant; what was arranged first happens first. */
  at(instant: number, happen: () => void): void {
    const appointment = { at: Math.max(instant, this.instant), order: this.made++, happen };
    let place = this.appointments.length;
    while (place > 0 && (this.appointments[place - 1]?.at ?? 0) > appointment.at) place -= 1;
    this.appointments.splice(place, 0, appointment);
  }

  readonly sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      this.at(this.instant + ms, resolve);
      signal?.addEventListener('abort', () => {
        resolve();
      });
    });

  /** Lets time pass until an instant. */
  async passUntil(instant: number): Promise<void> {
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
    await settled();
    while (state.isPending) {
      const next = this.appointments[0];
      if (!next) throw new Error('this promise waits for nothing that will happen');
      await this.passUntil(next.at);
    }
    return ended;
  }
}

/** Everything that can happen now has happened: promises go before immediates. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
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
