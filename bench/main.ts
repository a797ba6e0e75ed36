import { parseArgs } from 'node:util';
import { audit } from './audit.js';
import {
  barOf,
  type Cell,
  type Figure,
  holds,
  judged,
  number,
  one,
  plain,
  shown,
  table,
  type Table,
  type Verdict,
} from './figures.js';
import { fleet, type Period } from './fleet.js';
import { gateway } from './gateway.js';
import { CASES, handOut } from './hand-out.js';
import { boot, loadedBoot } from './boot.js';
import { door } from './door.js';
import { type Latency } from './hostile.js';
import { type Footprint, footprint, weights } from './memory.js';
import { Paper } from './paper.js';
import { propagation } from './propagation.js';
import { stalls } from './stalls.js';
import { store } from './store.js';
import { tail } from './tail.js';
import { tick } from './tick.js';

/** Processor time, as multiples of bare node:http's. */
const HAND_OUT_BARS = { text: 1.3, json: 1.5, fresh: 2.2 } as const;
/** On a quiet machine the most and the least of the rounds are closer together than this. */
const DISTURBED = 1.25;
/** As a multiple of a hand-out to those who ask alike. */
const REFUSAL_BAR = 1;
const REFUSALS = { same: 'a token as text', others: 'one to a new JWT', everywhere: 'one to a new JWT' } as const;
/** While the hub has something else to do, as a multiple of quiet running. */
const TAIL_BAR = 2;
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
/** As many as a hub is to keep, and what it may take for that: bytes for each, a start, and how long nobody else has a turn. */
const SCALE = { credentials: 100_000, bytesEach: 1000, bootMs: 3000, stallMs: 20 };
const LOADS = [1, 1000, 10_000, SCALE.credentials];
/** Credentials of a burst. */
const MINTED = 10_000;
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
    /** Writes the figures down, and the page and the picture of them. */
    write: { type: 'boolean', default: false },
  },
});
const plan = options.short
  ? {
      apps: [MEMORY_BAR.apps],
      reads: 1000,
      handOut: { rounds: 3, seconds: 0.5, requests: 6400 },
      auditRounds: 4,
      seconds: 0.5,
      tailRounds: 3,
      tickRounds: 9,
      loadedBoots: 3,
      stallRounds: 1,
      minted: MINTED / 5,
      entries: 20_000,
      credentials: 10_000,
      floodSeconds: 8,
      calls: 300,
      uploads: 5,
    }
  : {
      apps: [1, 100, 1000, MEMORY_BAR.apps],
      reads: Infinity,
      // What is compared lies closer together than one round and the next.
      handOut: { rounds: 7, seconds: 1, requests: 25_600 },
      auditRounds: 7,
      seconds: 1,
      tailRounds: 7,
      tickRounds: 25,
      loadedBoots: 5,
      stallRounds: 3,
      minted: MINTED,
      entries: 100_000,
      credentials: 100_000,
      floodSeconds: 30,
      calls: 2000,
      uploads: 30,
    };

/** What holds and what does not, for the end. */
const verdicts: Verdict[] = [];
/** What the one that runs has had to say so far. */
let parts: (Table | string)[] = [];
const benchmarks: Readonly<Record<string, () => Promise<void>>> = {
  'hand-out': showHandOut,
  tail: showTail,
  audit: showAudit,
  gateway: showGateway,
  memory: showMemory,
  scale: showScale,
  tick: showTick,
  store: showStore,
  fleet: showFleet,
  propagation: showPropagation,
  door: showDoor,
  boot: showBoot,
};
const names = options.only === undefined ? Object.keys(benchmarks) : [options.only];
const paper = options.write ? new Paper(Object.keys(benchmarks), options.only === undefined) : undefined;
for (const name of names) {
  const show = benchmarks[name];
  if (!show) throw new Error(`--only: one of ${Object.keys(benchmarks).join(', ')} is wanted`);
  progress(name);
  parts = [];
  const known = verdicts.length;
  await show();
  const date = new Date().toISOString().slice(0, 10);
  paper?.keep(name, { date, short: options.short, parts, verdicts: verdicts.slice(known) });
}
for (const verdict of verdicts) {
  process.stdout.write(`${verdict.sentence}, bar ${barOf(verdict)}: ${holds(verdict) ? 'holds' : 'MISSED'}\n`);
}

/** Says a table or a sentence, here and on the page. */
function say(part: Table | string): void {
  parts.push(part);
  process.stdout.write(typeof part === 'string' ? `${part}\n\n` : plain(part));
}

/** Says how far it is, to whoever waits. */
function progress(text: string): void {
  process.stderr.write(`${number(process.uptime()).padStart(4)} s  ${text}\n`);
}

async function showHandOut(): Promise<void> {
  const { rounds, seconds } = plan.handOut;
  const costs = await handOut(plan.handOut, undefined, progress);
  say(
    table(
      `What a request costs: ${rounds} rounds of ${seconds} s, median (min–max)`,
      ['server and request', 'CPU µs per request', '× bare node:http', 'requests per second'],
      costs.map(({ what, cpuMicroseconds, timesBare, requestsPerSecond }) => [
        CASES[what],
        shown(cpuMicroseconds, 1),
        shown(timesBare, 2),
        shown(requestsPerSecond),
      ]),
    ),
  );
  const bare = costs.find(({ what }) => what === 'bare')?.cpuMicroseconds;
  if (bare && bare.max > DISTURBED * bare.min) {
    const apart = number(bare.max / bare.min, 1);
    say(
      `The machine was busy with something else: rounds of bare node:http lie ${apart} × apart. Multiples of it say little here.`,
    );
  }
  for (const what of ['text', 'json', 'fresh'] as const) {
    const times = costs.find((cost) => cost.what === what)?.timesBare.median ?? NaN;
    verdicts.push(judged(`${CASES[what]}: ${number(times, 2)} × bare node:http`, times, HAND_OUT_BARS[what]));
  }
  for (const [what, alike] of Object.entries(REFUSALS) as [keyof typeof REFUSALS, string][]) {
    const times = costs.find((cost) => cost.what === what)?.timesHandOut.median ?? NaN;
    verdicts.push(judged(`${CASES[what]}: ${number(times, 2)} × ${alike}`, times, REFUSAL_BAR));
  }
}

async function showTail(): Promise<void> {
  const { tails, herd } = await tail(plan.tailRounds, progress);
  say(
    table(
      `How long a read takes, in ms, while something else goes on: 8 connections, ${plan.tailRounds} rounds, median (min–max)`,
      ['meanwhile', 'median', '× quiet', '99 of 100', '× quiet', 'most'],
      tails.map(({ meanwhile, median, timesMedian, p99, timesP99, most }) => [
        meanwhile,
        shown(median, 2),
        shown(timesMedian, 2),
        shown(p99, 2),
        shown(timesP99, 2),
        shown(most, 1),
      ]),
    ),
  );
  say(
    table(
      `${number(herd.clients)} clients rotate the same token at once: ${plan.tailRounds} times, median (min–max)`,
      ['what', 'figure'],
      [
        ['calls to WeChat', shown(herd.calls)],
        ["ms until the last one has the new token, beyond WeChat's own second", shown(herd.addedMs)],
      ],
    ),
  );
  for (const { meanwhile, timesP99 } of tails.slice(1)) {
    const { median } = timesP99;
    verdicts.push(judged(`Reads, while ${meanwhile}: 99 of 100 in ${number(median, 2)} × quiet`, median, TAIL_BAR));
  }
  verdicts.push(
    judged(
      `Calls to WeChat for ${number(herd.clients)} rotations at once: ${number(herd.calls.max)}`,
      herd.calls.max,
      1,
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
      ways.map(({ way, milliseconds, added }) => [way, shown(milliseconds, 2), one(added, 2)]),
    ),
  );
  const { count, memoryMb, megabytesPerSecond } = uploads;
  say(`${count} uploads of 10 MB: ${number(megabytesPerSecond)} MB/s, ${number(memoryMb, 1)} MB more memory.`);
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
        one(apps),
        one(firstTokenMs),
        one(bootPeakMb),
        one(servedMb),
        one(collectedMb),
        fetchedMb === undefined ? '–' : one(fetchedMb),
      ]),
    ),
  );
  const largest = footprints.at(-1);
  if (!largest) return;
  const { apps, servedMb, collectedMb } = largest;
  verdicts.push(
    judged(
      `${number(apps)} apps: ${number(servedMb)} MB, of which in use ${number(collectedMb)} MB`,
      servedMb,
      MEMORY_BAR.mb,
    ),
  );
}

async function showScale(): Promise<void> {
  const { credentials: most, bytesEach, bootMs, stallMs } = SCALE;
  const found = await weights(LOADS);
  say(
    table(
      'Memory: a hub started from its store; a credential is an access token, or a ticket of one, that lives',
      ['credentials', 'MB of heap in use', 'bytes each', 'MB resident', 'bytes each'],
      found.map(({ credentials, heapMb, heapBytesEach, residentMb, residentBytesEach }) => [
        one(credentials),
        one(heapMb, 1),
        one(heapBytesEach),
        one(residentMb, 1),
        one(residentBytesEach),
      ]),
    ),
  );
  progress('start');
  const start = await loadedBoot(most, plan.loadedBoots);
  say(
    table(
      `The start of a hub with ${number(most)} credentials in its store: ${plan.loadedBoots} of them, median (min–max)`,
      ['what', 'figure'],
      [['ms to the first ticket', shown(start)]],
    ),
  );
  progress('stalls');
  const kept = await stalls(most, { rounds: plan.stallRounds, minted: plan.minted });
  say(
    table(
      `How long the event loop of a hub with ${number(most)} credentials is kept at most, in ms, once its code is compiled; who asks gives way to it: ${plan.stallRounds} times, median (min–max)`,
      ['meanwhile', 'kept for', 'it took'],
      kept.map(({ meanwhile, longestMs, tookMs }) => [meanwhile, shown(longestMs, 1), shown(tookMs)]),
    ),
  );
  const each = found.at(-1)?.heapBytesEach ?? NaN;
  verdicts.push(
    judged(`${number(most)} credentials: ${number(each)} bytes each`, each, bytesEach),
    judged(`A start with ${number(most)} credentials: ${number(start.median)} ms`, start.median, bootMs),
    ...kept.map(({ meanwhile, longestMs }) =>
      judged(
        `The event loop, while ${meanwhile}: kept for ${number(longestMs.median, 1)} ms`,
        longestMs.median,
        stallMs,
      ),
    ),
  );
}

async function showTick(): Promise<void> {
  const ticks = await tick([1, 1000, 10_000, 100_000], plan.tickRounds);
  say(
    table(
      `The cron's tick, when nothing is due: ${plan.tickRounds} rounds, median (min–max)`,
      ['credentials', 'ns per tick', '× with one'],
      ticks.map(({ credentials, nanoseconds, timesFirst }) => [
        one(credentials),
        shown(nanoseconds),
        shown(timesFirst, 2),
      ]),
    ),
  );
  const growth = ticks.at(-1);
  if (!growth) return;
  const { credentials, timesFirst } = growth;
  const sentence = `The tick with ${number(credentials)} credentials: ${number(timesFirst.median, 2)} times that with one`;
  verdicts.push(judged(sentence, timesFirst.median, GROWTH_BAR));
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
  const row = (what: string, figure: (period: Period, hubs: readonly number[]) => Cell): Cell[] => [
    what,
    ...rounds.map(({ period, hubs }) => figure(period, hubs)),
  ];
  const perValue = (count: number | undefined, { renewalCount }: Period): Figure => one((count ?? 0) / renewalCount, 2);
  const seconds = (ms: number): Cell => (Number.isFinite(ms) && ms > 0 ? one(ms / 1000, 1) : '–');
  say(
    table(
      `A fleet: ${number(credentials)} credentials of 2 h, three hubs on one Redis, ${number(virtualMinutes / 60, 1)} h of virtual time`,
      ['what', 'asked of two in a minute', 'renewed by three', 'one stopped for 10 min'],
      [
        row('new values', ({ renewalCount }) => one(renewalCount)),
        row('of them by each hub', ({ renewals }) => renewals.map((count) => number(count)).join(' / ')),
        row('busiest hub, × the mean of those that ran', (period, hubs) => one(period.busiest(hubs), 2)),
        row('values that came to nothing', ({ given, renewalCount }) => one(given - renewalCount)),
        row('Redis commands per new value', (period) => perValue(period.scriptCount, period)),
        row('leases refused per new value: another hub has it', (period) =>
          perValue(period.refused.get('grant held'), period),
        ),
        row('… or has been there', (period) => perValue(period.refused.get('grant changed'), period)),
        row('new values in the busiest second', ({ busiestSecond }) => one(busiestSecond)),
        row('calls to WeChat at once, at most', ({ mostCallsAtOnce }) => one(mostCallsAtOnce)),
        row('longest due and not renewed, s', ({ longestDueMs }) => seconds(longestDueMs)),
        row('least that the old value had left, s', ({ leastLeftMs }) => seconds(leastLeftMs)),
        row('failures and other trouble', ({ told }) => one([...told.values()].reduce((sum, one) => sum + one, 0))),
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
        ['Redis commands per hub and minute when nothing is due', one(calm.scriptCount / 2 / calmMinutes, 1)],
        ['scripts that were run', [...scripts].join(', ')],
        ['keys that one of them had, at most', one(Math.max(...all.map(({ mostKeys }) => mostKeys)))],
        ['new values of the stopped hub before that', one(figures.byTheStopped)],
        ['s until it had everything again', one(figures.recoveredMs / 1000, 1)],
        ['credentials without a usable value, at looks every 15 min', one(figures.missed)],
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
        [`Redis commands during ${number(READS)} reads`, one(commandsOfReads)],
      ],
    ),
  );
  say(`Commands that Redis was given: ${commands.join(', ')}.`);
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
  const row = (what: string, { median, p99, most }: Latency): Cell[] => [
    what,
    ...[median, p99, most].map((ms) => one(ms, 1)),
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
        ['s until the last dawdling connection was closed', one(slow.closedSeconds, 1)],
        ['MB more after 20 headers of 900 kB', one(hugeHeadersMb, 1)],
        ['answers to the flood', [...flood.answers].map(([status, count]) => `${status}: ${number(count)}`).join(', ')],
        ['MB more after the flood, in use', one(flood.memoryMb, 1)],
        ['rotations asked for in a loop', one(rotations.asked)],
        ['of them, new values from WeChat', one(rotations.mints)],
        ['of them, 429', one(rotations.refused)],
      ],
    ),
  );
  verdicts.push(
    judged(
      `${number(slow.connections)} dawdling connections, all closed in ${number(slow.closedSeconds, 1)} s`,
      slow.closedSeconds,
      CLOSED_BAR_SECONDS,
    ),
    judged(`20 headers of 900 kB: ${number(hugeHeadersMb, 1)} MB more`, hugeHeadersMb, HUGE_HEADERS_BAR_MB),
    judged(`A flood of bad tokens: ${number(flood.memoryMb, 1)} MB more`, flood.memoryMb, HUGE_HEADERS_BAR_MB),
    judged(
      `New values for ${rotations.asked} rotations in a loop: ${number(rotations.mints)}`,
      rotations.mints,
      MINTS_BAR,
    ),
  );
}
