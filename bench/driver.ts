import autocannon, { type Request } from 'autocannon';
import { createSecretKey, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { Order, Outcome, Tokens } from './burst.js';
import { BEARER, bearerOf, keyOf, kidOf } from './client.js';

/** Short beside the shortest burst. */
const SAMPLE_MS = 50;
/** More than a burst of some seconds has answers. */
const MANY_REQUESTS = 3600;

// Runs in a process of its own, so that what it takes to ask is not counted as what it takes to answer. All requests are
// made before the first one is sent: a driver that signs a token for each would be slower than the server.
const order = JSON.parse(process.argv[2] ?? '{}') as Order;
const { url, path, tokens, headers, status, connections, extent } = order;
const requests = prepared();
let isUnderWay = false;
const [startedAt, times] = [performance.now(), new Array<number>()];
let [firstAt, lastAt, unexpected] = [startedAt, startedAt, 0];

const run = autocannon({
  url: url + path,
  connections,
  sampleInt: SAMPLE_MS,
  ...(extent === 'until told' ? { duration: MANY_REQUESTS } : {}),
  ...(typeof extent === 'object' && 'seconds' in extent ? { duration: extent.seconds } : {}),
  ...(typeof extent === 'object' && 'requests' in extent ? { amount: extent.requests } : {}),
  setupClient: (client) => client.setRequests(requests.shift() ?? []),
});
run.on('response', (_client: unknown, answered: number, _bytes: number, milliseconds: number) => {
  if (!isUnderWay) {
    isUnderWay = true;
    firstAt = performance.now();
    process.stdout.write('under way\n');
  }
  lastAt = performance.now();
  times.push(milliseconds);
  if (answered !== status) unexpected += 1;
});
if (extent === 'until told') void once(process.stdin.resume(), 'end').then(() => run.stop());
const { errors } = await run;
if (unexpected + errors > 0) throw new Error(`${path}: ${unexpected} answers that are not ${status}, ${errors} errors`);
times.sort((a, b) => a - b);
const at = (part: number): number => times[Math.min(times.length - 1, Math.floor(times.length * part))] ?? NaN;
const outcome: Outcome = {
  answers: times.length,
  seconds: (lastAt - firstAt) / 1000,
  latency: { median: at(0.5), p99: at(0.99), most: at(1) },
};
process.stdout.write(`${JSON.stringify(outcome)}\n`);

/** The requests of each connection, in turns if they are fewer than it sends. */
function prepared(): Request[][] {
  if (tokens.kind === 'these') {
    return Array.from({ length: connections }, () =>
      tokens.authorizations.map((Authorization) => asking({ Authorization })),
    );
  }
  const count = typeof extent === 'object' && 'requests' in extent ? extent.requests : MANY_REQUESTS;
  const all = Array.from({ length: count }, (_, place) => asking(shownOnce(tokens, place)));
  return Array.from({ length: connections }, (_, connection) =>
    all.filter((_, place) => place % connections === connection),
  );
}

function asking(shown: Readonly<Record<string, string>>): Request {
  return { headers: { ...headers, ...shown } };
}

/** What a request shows that nobody has shown before. */
function shownOnce(tokens: Exclude<Tokens, { kind: 'these' }>, place: number): Record<string, string> {
  if (tokens.kind === 'fresh') {
    const client = place % tokens.clients;
    return { Authorization: bearerOf(kidOf(client), createSecretKey(keyOf(client), 'utf8'), { jti: randomUUID() }) };
  }
  // Signed by somebody else, in the name of a good client, and as well-formed as his own: what is not costs less.
  const forged = `${BEARER.slice(0, -21)}${randomUUID().replaceAll('-', '').slice(0, 20)}A`;
  return {
    Authorization: forged,
    ...(tokens.kind === 'forged, from everywhere' && { 'X-Forwarded-For': addressOf(place) }),
  };
}

/** One of some millions, of which each burst takes others. */
function addressOf(place: number): string {
  const [from, serial] = [process.pid % 256, place % 65_536];
  return `10.${from}.${serial >> 8}.${serial & 255}`;
}
