import { parseArgs } from 'node:util';
import { number, shown, table } from './figures.js';
import { handOut } from './hand-out.js';
import { type Footprint, footprint } from './memory.js';
import { store } from './store.js';
import { tick } from './tick.js';

/** What a hub with ten thousand apps may take. */
const MEMORY_BAR = { apps: 10_000, mb: 300 };
/** The tick must not grow; less than this is the noise of a busy machine. */
const GROWTH_BAR = 1.5;
const STORE_ROUNDS = 3;

const { values: options } = parseArgs({
  options: {
    /** Fewer and shorter rounds, for a quick look. */
    short: { type: 'boolean', default: false },
    /** Lets the largest hub ask WeChat for all that it keeps, too, which takes about a minute. */
    fetch: { type: 'boolean', default: false },
  },
});
const plan = options.short
  ? { apps: [MEMORY_BAR.apps], reads: 1000, rounds: 2, seconds: 0.5, tickRounds: 9, entries: 20_000 }
  : { apps: [1, 100, 1000, MEMORY_BAR.apps], reads: Infinity, rounds: 5, seconds: 1, tickRounds: 25, entries: 100_000 };

const say = (text: string): void => void process.stdout.write(text);

const costs = await handOut(plan.rounds, plan.seconds);
say(
  table(
    `Hand-out: a token to a client, ${plan.rounds} rounds of ${plan.seconds} s, median (min–max)`,
    ['server', 'CPU µs per request', '× bare node:http', 'requests per second'],
    costs.map(({ server, cpuMicroseconds, timesBare, requestsPerSecond }) => [
      server,
      shown(cpuMicroseconds),
      shown(timesBare, 1),
      shown(requestsPerSecond),
    ]),
  ),
);

const footprints: Footprint[] = [];
for (const apps of plan.apps) {
  const origin = options.fetch || apps < MEMORY_BAR.apps ? 'fetched' : 'filled';
  footprints.push(await footprint(apps, origin, plan.reads));
}
say(
  table(
    'Memory: resident MB of a hub with a token and a ticket for every app, started from its store',
    [
      'apps',
      'first token, ms',
      'peak of the start',
      plan.reads === Infinity ? 'after reading all' : `after ${number(plan.reads)} reads`,
      'of it in use',
      'after fetching all',
    ],
    footprints.map(({ apps, firstTokenMs, bootPeakMb, servedMb, collectedMb, fetchedMb }) => [
      number(apps),
      number(firstTokenMs),
      number(bootPeakMb),
      number(servedMb),
      number(collectedMb),
      fetchedMb === undefined ? '–' : number(fetchedMb),
    ]),
  ),
);

const ticks = await tick([1, 1000, 10_000, 100_000], plan.tickRounds);
say(
  table(
    `The cron's tick, when nothing is due: ${plan.tickRounds} rounds, median (min–max)`,
    ['credentials', 'ns per tick', '× with one'],
    ticks.map(({ credentials, nanoseconds, timesFirst }) => [
      number(credentials),
      shown(nanoseconds),
      shown(timesFirst, 2),
    ]),
  ),
);

const { savedPerSecond, loadMs } = await store(plan.entries, [1, 32, 1000], STORE_ROUNDS);
say(
  table(
    `The embedded store: ${STORE_ROUNDS} rounds, median (min–max)`,
    ['what', 'figure'],
    [
      ...[...savedPerSecond].map(([company, speed]) => [
        company === 1 ? 'saved per second, alone' : `saved per second, ${number(company)} at once`,
        shown(speed),
      ]),
      [`ms to open it and load ${number(plan.entries)} entries`, shown(loadMs)],
    ],
  ),
);

const largest = footprints.at(-1);
const growth = ticks.at(-1);
if (largest) {
  say(
    `${number(largest.apps)} apps: ${number(largest.servedMb)} MB, of which in use ${number(largest.collectedMb)} MB; bar ${number(MEMORY_BAR.mb)} MB\n`,
  );
}
if (growth) {
  say(
    `The tick with ${number(growth.credentials)} credentials: ${number(growth.timesFirst.median, 2)} times that with one, bar ${number(GROWTH_BAR, 1)} times\n`,
  );
}
