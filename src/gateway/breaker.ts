/** So many calls in a row that the token was blamed for, or that did not arrive, and no more are made for a while. */
const FAILURES = 3;
const FIRST_PAUSE_MS = 10_000;
const LONGEST_PAUSE_MS = 60_000;

/** Keeps an SDK that repeats what fails, without end and without a pause, away from WeChat. */
export class Breaker {
  private failures = 0;
  private pauseMs = FIRST_PAUSE_MS;
  private closedFrom = -Infinity;

  /** From when on a call may be made, if none may now. */
  get retryAt(): number {
    return this.closedFrom;
  }

  /** Whether a call may be made; after a pause that is one, and what becomes of it decides. */
  allows(now: number): boolean {
    if (this.failures < FAILURES) return true;
    if (now < this.closedFrom) return false;
    this.closedFrom = now + this.pauseMs;
    return true;
  }

  succeed(): void {
    this.failures = 0;
    this.pauseMs = FIRST_PAUSE_MS;
  }

  fail(now: number): void {
    this.failures += 1;
    if (this.failures < FAILURES) return;
    this.closedFrom = now + this.pauseMs;
    this.pauseMs = Math.min(this.pauseMs * 2, LONGEST_PAUSE_MS);
  }
}
