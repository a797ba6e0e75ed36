import { Breaker } from './breaker.js';

/** As many bodies of the longest kind may one client have kept at once: what it sends slowly must not fill the memory. */
const MOST_KEPT = 16;

/** How the calls of one client for one app have gone, and what they take while they are under way. */
export class Standing {
  readonly breaker = new Breaker();
  /** WeChat blamed a token for one of its calls, and the next one for the same, or was not asked again: so it may be the call. */
  isDoubted = false;
  private kept = 0;

  /** @param replayLimit bytes that may be kept of one body. */
  constructor(private readonly replayLimit: number) {}

  /**
   * Whether a body may be kept while its call is under way; if so, {@link release} it then.
   * @param bytes absent, nobody knows how long it is.
   */
  keep(bytes = this.replayLimit): boolean {
    if (this.kept + bytes > MOST_KEPT * this.replayLimit) return false;
    this.kept += bytes;
    return true;
  }

  release(bytes = this.replayLimit): void {
    this.kept -= bytes;
  }
}
