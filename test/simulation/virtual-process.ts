import type { Clock } from '../../src/credentials/clock.js';
import type { VirtualTime } from './virtual-time.js';

/** A process in virtual time: it has a clock of its own, can be stopped for a while, and can die at any await. */
export class VirtualProcess implements Clock {
  private stoppedUntil = -Infinity;
  private isDead = false;

  /** @param skewMs how far its clock is ahead of the others'. */
  constructor(
    private readonly time: VirtualTime,
    private readonly skewMs = 0,
  ) {}

  /** Whether it does anything right now. */
  get runs(): boolean {
    return !this.isDead && this.time.now() >= this.stoppedUntil;
  }

  get lives(): boolean {
    return !this.isDead;
  }

  /** From when on it runs, if it lives: the end of its last stop. */
  get runsFrom(): number {
    return this.stoppedUntil;
  }

  now(): number {
    return this.time.now() + this.skewMs;
  }

  drift(): number {
    return 0;
  }

  /** Stops it, as SIGSTOP does: what happens to it meanwhile it learns later. */
  stop(ms: number): void {
    this.stoppedUntil = Math.max(this.stoppedUntil, this.time.now() + ms);
  }

  kill(): void {
    this.isDead = true;
  }

  /** What becomes of some work, as far as the process lives to see it. */
  async outcome<T>(work: Promise<T>): Promise<T> {
    const outcome = await work.then(
      (value) => () => value,
      (error: unknown) => () => {
        throw error;
      },
    );
    while (!this.runs) {
      if (this.isDead) await new Promise<never>(() => undefined);
      await new Promise<void>((resolve) => void this.time.at(this.stoppedUntil, resolve));
    }
    return outcome();
  }

  /** Lets something happen in it at an instant, or when it runs again. */
  at(instant: number, happen: () => void): void {
    this.time.at(instant, () => {
      if (this.runs) happen();
      else if (!this.isDead) this.at(this.stoppedUntil, happen);
    });
  }

  in(ms: number, happen: () => void): void {
    this.at(this.time.now() + ms, happen);
  }

  readonly sleep = (ms: number, signal?: AbortSignal): Promise<void> => this.outcome(this.time.sleep(ms, signal));
}
