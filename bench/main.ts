import { parseArgs } from 'node:util';
import { audit } from './audit.js';
import { number, shown, table } from './figures.js';
import { fleet, type Period } from './fleet.js';
import { gateway } from './gateway.js';
import { handOut } from './hand-out.js';
import { boot } from './boot.js';
import { door } from './door.js';
import { type Latency } from './hostile.js';
import { type Footprint, footprint } from './memory.js';
import { propagation } from './propagation.js';
import { store } from './store.js';
import { tick } from './tick.js';

/** What a hub with ten thousand apps may take. */
const MEMORY_BAR = { apps: 10_000, mb: 300 };
/** The tick must not grow; less than this is the noise of a busy machine. */
const GROWTH_BAR = 1.5;
const STORE_ROUNDS = 3;
const BOOT_ROUNDS = 7;
const BOOT_BAR_MS = 1000;
const IDLE_BAR_MB = 110;
/** The busiest hub of a fleet, as a multiple of the mean. */
const SHARE_BAR = 1.5;
const COMMANDS_BAR = 6;
/** In percent. */
const CUSTODY_BAR = 15;
const ROTATIONS = 60;
const READS = 1000;
const CLOSED_BAR_SECONDS = 10;
const HUGE_HEADERS_BAR_MB = 20;
const MINTS_BAR = 10;
const ADDED_BAR_MS = 2;
const UPLOADS_BAR_MB = 40;

const { values: options } = parseArgs({
  options: {
    /** Fewer and shorter rounds, for a quick look. */
    short: { type: 'boolean', default: false },
    /** Lets the largest hub ask WeChat for all that it keeps, too, which takes about a minute. */
    fetch: { type: 'boolean', default: false },
    /** One of the benchmarks, by name, instead of all of them. */
    only: { type: 'string' },
  },
});
const plan = options.short
  ? {
      apps: [MEMORY_BAR.apps],
      reads: 1000,
      rounds: 2,
      auditRounds: 4,
      seconds: 0.5,
      tickRounds: 9,
      entries: 20_000,
      credentials: 10_000,
      floodSeconds: 8,
      calls: 300,
      uploads: 5,
    }
  : {
      apps: [1, 100, 1000, MEMORY_BAR.apps],
      reads: Infinity,
      rounds: 5,
      // What is compared lies closer together than one round and the next.
      auditRounds: 15,
      seconds: 1,
      tickRounds: 25,
      entries: 100_000,
      credentials: 100_000,
      floodSeconds: 30,
      calls: 2000,
      uploads: 30,
    };

/** What holds and what does not, for the end. */
const verdicts: string[] = [];
const benchmarks: Readonly<Record<string, () => Promise<void>>> = {
  'hand-out': showHandOut,
  audit: showAudit,
  gateway: showGateway,
  memory: showMemory,
  tick: showTick,
  store: showStore,
  fleet: showFleet,
  propagation: showPropagation,
  door: showDoor,
  boot: showBoot,
};
const names = options.only === undefined ? Object.keys(benchmarks) : [options.only];
for (const name of names) {
  const show = benchmarks[name];
  if (!show) throw new Error(`--only: one of ${Object.keys(benchmarks).join(', ')} is wanted`);
  await show();
}
for (const verdict of verdicts) say(`${verdict}\n`);

function say(text: string): void {
  process.stdout.write(text);
}

async function showHandOut(): Promise<void> {
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
}

async function showAudit(): Promise<void> {
  const costs = await audit(plan.auditRounds, plan.seconds);
  say(
    table(
      `Authentication and audit: a token to a client, ${plan.auditRounds} rounds of ${plan.seconds} s, median (min–max)`,
      ['a hub with', 'requests per second', '× neither', 'CPU µs per request'],
      costs.map(({ hub, requestsPerSecond, ofNeither, cpuMicroseconds }) => [
        hub,
        shown(requestsPerSecond),
        shown(ofNeither, 2),
        shown(cpuMicroseconds),
      ]),
    ),
  );
  const [, , both] = costs;
  if (!both) return;
  const cost = 100 * (1 - both.ofNeither.median);
  verdicts.push(judged(`Authentication and audit: ${number(cost, 1)} % of the requests per second`, cost, CUSTODY_BAR));
}

async function showGateway(): Promise<void> {
  const { ways, uploads } = await gateway(plan.calls, plan.uploads);
  say(
    table(
      `Gateway: a call to WeChat, ${plan.calls} of each way in turn, median (min–max)`,
      ['way', 'ms', 'ms added at the median'],
      ways.map(({ way, milliseconds, added }) => [way, shown(milliseconds, 2), number(added, 2)]),
    ),
  );
  const { count, memoryMb, megabytesPerSecond } = uploads;
  say(`${count} uploads of 10 MB: ${number(megabytesPerSecond)} MB/s, ${number(memoryMb, 1)} MB more memory.\n\n`);
  const most = Math.max(...ways.map(({ added }) => added));
  verdicts.push(judged(`Gateway: ${number(most, 2)} ms added to a call`, most, ADDED_BAR_MS));
  verdicts.push(judged(`Gateway: ${number(memoryMb, 1)} MB for large uploads`, memoryMb, UPLOADS_BAR_MB));
}

async function showMemory(): Promise<void> {
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
  const largest = footprints.at(-1);
  if (!largest) return;
  verdicts.push(
    `${number(largest.apps)} apps: ${number(largest.servedMb)} MB, of which in use ${number(largest.collectedMb)} MB; bar ${number(MEMORY_BAR.mb)} MB`,
  );
}

async function showTick(): Promise<void> {
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
  const growth = ticks.at(-1);
  if (!growth) return;
  verdicts.push(
    `The tick with ${number(growth.credentials)} credentials: ${number(growth.timesFirst.median, 2)} times that with one, bar ${number(GROWTH_BAR, 1)} times`,
  );
}

async function showStore(): Promise<void> {
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
}

async function showFleet(): Promise<void> {
  const { credentials, virtualMinutes, beginning, calm, calmMinutes, firstRound, secondRound, ...figures } =
    await fleet(plan.credentials);
  const rounds = [
    { period: beginning, hubs: [0, 1] },
    { period: firstRound, hubs: [0, 1, 2] },
    { period: secondRound, hubs: [1, 2] },
  ];
  const row = (what: string, figure: (period: Period, hubs: readonly number[]) => string): string[] => [
    what,
    ...rounds.map(({ period, hubs }) => figure(period, hubs)),
  ];
  const perValue = (count: number | undefined, { renewalCount }: Period): string =>
    number((count ?? 0) / renewalCount, 2);
  const seconds = (ms: number): string => (Number.isFinite(ms) && ms > 0 ? number(ms / 1000, 1) : '–');
  say(
    table(
      `A fleet: ${number(credentials)} credentials of 2 h, three hubs on one Redis, ${number(virtualMinutes / 60, 1)} h of virtual time`,
      ['what', 'asked of two in a minute', 'renewed by three', 'one stopped for 10 min'],
      [
        row('new values', ({ renewalCount }) => number(renewalCount)),
        row('of them by each hub', ({ renewals }) => renewals.map((count) => number(count)).join(' / ')),
        row('busiest hub, × the mean of those that ran', (period, hubs) => number(period.busiest(hubs), 2)),
        row('values that came to nothing', ({ given, renewalCount }) => number(given - renewalCount)),
        row('Redis commands per new value', (period) => perValue(period.scriptCount, period)),
        row('leases refused per new value: another hub has it', (period) =>
          perValue(period.refused.get('grant held'), period),
        ),
        row('… or has been there', (period) => perValue(period.refused.get('grant changed'), period)),
        row('new values in the busiest second', ({ busiestSecond }) => number(busiestSecond)),
        row('calls to WeChat at once, at most', ({ mostCallsAtOnce }) => number(mostCallsAtOnce)),
        row('longest due and not renewed, s', ({ longestDueMs }) => seconds(longestDueMs)),
        row('least that the old value had left, s', ({ leastLeftMs }) => seconds(leastLeftMs)),
        row('failures and other trouble', ({ told }) => number([...told.values()].reduce((sum, one) => sum + one, 0))),
      ],
    ),
  );
  const all = rounds.map(({ period }) => period);
  const scripts = new Set([...all, calm].flatMap((period) => [...period.scripts.keys()]));
  say(
    table(
      'The same fleet, apart from that',
      ['what', 'figure'],
      [
        ['Redis commands per hub and minute when nothing is due', number(calm.scriptCount / 2 / calmMinutes, 1)],
        ['scripts that were run', [...scripts].join(', ')],
        ['keys that one of them had, at most', number(Math.max(...all.map(({ mostKeys }) => mostKeys)))],
        ['new values of the stopped hub before that', number(figures.byTheStopped)],
        ['s until it had everything again', number(figures.recoveredMs / 1000, 1)],
        ['credentials without a usable value, at looks every 15 min', number(figures.missed)],
      ],
    ),
  );
  const busiest = Math.max(...rounds.map(({ period, hubs }) => period.busiest(hubs)));
  const commands = Math.max(...all.map((period) => period.scriptCount / period.renewalCount));
  const expired = figures.missed + all.filter(({ leastLeftMs }) => leastLeftMs <= 0).length;
  verdicts.push(
    judged(`The busiest hub of a fleet: ${number(busiest, 2)} times the mean`, busiest, SHARE_BAR),
    judged(`Redis commands per new value: ${number(commands, 2)}`, commands, COMMANDS_BAR),
    judged(`Credentials that ran out in a fleet: ${number(expired)}`, expired, 0),
  );
}

async function showPropagation(): Promise<void> {
  const { rotationMs, publishMs, timesPublish, commandsOfReads, commands } = await propagation(ROTATIONS, READS);
  say(
    table(
      `Three hubs on a Redis server: ${ROTATIONS} rotations, median (min–max)`,
      ['what', 'figure'],
      [
        ["ms from WeChat's answer in one hub to both others", shown(rotationMs, 2)],
        ['ms that a bare message takes', shown(publishMs, 2)],
        ['× a bare message', shown(timesPublish, 1)],
        [`Redis commands during ${number(READS)} reads`, number(commandsOfReads)],
      ],
    ),
  );
  say(`Commands that Redis was given: ${commands.join(', ')}\n\n`);
  verdicts.push(judged(`Redis commands for ${number(READS)} reads: ${number(commandsOfReads)}`, commandsOfReads, 0));
}

async function showBoot(): Promise<void> {
  const { readyMs, idleMb } = await boot(BOOT_ROUNDS);
  say(
    table(
      `The start of a hub with one app: ${BOOT_ROUNDS} of them, median (min–max)`,
      ['what', 'figure'],
      [
        ['ms to the first answer', shown(readyMs)],
        ['resident MB when idle', shown(idleMb, 1)],
      ],
    ),
  );
  verdicts.push(judged(`A start: ${number(readyMs.median)} ms`, readyMs.median, BOOT_BAR_MS));
  verdicts.push(judged(`An idle hub: ${number(idleMb.median, 1)} MB`, idleMb.median, IDLE_BAR_MB));
}

async function showDoor(): Promise<void> {
  const { slow, flood, hugeHeadersMb, rotations } = await door(plan.floodSeconds);
  const row = (what: string, { median, p99, most }: Latency): string[] => [
    what,
    ...[median, p99, most].map((ms) => number(ms, 1)),
  ];
  say(
    table(
      'What a good client waits for its token, in ms',
      ['meanwhile', 'median', '99 of 100', 'most'],
      [
        row('nothing', flood.latencyBefore),
        row(`${number(slow.connections)} connections dawdle`, slow.latency),
        row(`a flood of ${number(flood.perSecond)} bad tokens a second, ${plan.floodSeconds} s`, flood.latency),
        row('the last half of it', flood.latencyLate),
      ],
    ),
  );
  say(
    table(
      'The door',
      ['what', 'figure'],
      [
        ['s until the last dawdling connection was closed', number(slow.closedSeconds, 1)],
        ['MB more after 20 headers of 900 kB', number(hugeHeadersMb, 1)],
        ['answers to the flood', [...flood.answers].map(([status, count]) => `${status}: ${number(count)}`).join(', ')],
        ['MB more after the flood, in use', number(flood.memoryMb, 1)],
        ['rotations asked for in a loop', number(rotations.asked)],
        ['of them, new values from WeChat', number(rotations.mints)],
        ['of them, 429', number(rotations.refused)],
      ],
    ),
  );
  verdicts.push(
    judged(`${number(slow.connections)} dawdling connections, s`, slow.closedSeconds, CLOSED_BAR_SECONDS),
    judged('MB after 20 headers of 900 kB', hugeHeadersMb, HUGE_HEADERS_BAR_MB),
    judged('MB after a flood of bad tokens', flood.memoryMb, HUGE_HEADERS_BAR_MB),
    judged(`New values for ${rotations.asked} rotations in a loop`, rotations.mints, MINTS_BAR),
  );
}

function judged(sentence: string, figure: number, bar: number): string {
  return `${sentence}, bar ${number(bar, bar % 1 === 0 ? 0 : 1)}: ${figure <= bar ? 'holds' : 'MISSED'}`;
}
