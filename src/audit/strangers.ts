import type { AuditRecord } from './record.js';

/** A network has so many of its refusals on record one by one, in a minute; all networks together, so many. */
const ONE_BY_ONE = 100;
const ONE_BY_ONE_IN_ALL = 1000;
/** As many networks are told apart in a minute. Of the others it is told together how many they were. */
const MOST_NETWORKS = 100;
const MINUTE_MS = 60_000;

/** What there was of a network in a minute. */
interface Tally {
  recorded: number;
  /** How many more there were, and how many of them nobody looked at. */
  more: number;
  shed: number;
}

/**
 * What is on record of strangers who are refused. They come for nothing, as often as they like, and must not fill the
 * disk: the first of a network are recorded one by one, and what more there is in a minute by its number.
 */
export class Strangers {
  private tallies = new Map<string, Tally>();
  private recorded = 0;
  private since = 0;
  private minute: NodeJS.Timeout | undefined;

  constructor(private readonly write: (record: AuditRecord) => Promise<void>) {}

  /** Records a refusal, and ends when that is done; or counts it, and nobody has to wait. */
  refused(network: string, recordOf: () => AuditRecord): Promise<void> | undefined {
    const tally = this.tallyOf(network);
    if (tally.recorded >= ONE_BY_ONE || this.recorded >= ONE_BY_ONE_IN_ALL) {
      tally.more += 1;
      return undefined;
    }
    tally.recorded += 1;
    this.recorded += 1;
    return this.write(recordOf());
  }

  /** Counts a refusal of a request that nobody looked at. */
  shed(network: string): void {
    const tally = this.tallyOf(network);
    tally.more += 1;
    tally.shed += 1;
  }

  /** Records what was only counted until now. */
  async close(): Promise<void> {
    clearTimeout(this.minute);
    this.minute = undefined;
    const { tallies, since } = this;
    this.tallies = new Map();
    this.recorded = 0;
    const counted = [...tallies].filter(([, { more }]) => more > 0);
    await Promise.all(
      counted.map(([network, { more, shed }]) =>
        this.write({
          event: 'refusals',
          outcome: 'counted',
          source: network === '' ? undefined : network,
          since: new Date(since).toISOString(),
          count: more,
          shed,
        }),
      ),
    );
  }

  private tallyOf(network: string): Tally {
    if (!this.minute) {
      this.since = Date.now();
      this.minute = setTimeout(() => void this.close(), MINUTE_MS).unref();
    }
    return this.tallies.get(network) ?? this.tallyNamed(this.tallies.size < MOST_NETWORKS ? network : '');
  }

  private tallyNamed(name: string): Tally {
    const tally = this.tallies.get(name) ?? { recorded: 0, more: 0, shed: 0 };
    this.tallies.set(name, tally);
    return tally;
  }
}
