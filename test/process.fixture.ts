import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Environment } from '../src/config/secret-reader.js';
import { ask, type Asking, type Reply, WEB_KEY } from './hub.fixture.js';
import { RedisServer, until } from './redis.fixture.js';
import { Simulator } from './simulator/server.js';

/** The built hub: these stories are about the very thing that is shipped. */
const MAIN = fileURLToPath(new URL('../dist/main.js', import.meta.url));
const START_PATIENCE_MS = 30_000;
/** Where it is written how long things took that were seen to happen. */
const TIMES = fileURLToPath(new URL('../build/fleet-times.json', import.meta.url));
/** Whatever died, all hubs serve one live value again within this. */
export const RECOVERY_MS = 30_000;
/** How often a client of a story asks. */
const PACE_MS = 50;

/** How a process ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** The built hub as a process of its own, with nothing in its environment but what it is given. */
export class HubProcess {
  readonly exited: Promise<Exit>;
  private text = '';

  private constructor(private readonly child: ChildProcess) {
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (chunk: string) => (this.text += chunk));
    }
    this.exited = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        resolve({ code, signal });
      });
    });
  }

  /** Starts it without waiting for anything. `wrapper` is a command in front, as `['bash', '-c', …, '--']`. */
  static launch(environment: Environment, wrapper: readonly string[] = []): HubProcess {
    const args = [...wrapper, process.execPath, MAIN];
    const command = args.shift() ?? process.execPath;
    const env = { PATH: process.env['PATH'], ...environment };
    return new HubProcess(spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] }));
  }

  /** Starts it and waits until it listens. */
  static async start(environment: Environment, wrapper?: readonly string[]): Promise<HubProcess> {
    const hub = HubProcess.launch(environment, wrapper);
    await hub.listens();
    return hub;
  }

  /** Waits until it listens. */
  listens(): Promise<void> {
    return this.says(/Listening on port \d+/, START_PATIENCE_MS);
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get url(): string {
    return `http://127.0.0.1:${/Listening on port (\d+)/.exec(this.text)?.[1] ?? '0'}`;
  }

  /** Everything it has printed so far. */
  get output(): string {
    return this.text;
  }

  /** Waits until it has printed something that matches. */
  async says(pattern: RegExp, patienceMs = 5000): Promise<void> {
    const patience = AbortSignal.timeout(patienceMs);
    while (!pattern.test(this.text)) {
      if (patience.aborted || this.child.exitCode !== null) {
        throw new Error(`the hub did not say ${String(pattern)}; it said:\n${this.text}`);
      }
      await Promise.race([once(this.child.stdout ?? this.child, 'data', { signal: patience }), this.exited]).catch(
        () => undefined,
      );
    }
  }

  /** Takes no more of what it prints, as a collector of logs does that hangs. */
  stopListening(): void {
    this.child.stdout?.pause();
  }

  /** Takes it again, with what has piled up. */
  listenAgain(): void {
    this.child.stdout?.resume();
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Ends it at once, if it still runs. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.exited;
  }
}

/** A small disk of its own, in memory, that a test can fill. Mounting one takes rights that not everybody has. */
export class SmallDisk {
  /** @param place a folder that is there; mounting over it hides what is in it. */
  constructor(private readonly place: string) {}

  /** Whether a test may have one: a container may not leave even root the right. */
  static isToBeHad(): boolean {
    const place = mkdtempSync(join(tmpdir(), 'disk-probe-'));
    const disk = new SmallDisk(place);
    try {
      disk.mount();
      disk.unmount();
      return true;
    } catch {
      return false;
    } finally {
      rmSync(place, { recursive: true, force: true });
    }
  }

  /** @throws if there is none to be had. */
  mount(...options: readonly string[]): void {
    const more = options.length === 0 ? [] : ['-o', options.join(',')];
    const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', ...more, 'tmpfs', this.place], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`no disk for the test: ${stderr}`);
  }

  unmount(): void {
    spawnSync('umount', [this.place]);
  }

  /** Writes until nothing more goes onto it. */
  fill(): void {
    const file = openSync(this.filler, 'a');
    try {
      for (;;) writeSync(file, Buffer.alloc(4096));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    } finally {
      closeSync(file);
    }
  }

  /** Makes room again. */
  clear(): void {
    rmSync(this.filler);
  }

  private get filler(): string {
    return join(this.place, 'filler');
  }
}

/** The apps of a fleet by name, each with the endpoint that its token comes from. */
export type FleetApps = Readonly<Record<string, 'classic' | 'stable'>>;

/** Built hubs on a Redis of their own, against one simulated WeChat, which knows the truth about what they serve. */
export class Fleet {
  /** Those that are asked. */
  readonly hubs: HubProcess[] = [];
  private readonly launched: HubProcess[] = [];
  private readonly followed: Readers[] = [];

  private constructor(
    readonly simulator: Simulator,
    readonly redis: RedisServer,
    private readonly folder: string,
    private readonly environment: Environment,
  ) {}

  /**
   * @param redis the server that they share, or one that knows it; absent, one of their own.
   * @param url by which they find it.
   */
  static async start(apps: FleetApps, hubs = 3, redis?: RedisServer, url?: string): Promise<Fleet> {
    const simulator = await Simulator.start();
    redis ??= await RedisServer.start();
    const folder = mkdtempSync(join(tmpdir(), 'fleet-'));
    const secret = 'fleet-secret-5b1d9c7e3f8a2046';
    for (const name of Object.keys(apps)) {
      simulator.world.account({ appid: Fleet.appid(name), secret, kind: 'official-account' });
    }
    const written = Object.entries(apps).map(([name, endpoint]) => [
      name,
      { platform: 'official-account', appid: Fleet.appid(name), secret: { env: 'SECRET' }, endpoint },
    ]);
    const config = join(folder, 'hub.json');
    writeFileSync(config, JSON.stringify({ apps: Object.fromEntries(written) as unknown }));
    const fleet = new Fleet(simulator, redis, folder, {
      PORT: '0',
      WECHAT_API_ROOT: simulator.url,
      REDIS_URL: url ?? redis.url,
      HUB_CONFIG: config,
      SECRET: secret,
      JWT_KEY_web: WEB_KEY,
      ROTATION_BURST: '100',
    });
    try {
      await Promise.all(Array.from({ length: hubs }, () => fleet.join()));
    } catch (error) {
      await fleet.stop();
      throw error;
    }
    return fleet;
  }

  /** The appid of the app with that name. */
  static appid(app: string): string {
    return `wx-${app}`;
  }

  /** Starts a hub without waiting for anything, and asks it nothing. */
  launch(more: Environment = {}): HubProcess {
    const hub = HubProcess.launch({ ...this.environment, ...more });
    this.launched.push(hub);
    return hub;
  }

  /** Starts one more hub, and asks it too when it listens. */
  async join(more: Environment = {}): Promise<HubProcess> {
    const hub = this.launch(more);
    await hub.listens();
    this.hubs.push(hub);
    return hub;
  }

  /** Asks a hub no more. */
  leave(hub: HubProcess): void {
    this.hubs.splice(this.hubs.indexOf(hub), 1);
  }

  /** The hub at this place, counted around. */
  at(place: number): HubProcess {
    const hub = this.hubs[place % this.hubs.length];
    if (!hub) throw new Error('the fleet has no hub');
    return hub;
  }

  /** @param path of a credential: the app, and what of it, as in `shop/access-token`. */
  read(path: string, hub = this.at(0), init: Asking = {}): Promise<Reply> {
    return ask(`${hub.url}/apps/${path}`, init);
  }

  /** Asks for another access token than this one. */
  rotate(path: string, old: string, hub = this.at(0)): Promise<Reply> {
    return this.read(`${path}?rotate_token=${old}`, hub);
  }

  /** What each hub answers. */
  readAll(path: string): Promise<Reply[]> {
    return Promise.all(this.hubs.map((hub) => this.read(path, hub)));
  }

  ready(hub: HubProcess): Promise<Reply> {
    return ask(`${hub.url}/health/ready`, { token: null });
  }

  /** How often WeChat was asked for something, for one app or for all. */
  calls(app?: string): number {
    const { calls } = this.simulator.world;
    return app === undefined ? calls.length : calls.filter(({ appid }) => appid === Fleet.appid(app)).length;
  }

  /** Whether WeChat accepts a value and will not end it: it is the last one it gave. */
  isLive(value: string): boolean {
    const { accepted, current } = this.simulator.world.verdict(value);
    return accepted && current;
  }

  /**
   * Waits until all hubs serve the same value, the live one.
   * @param old another one than this.
   * @throws when that takes longer than was promised.
   */
  async allServeOneLiveValue(path: string, old?: string, patienceMs = RECOVERY_MS): Promise<string> {
    const patience = performance.now() + patienceMs;
    for (;;) {
      const replies = await this.readAll(path);
      const [value = '', ...others] = new Set(replies.map(valueOf));
      if (others.length === 0 && value !== old && this.isLive(value)) return value;
      if (performance.now() > patience) {
        const seen = replies.map((reply) => `${reply.status} ${valueOf(reply) || reply.text}`).join('; ');
        throw new Error(`${path}: there is no one live value: ${seen}`);
      }
      await delay(PACE_MS);
    }
  }

  /** Rotates a token, again and again until it is done; then all serve the new one. */
  async rotated(path: string, old: string): Promise<string> {
    await until(async () => (await this.rotate(path, old)).status === 200, RECOVERY_MS);
    return this.allServeOneLiveValue(path, old);
  }

  /** Lets clients read these, over and over, for as long as the story goes on. */
  follow(...paths: readonly string[]): Readers {
    const readers = new Readers(this, paths);
    this.followed.push(readers);
    return readers;
  }

  async stop(): Promise<void> {
    await Promise.all(this.launched.map((hub) => hub.kill()));
    await Promise.all(this.followed.map((readers) => readers.stop()));
    await this.redis.stop();
    await this.simulator.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Clients that read on, from each hub in turn: for as long as there is a usable value, they want to notice nothing. */
export class Readers {
  /** What was not as promised: a failure, a dead value, a version that fell. */
  readonly complaints: string[] = [];
  reads = 0;
  private isOver = false;
  private readonly done: Promise<unknown>;

  constructor(
    private readonly fleet: Fleet,
    paths: readonly string[],
  ) {
    this.done = Promise.all(paths.map((path) => this.keepReading(path)));
  }

  async stop(): Promise<void> {
    this.isOver = true;
    await this.done;
  }

  /** Waits until each hub was asked so often from now on. */
  async readOn(times: number): Promise<void> {
    const enough = this.reads + times * this.fleet.hubs.length;
    await until(() => Promise.resolve(this.reads >= enough), RECOVERY_MS);
  }

  private async keepReading(path: string): Promise<void> {
    const versions = new Map<HubProcess, number>();
    for (let turn = 0; !this.isOver; turn += 1) {
      const hub = this.fleet.at(turn);
      try {
        const reply = await this.fleet.read(path, hub);
        const version = Number(reply.json['version']);
        if (reply.status !== 200) this.complaints.push(`${path}: ${reply.status} ${reply.text}`);
        else if (!this.fleet.simulator.world.verdict(valueOf(reply)).accepted) this.complaints.push(`${path}: dead`);
        else if (version < (versions.get(hub) ?? 0)) this.complaints.push(`${path}: back to version ${version}`);
        versions.set(hub, version);
      } catch (error) {
        this.complaints.push(`${path}: ${String(error)}`);
      }
      this.reads += 1;
      await delay(PACE_MS);
    }
  }
}

/** The access token or ticket of an answer; empty if it has none. */
export function valueOf({ json }: Reply): string {
  const value = json['access_token'] ?? json['ticket'];
  return typeof value === 'string' ? value : '';
}

/** Measures a wait, in seconds. */
export async function secondsOf(wait: Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await wait;
  return Math.round((performance.now() - startedAt) / 10) / 100;
}

/** Writes down what a story came to, for those who want to know what to expect. */
export function noteFigures(story: string, figures: Readonly<Record<string, number>>): void {
  mkdirSync(join(TIMES, '..'), { recursive: true });
  let before: object = {};
  try {
    before = JSON.parse(readFileSync(TIMES, 'utf8')) as object;
  } catch {
    // The first one.
  }
  writeFileSync(TIMES, `${JSON.stringify({ ...before, [story]: figures }, undefined, 2)}\n`);
}
