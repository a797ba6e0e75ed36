const DAY_MS = 86_400_000;
/** China has one time zone, and no summer time. */
const CHINA_MS = 8 * 3_600_000;

/** Counts what each app asked of each API since midnight in China, when WeChat's quotas begin anew. */
export class DayCount {
  private day = NaN;
  private byApp = new Map<string, Map<string, number>>();

  /** @param now epoch milliseconds of the wall clock. */
  constructor(private readonly now: () => number) {}

  /** Counts one call. */
  add(app: string, api: string): void {
    this.turnOver();
    const byApi = this.byApp.get(app) ?? new Map<string, number>();
    this.byApp.set(app, byApi.set(api, (byApi.get(api) ?? 0) + 1));
  }

  /** What was counted today. */
  get counts(): [app: string, api: string, count: number][] {
    this.turnOver();
    return [...this.byApp].flatMap(([app, byApi]) =>
      [...byApi].map(([api, count]): [string, string, number] => [app, api, count]),
    );
  }

  private turnOver(): void {
    const day = Math.floor((this.now() + CHINA_MS) / DAY_MS);
    if (day === this.day) return;
    this.day = day;
    this.byApp = new Map();
  }
}
