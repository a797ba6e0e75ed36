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
  readonly labels: Readonly<Record<'client' | 'app' | 'route' | 'status', string | number>>;
  count: number;
}

/** How long the requests of a route took: how many fell into each bucket, the last of which has no end. */
interface Durations {
  readonly buckets: number[];
  sum: number;
}

type ByStatus = Map<number, Count>;

/**
 * Counts requests. With prom-client's own counters this would cost more than to answer one: they write the labels out, and
 * hash them, each time. Here that is done when somebody looks.
 */
export class AnswerCounts {
  private readonly counts = new Map<string | undefined, Map<string | undefined, Map<string | undefined, ByStatus>>>();
  private readonly durations = new Map<string | undefined, Durations>();
  private readonly requests: Heading;

  constructor(registry: Registry, { requests, duration }: AnswerMetrics) {
    this.requests = { ...requests, type: 'counter' };
    register(registry, { ...duration, type: 'histogram' }, () => [...this.durationValues(duration.name)]);
  }

  count({ client, app, route, status, seconds }: Answered): void {
    const byStatus = inner(inner(inner(this.counts, client), app), route);
    let count = byStatus.get(status);
    if (!count) {
      const labels = { client: client ?? NONE, app: app ?? NONE, route: route ?? NONE, status };
      byStatus.set(status, (count = { labels, count: 0 }));
    }
    count.count += 1;
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
    return pagesOf(this.requests, this.byRoutes(), (byRoute) =>
      [...byRoute.values()].flatMap((byStatus) =>
        [...byStatus.values()].map(({ labels, count }): Sample => [written(labels), count]),
      ),
    );
  }

  private *byRoutes(): Generator<Map<string | undefined, ByStatus>> {
    for (const byApp of this.counts.values()) yield* byApp.values();
  }

  private *durationValues(name: string): Generator<MetricValue<string> & { readonly metricName: string }> {
    for (const [route = NONE, { buckets, sum }] of this.durations) {
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
