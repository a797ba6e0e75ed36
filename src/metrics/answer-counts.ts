import type { Metric, MetricObjectWithValues, MetricType, MetricValue, Registry } from 'prom-client';
import { type Heading, pagesOf, type Sample, written } from './family.js';

/** A request that was answered, in words that are ours: what a client made up is no label. */
export interface Answered {
  readonly client: string | undefined;
  readonly app: string | undefined;
  /** The pattern of the route, as it stands in the code. */
  readonly route: string | undefined;
  readonly status: number;
  readonly seconds: number;
}

/** The names and help texts of the two metrics. */
export interface AnswerMetrics {
  readonly requests: { readonly name: string; readonly help: string };
  readonly duration: { readonly name: string; readonly help: string };
}

/** Stands in labels for what there is none of, or none that may be named. */
export const NONE = 'none';
/** In seconds. */
const BUCKETS = [0.001, 0.005, 0.025, 0.1, 0.5, 1, 2.5, 5, 10];

interface Count {
  times: number;
}

/** How long the requests of a route took: how many fell into each bucket, the last of which has no end. */
interface Durations {
  readonly buckets: number[];
  sum: number;
}

/** By who asked: of clients there may be many, so all that is the same for them comes first. */
type ByClient = Map<string, Count>;

/**
 * Counts requests. With prom-client's own counters this would cost more than to answer one: they write the labels out, and
 * hash them, each time. Here that is done when somebody looks.
 */
export class AnswerCounts {
  /** By route, status, app and client. */
  private readonly counts = new Map<string, Map<number, Map<string, ByClient>>>();
  private readonly durations = new Map<string, Durations>();
  private readonly requests: Heading;

  constructor(registry: Registry, { requests, duration }: AnswerMetrics) {
    this.requests = { ...requests, type: 'counter' };
    register(registry, { ...duration, type: 'histogram' }, () => [...this.durationValues(duration.name)]);
  }

  count({ client = NONE, app = NONE, route = NONE, status, seconds }: Answered): void {
    const byClient = inner(inner(inner(this.counts, route), status), app);
    const count = byClient.get(client);
    if (count) count.times += 1;
    else byClient.set(client, { times: 1 });
    let durations = this.durations.get(route);
    if (!durations) {
      this.durations.set(route, (durations = { buckets: Array<number>(BUCKETS.length + 1).fill(0), sum: 0 }));
    }
    let bucket = 0;
    while (seconds > (BUCKETS[bucket] ?? Infinity)) bucket += 1;
    durations.buckets[bucket] = (durations.buckets[bucket] ?? 0) + 1;
    durations.sum += seconds;
  }

  /** How many requests there were, as Prometheus reads it. */
  pages(): AsyncIterable<string> {
    return pagesOf(this.requests, this.samples(), (sample) => [sample]);
  }

  private *samples(): Generator<Sample> {
    for (const [route, byStatus] of this.counts) {
      for (const [status, byApp] of byStatus) {
        for (const [app, byClient] of byApp) {
          for (const [client, { times }] of byClient) yield [written({ client, app, route, status }), times];
        }
      }
    }
  }

  private *durationValues(name: string): Generator<MetricValue<string> & { readonly metricName: string }> {
    for (const [route, { buckets, sum }] of this.durations) {
      let upTo = 0;
      for (const [i, count] of buckets.entries()) {
        upTo += count;
        yield { metricName: `${name}_bucket`, labels: { route, le: BUCKETS[i] ?? '+Inf' }, value: upTo };
      }
      yield { metricName: `${name}_sum`, labels: { route }, value: sum };
      yield { metricName: `${name}_count`, labels: { route }, value: upTo };
    }
  }
}

function inner<K, I, V>(map: Map<K, Map<I, V>>, key: K): Map<I, V> {
  let found = map.get(key);
  if (!found) map.set(key, (found = new Map<I, V>()));
  return found;
}

/** A registry asks its metrics for nothing but this; the types want one of the library's own classes. */
function register(
  registry: Registry,
  { name, help, type }: { readonly name: string; readonly help: string; readonly type: `${MetricType}` },
  values: () => MetricValue<string>[],
): void {
  const get = (): MetricObjectWithValues<MetricValue<string>> =>
    ({ name, help, type, values: values(), aggregator: 'sum' }) as unknown as MetricObjectWithValues<
      MetricValue<string>
    >;
  registry.registerMetric({ name, get, reset: () => undefined } as unknown as Metric);
}
