import { inTurns } from '../turns.js';

/** What a figure is called, and what it says. */
export interface Heading {
  readonly name: string;
  readonly help: string;
  readonly type: 'gauge' | 'counter';
}

/** One figure of several of the same name: its labels as they are written, and how much it is. */
export type Sample = readonly [labels: string, value: number];

/** Writes labels as Prometheus reads them. */
export function written(labels: Readonly<Record<string, string | number>>): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${String(value).replace(/[\\"\n]/g, escaped)}"`)
    .join(',');
}

/**
 * Writes figures of one name about any number of things, page by page: each is looked up when it is written, and none is kept.
 * With gauges of prom-client those of a hundred thousand credentials would weigh as much as the credentials, and be written in
 * one go.
 */
export async function* pagesOf<T>(
  { name, help, type }: Heading,
  things: Iterable<T>,
  samplesOf: (thing: T) => Iterable<Sample>,
): AsyncGenerator<string, void, undefined> {
  let page = `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
  for await (const some of inTurns(things)) {
    for (const thing of some) {
      for (const [labels, value] of samplesOf(thing)) page += `${name}{${labels}} ${value}\n`;
    }
    if (page !== '') yield page;
    page = '';
  }
  if (page !== '') yield page;
}

/** Counts by labels, which are kept as they are written. */
export class LabelledCounts {
  private readonly counts = new Map<string, number>();

  constructor(private readonly heading: Heading) {}

  add(labels: Readonly<Record<string, string | number>>): void {
    const key = written(labels);
    this.counts.set(key, (this.counts.get(key) ?? 0) + 1);
  }

  /** All of them, as Prometheus reads them. */
  pages(): AsyncIterable<string> {
    return pagesOf(this.heading, this.counts, (count) => [count]);
  }

  /** Begins anew. */
  clear(): void {
    this.counts.clear();
  }
}

function escaped(character: string): string {
  return character === '\n' ? '\\n' : `\\${character}`;
}
