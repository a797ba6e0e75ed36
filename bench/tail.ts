import { randomBytes } from 'node:crypto';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fire, type Outcome } from './burst.js';
import { ask, BEARER, bearerOf, KEY, keyOf, KID, kidOf } from './client.js';
import { type Spread, spread } from './figures.js';
import { COLLECTABLE, fromCheckout, Program } from './program.js';

const PATH = '/access-token';
/** Few enough that an answer waits for the hub and hardly for other answers. */
const READERS = 8;
/** As long as a WeChat that takes its time. */
const QUIET_MS = 1000;
const HERD = 200;
/** In the configuration that is read anew. */
const CLIENTS = 1000;
const LOOK_MS = 10;
const RELOAD_PATIENCE_MS = 10_000;

/** How long reads take while something else goes on. */
export interface Tail {
  readonly meanwhile: string;
  /** Milliseconds. */
  readonly median: Spread;
  readonly p99: Spread;
  readonly most: Spread;
  /** As multiples of the same when nothing else goes on, in the same round. */
  readonly timesMedian: Spread;
  readonly timesP99: Spread;
}

/** What clients notice of what the hub has to do besides. */
export interface TailFigures {
  readonly tails: readonly Tail[];
  readonly herd: {
    readonly clients: number;
    /** To WeChat, in each round. */
    readonly calls: Spread;
    /** From the first rotation that is asked for until everybody has the new value, beyond the second that WeChat takes. */
    readonly addedMs: Spread;
  };
}

/** Measures reads of a hub whose WeChat takes a second to answer: in quiet, and while the hub has something else to do. */
export async function tail(rounds: number, tell: (progress: string) => void): Promise<TailFigures> {
  const folder = mkdtempSync(fromCheckout('build/bench-'));
  const wechat = await Program.start('build/bench/stand-ins.js', ['slow-wechat']);
  const configuration = new Configuration(mkdtempSync(join(folder, 'configuration-')));
  const hub = await Program.start('dist/main.js', [], {
    ...configuration.environment,
    ...COLLECTABLE,
    PORT: '0',
    WECHAT_API_ROOT: wechat.url,
    DATA_DIR: join(folder, 'data'),
    APPID: 'wx0000000000000001',
    APPSECRET: 'no secret of anybody',
    [`JWT_KEY_${KID}`]: KEY,
    AUDIT_FILE: join(folder, 'audit.jsonl'),
    AUDIT_KEY: randomBytes(32).toString('base64'),
    ROTATION_BURST: '1000',
  });
  const herd = new Herd(hub.url + PATH, wechat.url);
  const events: Readonly<Record<string, () => Promise<unknown>>> = {
    nothing: () => delay(QUIET_MS),
    'WeChat is asked for another token': () => herd.rotate(1),
    [`${HERD} clients rotate the same token`]: () => herd.rotate(HERD),
    'the configuration is read anew': () => configuration.change(hub.url + PATH),
    'all garbage is collected, twice': () => Promise.all([delay(QUIET_MS), hub.heapMb()]),
  };
  const results = Object.entries(events).map(([meanwhile, happen]) => ({ meanwhile, happen, rounds: [] as Outcome[] }));
  try {
    await ask(hub.url + PATH);
    // The first one is for the compiler.
    for (let round = 0; round <= rounds; round += 1) {
      tell(round === 0 ? 'warming up' : `round ${round} of ${rounds}`);
      for (const { happen, rounds } of results) {
        const outcome = await fire(hub, { path: PATH, connections: READERS, extent: 'until told' }, happen);
        if (round > 0) rounds.push(outcome);
      }
      if (round === 0) herd.forget();
    }
    const quiet = results[0]?.rounds ?? [];
    return {
      tails: results.map(({ meanwhile, rounds }) => tailOf(meanwhile, rounds, quiet)),
      herd: { clients: HERD, calls: spread(herd.calls), addedMs: spread(herd.addedMs) },
    };
  } finally {
    herd.disperse();
    await Promise.all([hub.stop(), wechat.stop()]);
    rmSync(folder, { recursive: true, force: true });
  }
}

function tailOf(meanwhile: string, rounds: readonly Outcome[], quiet: readonly Outcome[]): Tail {
  const figures = (of: (outcome: Outcome) => number): Spread => spread(rounds.map(of));
  const ratios = (of: (outcome: Outcome) => number): Spread =>
    spread(rounds.map((outcome, round) => of(outcome) / (quiet[round] ? of(quiet[round]) : NaN)));
  return {
    meanwhile,
    median: figures(({ latency }) => latency.median),
    p99: figures(({ latency }) => latency.p99),
    most: figures(({ latency }) => latency.most),
    timesMedian: ratios(({ latency }) => latency.median),
    timesP99: ratios(({ latency }) => latency.p99),
  };
}

/** Clients that all want another token than the one that they have, at once. */
class Herd {
  calls: number[] = [];
  addedMs: number[] = [];
  private readonly agent = new Agent({ keepAlive: true });

  constructor(
    private readonly address: string,
    private readonly wechat: string,
  ) {}

  /** Lets so many rotate. @throws Error unless all get the same one, another one than before. */
  async rotate(clients: number): Promise<void> {
    const old = await this.read(this.address);
    const callsBefore = await this.callsSoFar();
    const startedAt = performance.now();
    const rotating = `${this.address}?rotate_token=${old}`;
    const values = await Promise.all(Array.from({ length: clients }, () => this.read(rotating)));
    const tookMs = performance.now() - startedAt;
    const [value, ...others] = new Set(values);
    if (others.length > 0 || value === old) throw new Error('a rotation did not give all the same new token');
    if (clients !== HERD) return;
    this.calls.push((await this.callsSoFar()) - callsBefore);
    this.addedMs.push(tookMs - (await this.answerMs()));
  }

  /** What was until now does not count. */
  forget(): void {
    [this.calls, this.addedMs] = [[], []];
  }

  disperse(): void {
    this.agent.destroy();
  }

  private async callsSoFar(): Promise<number> {
    return Number(await this.read(`${this.wechat}/calls`));
  }

  private async answerMs(): Promise<number> {
    return Number(await this.read(`${this.wechat}/answer-ms`));
  }

  private read(address: string): Promise<string> {
    return new Promise((resolve, reject) => {
      get(address, { agent: this.agent, headers: { Authorization: BEARER } }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        response.once('end', () => {
          if (response.statusCode === 200) resolve(text);
          else reject(new Error(`${String(response.statusCode)} ${text}`));
        });
      }).once('error', reject);
    });
  }
}

/** The configuration of a hub with many clients, of which the newest is replaced from time to time. */
class Configuration {
  private version = 0;
  private readonly keys = Object.fromEntries(
    Array.from({ length: CLIENTS }, (_, place) => [`CLIENT_KEY_${place}`, keyOf(place)]),
  );

  private readonly path: string;

  /** @param folder of its own: the hub watches it. */
  constructor(folder: string) {
    this.path = join(folder, 'hub.json');
    this.write();
  }

  get environment(): Readonly<Record<string, string>> {
    return { ...this.keys, NEWEST_KEY: keyOf(CLIENTS), HUB_CONFIG: this.path };
  }

  /** Replaces the file until that has taken a while, and waits each time until the new version is in force. */
  async change(address: string): Promise<void> {
    const startedAt = performance.now();
    while (performance.now() - startedAt < QUIET_MS) {
      this.version += 1;
      this.write();
      await this.isInForce(address);
    }
  }

  private async isInForce(address: string): Promise<void> {
    const patience = AbortSignal.timeout(RELOAD_PATIENCE_MS);
    const headers = { Authorization: bearerOf(this.newest, keyOf(CLIENTS)) };
    for (;;) {
      const { ok } = await fetch(address, { headers, signal: patience });
      if (ok) return;
      await delay(LOOK_MS);
    }
  }

  private get newest(): string {
    return `newest-${this.version}`;
  }

  private write(): void {
    const clients = Array.from({ length: CLIENTS }, (_, place) => [
      kidOf(place),
      { key: { env: `CLIENT_KEY_${place}` }, apps: '*' },
    ]);
    const newest = [this.newest, { key: { env: 'NEWEST_KEY' }, apps: '*' }];
    const text = JSON.stringify({ clients: Object.fromEntries([...clients, newest]) as object });
    writeFileSync(`${this.path}.new`, text);
    renameSync(`${this.path}.new`, this.path);
  }
}
