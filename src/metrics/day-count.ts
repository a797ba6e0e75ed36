import { type Heading, LabelledCounts } from './family.js';

const DAY_MS = 86_400_000;
/** China has one time zone, and no summer time. */
const CHINA_MS = 8 * 3_600_000;

/** Counts what each app asked of each API since midnight in China, when WeChat's quotas begin anew. */
export class DayCount {
  private day = NaN;
  private readonly calls: LabelledCounts;

  /** @param now epoch milliseconds of the wall clock. */
  constructor(
    heading: Heading,
    private readonly now: () => number,
  ) {
    this.calls = new LabelledCounts(heading);
  }

  /** Counts one call. */
  add(app: string, api: string): void {
    this.turnOver();
    this.calls.add({ app, api });
  }

  /** What was counted today, as Prometheus reads it. */
  pages(): AsyncIterable<string> {
    this.turnOver();
    return this.calls.pages();
  }

  private turnOver(): void {
    const day = Math.floor((this.now() + CHINA_MS) / DAY_MS);
    if (day === this.day) return;
    this.day = day;
    this.calls.clear();
  }
}
