import { Recent } from '../auth/recent.js';

const AGAIN_MS = 60_000;
const MOST_SOURCES = 10_000;

/** Tells of each source once a minute at most, however often something happens: it is worth a line of the log, and no more. */
export class Seldom {
  /** By source, when it was told of. */
  private readonly told = new Recent<number>(MOST_SOURCES);

  /** @param now epoch milliseconds. */
  constructor(
    private readonly now: () => number,
    private readonly inform: (source: string) => void,
  ) {}

  tell(source: string): void {
    const now = this.now();
    if ((this.told.get(source) ?? -Infinity) + AGAIN_MS > now) return;
    this.told.set(source, now);
    this.inform(source);
  }
}
