import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Burst, load, type Round } from './burst.js';
import { ask, BEARER, bearerOf, KEY, keyOf, KID, kidOf } from './client.js';
import { type Spread, spread } from './figures.js';
import { fromCheckout, Program } from './program.js';

/** With a token that is new on each request, there is one of so many clients that shows it. */
const CLIENTS = 1000;
const HOT_CLIENTS = 3;
/** Every other case is compared with the bare server, which is asked again after so many of them. */
const BARE_EVERY = 4;
const TEXT = '/access-token';
const JSON_PATH = '/apps/default/access-token';

/** How long it is measured: in rounds, each of so many seconds for a case. */
export interface Extent {
  readonly rounds: number;
  readonly seconds: number;
  /** Where every request shows another token, which are made beforehand. */
  readonly requests: number;
}

/** What one kind of request costs a server. */
export interface Cost {
  readonly what: Case;
  /** Processor time of the server per request, by the operating system's account. */
  readonly cpuMicroseconds: Spread;
  /** The same as a multiple of bare node:http's in the same round. */
  readonly timesBare: Spread;
  /** The same as a multiple of the hub's for a token as text, given to those who ask alike: each time anew, or not. */
  readonly timesHandOut: Spread;
  readonly requestsPerSecond: Spread;
}

/** What is compared, by the name that a reader sees. */
export const CASES = {
  bare: 'bare node:http, a constant',
  bareFresh: 'bare node:http, each JWT new',
  express: 'plain Express 5, a constant',
  unaudited: 'hub without audit, token as text',
  text: 'hub, token as text',
  json: 'hub, token as JSON',
  ticket: 'hub, ticket as text',
  known: 'hub, 304: the client has it',
  hot: `hub, ${HOT_CLIENTS} clients by turns`,
  fresh: `hub, ${CLIENTS.toLocaleString('en')} clients, each JWT new`,
  same: 'hub, 401: a bad token again and again',
  others: 'hub, 401: each bad token new',
  everywhere: 'hub, 401: … and each from elsewhere',
} as const;
export type Case = keyof typeof CASES;
/** Those in which no token comes twice. */
const ALWAYS_NEW: ReadonlySet<Case> = new Set<Case>(['fresh', 'others', 'everywhere']);

/**
 * Measures what it costs to hand a credential out, against a server that does nothing else and knows nobody. Of the hub
 * everything is on that is on in production: audit, metrics, request ids. Rounds take turns, so that whatever else the
 * machine does strikes all alike.
 *
 * @param cases those that are wanted; the bare server is always among them.
 * @param tell hears how far it is.
 */
export async function handOut(
  { rounds, seconds, requests }: Extent,
  cases: readonly Case[] = Object.keys(CASES) as Case[],
  tell: (progress: string) => void = () => undefined,
): Promise<Cost[]> {
  const cast = new Cast();
  try {
    const bare: Target = {
      what: 'bare',
      program: await cast.get('bare'),
      burst: burstFor('bare', seconds, 0)[1],
      rounds: [],
    };
    const targets: Target[] = [];
    const wanted = new Set<Case>(cases.some((what) => ALWAYS_NEW.has(what)) ? ['bareFresh', ...cases] : cases);
    for (const what of wanted) {
      if (what === 'bare') continue;
      const [name, burst] = burstFor(what, seconds, requests);
      const program = await cast.get(name);
      const headers = burst.status === 304 ? { 'If-None-Match': await versionAt(program, burst.path) } : {};
      targets.push({ what, program, burst: { ...burst, headers }, rounds: [] });
    }
    // The first one is for the compiler.
    for (let round = 0; round <= rounds; round += 1) {
      tell(round === 0 ? 'warming up' : `round ${round} of ${rounds}`);
      const ofBare: Round[] = [];
      for (const [place, target] of targets.entries()) {
        if (place % BARE_EVERY === 0) ofBare.push(await load(bare.program, bare.burst));
        const result = await load(target.program, target.burst);
        if (round > 0) target.rounds.push(result);
      }
      if (round > 0) bare.rounds.push(medianOf(ofBare));
    }
    const all = [bare, ...targets];
    return all.map((target) => costOf(target, all));
  } finally {
    await cast.leave();
  }
}

function medianOf(rounds: readonly Round[]): Round {
  return {
    cpuMicroseconds: spread(rounds.map(({ cpuMicroseconds }) => cpuMicroseconds)).median,
    requestsPerSecond: spread(rounds.map(({ requestsPerSecond }) => requestsPerSecond)).median,
  };
}

interface Target {
  readonly what: Case;
  readonly program: Program;
  readonly burst: Burst;
  readonly rounds: Round[];
}

function costOf({ what, rounds }: Target, targets: readonly Target[]): Cost {
  const cpuTimesThatOf = (other: Case): Spread => {
    const others = targets.find((target) => target.what === other)?.rounds ?? [];
    return spread(
      rounds.map(({ cpuMicroseconds }, round) => cpuMicroseconds / (others[round]?.cpuMicroseconds ?? NaN)),
    );
  };
  return {
    what,
    cpuMicroseconds: spread(rounds.map(({ cpuMicroseconds }) => cpuMicroseconds)),
    // Like with like: who asks with another token each time asks at another pace, and that costs the bare server, too.
    timesBare: cpuTimesThatOf(ALWAYS_NEW.has(what) ? 'bareFresh' : 'bare'),
    timesHandOut: cpuTimesThatOf(ALWAYS_NEW.has(what) ? 'fresh' : 'text'),
    requestsPerSecond: spread(rounds.map(({ requestsPerSecond }) => requestsPerSecond)),
  };
}

/** The servers that are asked, each started when it is wanted. */
class Cast {
  private readonly folder = mkdtempSync(fromCheckout('build/bench-'));
  private readonly running = new Map<string, Program>();
  private readonly ways = {
    bare: () => Program.start('build/bench/stand-ins.js', ['bare']),
    express: () => Program.start('build/bench/stand-ins.js', ['express']),
    wechat: () => Program.start('build/bench/stand-ins.js', ['wechat']),
    unaudited: () => this.hub('unaudited'),
    hub: () => this.hub('hub', audited(join(this.folder, 'hub.jsonl'))),
    // Each of its own: who has seen a flood looks closer at every request, and one from everywhere comes by a proxy.
    flooded: () => this.hub('flooded', audited(join(this.folder, 'flooded.jsonl'))),
    besieged: () => this.hub('besieged', { ...audited(join(this.folder, 'besieged.jsonl')), TRUST_PROXY: '127.0.0.1' }),
  };

  async get(name: Server | 'wechat'): Promise<Program> {
    const program = this.running.get(name) ?? (await this.ways[name]());
    this.running.set(name, program);
    return program;
  }

  async leave(): Promise<void> {
    await Promise.all([...this.running.values()].map((program) => program.stop()));
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** A hub with one app, and with as many clients as there may be who show a new token each time. */
  private async hub(name: string, more: Readonly<Record<string, string>> = {}): Promise<Program> {
    const { url } = await this.get('wechat');
    const places = Array.from({ length: CLIENTS }, (_, place) => place);
    const clients = places.map((place) => [kidOf(place), { key: { env: `CLIENT_KEY_${place}` }, apps: '*' }]);
    // In a folder of its own, as it is in production: the hub watches that, and would be told of each record of the audit.
    const configuration = join(mkdtempSync(join(this.folder, 'configuration-')), 'hub.json');
    writeFileSync(configuration, JSON.stringify({ clients: Object.fromEntries(clients) as object }));
    const hub = await Program.start('dist/main.js', [], {
      PORT: '0',
      WECHAT_API_ROOT: url,
      DATA_DIR: join(this.folder, name),
      HUB_CONFIG: configuration,
      APPID: 'wx0000000000000001',
      APPSECRET: 'no secret of anybody',
      [`JWT_KEY_${KID}`]: KEY,
      ...Object.fromEntries(places.map((place) => [`CLIENT_KEY_${place}`, keyOf(place)])),
      ...more,
    });
    // The first read of a path goes another way than all others.
    await ask(hub.url + TEXT);
    return hub;
  }
}

type Server = 'bare' | 'express' | 'unaudited' | 'hub' | 'flooded' | 'besieged';

function audited(file: string): Record<string, string> {
  return { AUDIT_FILE: file, AUDIT_KEY: randomBytes(32).toString('base64') };
}

/** Who is asked for what, how long or how often. */
function burstFor(what: Case, seconds: number, requests: number): readonly [Server, Burst] {
  const [span, each] = [{ seconds }, { requests }];
  const hot = Array.from({ length: HOT_CLIENTS }, (_, place) => bearerOf(kidOf(place), keyOf(place)));
  const refused = { path: TEXT, status: 401 };
  const bursts: Readonly<Record<Case, readonly [Server, Burst]>> = {
    bare: ['bare', { path: TEXT, extent: span }],
    bareFresh: ['bare', { path: TEXT, tokens: { kind: 'fresh', clients: CLIENTS }, extent: each }],
    express: ['express', { path: TEXT, extent: span }],
    unaudited: ['unaudited', { path: TEXT, extent: span }],
    text: ['hub', { path: TEXT, extent: span }],
    json: ['hub', { path: JSON_PATH, extent: span }],
    ticket: ['hub', { path: '/ticket?type=jsapi', extent: span }],
    known: ['hub', { path: JSON_PATH, status: 304, extent: span }],
    hot: ['hub', { path: TEXT, tokens: { kind: 'these', authorizations: hot }, extent: span }],
    fresh: ['hub', { path: TEXT, tokens: { kind: 'fresh', clients: CLIENTS }, extent: each }],
    same: ['flooded', { ...refused, tokens: { kind: 'these', authorizations: [BAD] }, extent: span }],
    others: ['besieged', { ...refused, tokens: { kind: 'forged' }, extent: each }],
    everywhere: ['besieged', { ...refused, tokens: { kind: 'forged, from everywhere' }, extent: each }],
  };
  return bursts[what];
}

/** A token of the right form that is nobody's. */
const BAD = `${BEARER.slice(0, -1)}${BEARER.endsWith('A') ? 'E' : 'A'}`;

async function versionAt({ url }: Program, path: string): Promise<string> {
  const { headers } = await fetch(url + path, { headers: { Authorization: BEARER } });
  return headers.get('etag') ?? '';
}
