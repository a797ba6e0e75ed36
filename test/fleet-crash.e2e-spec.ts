import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Fleet, type HubProcess, noteFigures, type Readers, secondsOf, valueOf } from './process.fixture.js';
import { until } from './redis.fixture.js';

const START_MS = 60_000;

/** How far a mint got before its hub was stopped, in the order of the steps. */
const MOMENTS = ['unsent', 'unheard', 'unanswered', 'unwritten'] as const;

/** What was being minted: where there was nothing, or in the place of a value that a client wants replaced. */
const MINTS = [
  { name: 'classic-first', endpoint: 'classic', kind: 'access-token', api: '/cgi-bin/token', isRotation: false },
  { name: 'classic-next', endpoint: 'classic', kind: 'access-token', api: '/cgi-bin/token', isRotation: true },
  { name: 'stable-first', endpoint: 'stable', kind: 'access-token', api: '/cgi-bin/stable_token', isRotation: false },
  { name: 'stable-next', endpoint: 'stable', kind: 'access-token', api: '/cgi-bin/stable_token', isRotation: true },
  { name: 'ticket', endpoint: 'classic', kind: 'ticket/jsapi', api: '/cgi-bin/ticket/getticket', isRotation: false },
] as const;

/** One mint, of an app of its own, that is cut off at one moment. */
const CASES = MINTS.flatMap((mint) =>
  MOMENTS.map((moment) => {
    const app = `${mint.name}-${moment}`;
    return { ...mint, moment, app, path: `${app}/${mint.kind.replace('/', '?type=')}` };
  }),
);
type Case = (typeof CASES)[number];

/** A call to WeChat that carries all of these texts, or the writing down of what came of it under this name. */
type Hold = { readonly call: readonly string[] } | { readonly commit: string };

/**
 * Stops the process at the very moment at which the last of its mints has come as far as it should. Until it goes on,
 * each of them waits where it is.
 */
const PRELOAD = `
const { createRequire } = require('node:module');
const { writeSync } = require('node:fs');
const http = require('node:http');
const { Redis } = createRequire(process.env.HELD_MAIN)('ioredis');

const awaited = JSON.parse(process.env.HELD);
const gate = new Promise((resolve) => process.once('SIGCONT', resolve));
const isHeld = (matches) => {
  const place = awaited.findIndex(matches);
  if (place < 0) return false;
  awaited.splice(place, 1);
  setImmediate(() => {
    if (awaited.length > 0) return;
    writeSync(1, 'All mints are held.\\n');
    process.kill(process.pid, process.env.HELD_SIGNAL);
  });
  return true;
};

const { addRequest } = http.Agent.prototype;
http.Agent.prototype.addRequest = function (request, ...rest) {
  const send = () => addRequest.call(this, request, ...rest);
  // By then the body is there.
  setImmediate(() => {
    const text = [request.path, ...request.outputData.map(({ data }) => data)].join(' ');
    if (isHeld(({ call }) => call?.every((part) => text.includes(part)))) gate.then(send);
    else send();
  });
};

const COMMIT_ARGUMENTS = 12;
const { sendCommand } = Redis.prototype;
Redis.prototype.sendCommand = function (command, ...rest) {
  const { name, args } = command;
  const entry = name === 'evalsha' && args.length === COMMIT_ARGUMENTS ? args[6] : undefined;
  if (!isHeld(({ commit }) => commit !== undefined && commit === entry)) return sendCommand.call(this, command, ...rest);
  gate.then(() => sendCommand.call(this, command, ...rest));
  return command.promise;
};
`;

/** Two hubs that go on, and a third that gets a signal when all the mints that it was asked for are where they should be. */
class Crash {
  /** What there was before, by path: the values to be replaced. */
  readonly old = new Map<string, string>();
  /** What the hub answers that was cut off, if it ever does, by path. */
  readonly late = new Map<string, Promise<string>>();
  /** The hub that was cut off. */
  hub: HubProcess | undefined;
  private folder = '';

  private constructor(
    readonly signal: 'SIGKILL' | 'SIGSTOP',
    readonly fleet: Fleet,
  ) {}

  static async happen(signal: 'SIGKILL' | 'SIGSTOP'): Promise<Crash> {
    const apps = Object.fromEntries(CASES.map(({ app, endpoint }) => [app, endpoint]));
    const crash = new Crash(signal, await Fleet.start(apps, 2));
    try {
      await crash.runInto(await crash.prepare());
      return crash;
    } catch (error) {
      await crash.clear();
      throw error;
    }
  }

  /** How many values there were, ever, of that which is minted. */
  mintsOf({ app, endpoint, kind }: Case): number {
    return this.fleet.simulator.world.mints(Fleet.appid(app), kind === 'access-token' ? endpoint : 'jsapi');
  }

  /** Asks for a value, or for another one in its place; the answer in one text. */
  async ask({ path, isRotation }: Case, hub: HubProcess): Promise<string> {
    const { fleet, old } = this;
    try {
      const reply = await (isRotation ? fleet.rotate(path, old.get(path) ?? '', hub) : fleet.read(path, hub));
      return valueOf(reply) || `${reply.status} ${reply.text}`;
    } catch (error) {
      return String(error);
    }
  }

  async clear(): Promise<void> {
    await this.fleet.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Asks the hub for all that will be cut off. */
  private async runInto(hub: HubProcess): Promise<void> {
    const isHung = ({ moment }: Case): boolean => moment === 'unheard' || moment === 'unanswered';
    const begin = (some: readonly Case[]): void => {
      for (const each of some) this.late.set(each.path, this.ask(each, hub));
    };
    const hung = (): number => this.fleet.simulator.world.calls.filter(({ fault }) => fault === 'hang').length;
    begin(CASES.filter(isHung));
    await until(() => Promise.resolve(hung() === CASES.filter(isHung).length));
    begin(CASES.filter((each) => !isHung(each)));
    await hub.says(/All mints are held/);
  }

  /** Gets what there is to be before, sets the traps, and starts the hub that will run into them. */
  private async prepare(): Promise<HubProcess> {
    const { fleet, old } = this;
    const holds: Hold[] = [];
    for (const { app, path, endpoint, kind, api, name, isRotation, moment } of CASES) {
      const isTicket = kind !== 'access-token';
      const appid = Fleet.appid(app);
      const token = isRotation || isTicket ? await fleet.allServeOneLiveValue(`${app}/access-token`) : '';
      if (isRotation) old.set(path, token);
      // Another stable token is asked for in two steps: whether there is a better one, and then by force.
      const skip = name === 'stable-next' ? 1 : 0;
      const text = [api, isTicket ? token : appid, ...(skip ? ['"force_refresh":true'] : [])];
      if (moment === 'unsent') holds.push({ call: text });
      else if (moment === 'unwritten') holds.push({ commit: `weixin/${appid}/${endpoint}/${kind}` });
      else {
        const executed = moment === 'unanswered';
        fleet.simulator.world.faults.add({ kind: 'hang', executed, appid, path: api, skip, times: 1 });
      }
    }
    this.folder = mkdtempSync(join(tmpdir(), 'crash-'));
    const preload = join(this.folder, 'hold.cjs');
    writeFileSync(preload, PRELOAD);
    this.hub = fleet.launch({
      NODE_OPTIONS: `--require ${preload}`,
      HELD: JSON.stringify(holds),
      HELD_MAIN: fileURLToPath(import.meta.url),
      HELD_SIGNAL: this.signal,
    });
    await this.hub.listens();
    return this.hub;
  }
}

/** Whatever it was: the others soon serve one value that lives, and nobody who had one has noticed anything. */
async function expectOthersToRecover(crash: Crash): Promise<Readers> {
  const { fleet, signal, old } = crash;
  const readers = fleet.follow(...old.keys());
  const minted = CASES.map((each) => crash.mintsOf(each));
  const recovered = await Promise.all(
    CASES.map(async (each) => {
      const other = each.isRotation ? crash.ask(each, fleet.at(1)) : undefined;
      const unwanted = isRationed(each) ? undefined : old.get(each.path);
      const seconds = await secondsOf(fleet.allServeOneLiveValue(each.path, unwanted));
      await other;
      return { ...each, seconds };
    }),
  );
  expect(readers.complaints).toEqual([]);
  // One more at most, in the place of that which was cut off.
  for (const [i, each] of CASES.entries()) expect([0, 1]).toContain(crash.mintsOf(each) - (minted[i] ?? 0));
  for (const { name } of MINTS) {
    const some = recovered.filter((each) => each.name === name);
    noteFigures(`${signal} while minting: ${name}`, {
      worst_s: Math.max(...some.map(({ seconds }) => seconds)),
      failed_reads: readers.complaints.length,
      most_calls: Math.max(...some.map(({ app }) => fleet.calls(app))),
    });
  }
  return readers;
}

/** A forced refresh is rationed, whoever spent it: where none came to anything, the old value stays for a while. */
function isRationed({ name, moment }: Case): boolean {
  return name === 'stable-next' && (moment === 'unsent' || moment === 'unheard');
}

describe('a hub that is killed in the middle of its mints', () => {
  let crash: Crash;
  beforeAll(async () => {
    crash = await Crash.happen('SIGKILL');
  }, START_MS);
  afterAll(() => crash.clear());

  it('takes no value from anybody, and the others soon serve one that lives', async () => {
    await expectOthersToRecover(crash);
  }, 60_000);
});

describe('a hub that is stopped in the middle of its mints', () => {
  let crash: Crash;
  let readers: Readers;
  beforeAll(async () => {
    crash = await Crash.happen('SIGSTOP');
  }, START_MS);
  afterAll(() => crash.clear());

  it('takes no value from anybody, and the others soon serve one that lives', async () => {
    readers = await expectOthersToRecover(crash);
  }, 60_000);

  it('ends no value when it wakes up, writes nothing over, and serves what the others serve', async () => {
    const { fleet, hub, late } = crash;
    const { world } = fleet.simulator;
    const paths = CASES.map(({ path }) => path);
    // What asks harmlessly may be asked again by anybody: a ticket, and a stable token that is not forced.
    const harm = (): number => world.count('/cgi-bin/token') + world.calls.filter(({ forced }) => forced).length;
    const values = await Promise.all(paths.map((path) => fleet.allServeOneLiveValue(path)));
    const [minted, harmed, calls] = [CASES.map((each) => crash.mintsOf(each)), harm(), fleet.calls()];
    hub?.signal('SIGCONT');
    const answers = await Promise.all(paths.map((path) => late.get(path) ?? Promise.resolve('')));
    if (hub) fleet.hubs.push(hub);
    const present = Promise.all(paths.map((path) => fleet.allServeOneLiveValue(path)));
    const seconds = await secondsOf(present);
    expect(await present).toEqual(values);
    const isGiven = (_: string, place: number): boolean => !CASES.some((each, i) => i === place && isRationed(each));
    expect(answers.filter(isGiven)).toEqual(values.filter(isGiven));
    await readers.readOn(10);
    expect(readers.complaints).toEqual([]);
    expect([CASES.map((each) => crash.mintsOf(each)), harm()]).toEqual([minted, harmed]);
    noteFigures('SIGCONT after the lease', { worst_s: seconds, failed_reads: 0, calls: fleet.calls() - calls });
  }, 60_000);
});
