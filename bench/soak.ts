import { mkdtempSync, rmSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Simulator } from '../test/simulator/server.js';
import { BEARER, KEY, KID } from './client.js';
import { number } from './figures.js';
import { dawdle, Flood, GoodClient, HUGE_HEADER, opened, sendRaw } from './hostile.js';
import { COLLECTABLE, fromCheckout, Program } from './program.js';

/** The first part of the time is for caches to fill and code to be compiled; from then on the memory has to be flat. */
const WARM_PART = 0.2;
const LOOKS = 20;
const GROWTH_BAR = { mb: 15, part: 0.15 };
/** The connections that those who keep them have at the end: one for each habit, and a few. */
const HANDLES_BAR = 30;
/** Longer than the hub holds what dawdles, and an answer to a flood back. */
const CALM_MS = 12_000;
const DAWDLERS = 20;
const BAD_TOKENS_PER_SECOND = 100;
const APP = { appid: 'wx0000000000000001', secret: 'no secret of anybody' };

const { values: options } = parseArgs({ options: { minutes: { type: 'string', default: '10' } } });
const soakMs = Number(options.minutes) * 60_000;
if (!(soakMs > 0)) throw new Error('--minutes: a number is wanted');

/** What friends and strangers do, each over and over. */
const HABITS: Readonly<Record<string, (url: string, round: number) => Promise<unknown>>> = {
  'reads tickets': (url) => request(url, '/ticket?type=jsapi'),
  'has the version': async (url) => {
    const { headers } = await request(url, '/access-token');
    await request(url, '/access-token', { 'If-None-Match': headers.get('etag') ?? '' });
  },
  'rotates in a loop': async (url) => {
    const { text } = await request(url, '/access-token');
    await request(url, `/access-token?rotate_token=${text}`);
  },
  'reports what is old': (url, round) => post(url, '/apps/default/access-token/report', { version: round + 1 }),
  'signs pages': (url, round) => post(url, '/apps/default/jssdk-config', { url: `https://shop.example/${round}` }),
  watches: async (url) => {
    for (const path of ['/health/live', '/health/ready', '/metrics', '/openapi.json']) await request(url, path);
  },
  'asks for what is not there': (url, round) => request(url, `/nothing/${round}?${'x'.repeat(round % 3000)}`),
  'sends nonsense': (url, round) => sendRaw(url, `${'x'.repeat(round % 100)}\r\n\r\n`),
  'sends huge headers': (url) => sendRaw(url, HUGE_HEADER),
  'sends bodies with GET': (url) => sendRaw(url, 'GET / HTTP/1.1\r\nHost: hub\r\nContent-Length: 5\r\n\r\nhello'),
  'goes away before the answer': async (url) => {
    const socket = opened(url);
    socket.write(`GET /access-token HTTP/1.1\r\nHost: hub\r\nAuthorization: ${BEARER}\r\n\r\n`.repeat(10));
    await delay(1);
    socket.destroy();
  },
  'comes from everywhere': (url, round) =>
    request(url, '/access-token', {
      Authorization: `Bearer x.y.${round}`,
      'X-Forwarded-For': `10.${round % 7}.${round % 251}.${round % 241}`,
    }),
};

interface Answer {
  readonly headers: Headers;
  readonly text: string;
}

async function request(
  url: string,
  path: string,
  headers: Readonly<Record<string, string>> = {},
  body?: object,
): Promise<Answer> {
  const response = await fetch(url + path, {
    headers: { Authorization: BEARER, ...headers },
    ...(body && { method: 'POST', body: JSON.stringify(body) }),
  });
  return { headers: response.headers, text: await response.text() };
}

const post = (url: string, path: string, body: object): Promise<Answer> => request(url, path, {}, body);

/** Lets everybody do what they do until it is over, with a pause after each time. */
function live(url: string, isOver: () => boolean): Promise<unknown> {
  const keepOn = async (habit: (round: number) => Promise<unknown>): Promise<void> => {
    for (let round = 0; !isOver(); round += 1) {
      await habit(round);
      await delay(50);
    }
  };
  return Promise.all([
    ...Object.values(HABITS).map((habit) => keepOn((round) => habit(url, round))),
    ...Array.from({ length: DAWDLERS }, (_, place) => keepOn(() => dawdle(url, place))),
  ]);
}

const folder = mkdtempSync(fromCheckout('build/soak-'));
const simulator = await Simulator.start();
simulator.world.account({ ...APP, kind: 'official-account' });
const hub = await Program.start('dist/main.js', [], {
  ...COLLECTABLE,
  PORT: '0',
  WECHAT_API_ROOT: simulator.url,
  DATA_DIR: folder,
  APPID: APP.appid,
  APPSECRET: APP.secret,
  [`JWT_KEY_${KID}`]: KEY,
  TRUST_PROXY: '127.0.0.1',
});
const say = (text: string): void => void process.stdout.write(`${text}\n`);
try {
  const handlesBefore = hub.handles;
  const startedAt = performance.now();
  const elapsed = (): number => performance.now() - startedAt;
  const client = new GoodClient(`${hub.url}/access-token`);
  const flood = new Flood(hub.url, BAD_TOKENS_PER_SECOND);
  let isOver = false;
  const lives = live(hub.url, () => isOver);
  /** Resident when V8 has cleared away what it could, at each look from the end of the beginning on. */
  const inUseMb: number[] = [];
  while (elapsed() < soakMs) {
    await delay(soakMs / LOOKS);
    const { median, p99 } = client.latency();
    const [residentMb, { handles }] = [hub.residentMb(), hub];
    const collectedMb = await hub.collectedMb();
    if (elapsed() > soakMs * WARM_PART) inUseMb.push(collectedMb);
    say(
      `${number(elapsed() / 60_000, 1).padStart(5)} min  ${number(residentMb).padStart(4)} MB, of which in use ${number(collectedMb)} MB  ` +
        `${number(handles).padStart(4)} handles  ${number(median, 1)} ms (99 of 100: ${number(p99, 1)} ms)`,
    );
    simulator.world.clearCalls();
  }
  isOver = true;
  flood.stop();
  await Promise.all([lives, client.stop()]);
  await delay(CALM_MS);
  const [warmMb = NaN] = inUseMb;
  const endMb = inUseMb.at(-1) ?? NaN;
  const handles = hub.handles - handlesBefore;
  const mostMb = warmMb + Math.max(GROWTH_BAR.mb, warmMb * GROWTH_BAR.part);
  const isFlat = endMb <= mostMb && handles <= HANDLES_BAR;
  say(
    `In use after the beginning: ${number(warmMb, 1)} MB, at the end: ${number(endMb, 1)} MB, bar ${number(mostMb, 1)} MB.`,
  );
  say(`Handles more than at the start, when all is calm: ${handles}, bar ${HANDLES_BAR}.`);
  say(isFlat ? 'Flat.' : 'NOT FLAT.');
  process.exitCode = isFlat ? 0 : 1;
} finally {
  await hub.stop();
  await simulator.stop();
  rmSync(folder, { recursive: true, force: true });
}
