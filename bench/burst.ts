import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { BEARER } from './client.js';
import { fromCheckout, type Program } from './program.js';

/** As many connections as clients that ask at once. */
const CONNECTIONS = 64;
/** Far longer than any burst. */
const PATIENCE_MS = 120_000;

/** What requests show: each of these by turns, or one that was never shown before. */
export type Tokens =
  | { readonly kind: 'these'; readonly authorizations: readonly string[] }
  | { readonly kind: 'fresh'; readonly clients: number }
  | { readonly kind: 'forged' }
  | { readonly kind: 'forged, from everywhere' };

/** Requests for one path, each connection's next one as soon as the one before is answered. */
export interface Burst {
  readonly path: string;
  /** Unless it is the one client that asks, with the one token. */
  readonly tokens?: Tokens;
  readonly headers?: Readonly<Record<string, string>>;
  /** What is answered; anything else is a failure of the benchmark. */
  readonly status?: number;
  readonly connections?: number;
  /** How long it goes on, how many requests it is, or until something else is over. */
  readonly extent: { readonly seconds: number } | { readonly requests: number } | 'until told';
}

/** The same for the driver, which knows no defaults. */
export type Order = Required<Burst> & { readonly url: string };

const USUAL: Omit<Order, 'path' | 'extent' | 'url'> = {
  tokens: { kind: 'these', authorizations: [BEARER] },
  headers: {},
  status: 200,
  connections: CONNECTIONS,
};

/** What came of a burst, as the driver saw it. */
export interface Outcome {
  readonly answers: number;
  readonly seconds: number;
  /** Milliseconds from request to answer. */
  readonly latency: { readonly median: number; readonly p99: number; readonly most: number };
}

/**
 * A server that had nothing to do for some seconds has given back its memory, and takes three times as long for a request
 * until it has it again. Those that are asked in every round of a benchmark would be the cheaper for that.
 */
const BEGINNING = { part: 0.25, seconds: 0.2 };

/** What one round of requests came to. */
export interface Round {
  readonly cpuMicroseconds: number;
  readonly requestsPerSecond: number;
}

/**
 * Sends a burst from a process of its own.
 * @param meanwhile begins with the first answer; what goes on until told ends with it.
 * @throws Error when an answer is not the one that is expected.
 */
export async function fire(
  { url }: Pick<Program, 'url'>,
  burst: Burst,
  meanwhile: () => Promise<unknown> = () => Promise.resolve(),
): Promise<Outcome> {
  const order: Order = { ...USUAL, ...burst, url };
  const driver = spawn(process.execPath, [fromCheckout('build/bench/driver.js'), JSON.stringify(order)], {
    env: {},
    stdio: ['pipe', 'pipe', 'inherit'],
    timeout: PATIENCE_MS,
  });
  try {
    const lines = createInterface({ input: driver.stdout })[Symbol.asyncIterator]();
    await lines.next();
    await meanwhile();
    driver.stdin.end();
    const { value: outcome } = (await lines.next()) as IteratorResult<string, undefined>;
    if (outcome === undefined) throw new Error(`${burst.path}: not all was answered as it should be`);
    return JSON.parse(outcome) as Outcome;
  } finally {
    driver.kill();
  }
}

/** Sends a burst, and tells what it cost the server, the beginning apart. */
export async function load(program: Program, burst: Burst): Promise<Round> {
  await fire(program, { ...burst, extent: beginningOf(burst.extent) });
  const cpuBefore = program.cpuMs;
  const { answers, seconds } = await fire(program, burst);
  return { cpuMicroseconds: ((program.cpuMs - cpuBefore) * 1000) / answers, requestsPerSecond: answers / seconds };
}

function beginningOf(extent: Burst['extent']): Burst['extent'] {
  if (extent === 'until told') return extent;
  if ('seconds' in extent) return { seconds: Math.min(BEGINNING.seconds, extent.seconds) };
  return { requests: Math.ceil(extent.requests * BEGINNING.part) };
}
