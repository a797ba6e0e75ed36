import { mkdtempSync, rmSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { BEARER, KEY, KID } from './client.js';
import { dawdle, Flood, GoodClient, HUGE_HEADER, type Latency, sendRaw } from './hostile.js';
import { COLLECTABLE, fromCheckout, Program } from './program.js';

const DAWDLERS = 500;
const BAD_TOKENS_PER_SECOND = 2000;
const HUGE_HEADERS = 20;
const ROTATIONS = 40;
const CALM_MS = 3000;

/** What hostile clients cost the hub, and the good ones beside them. */
export interface DoorFigures {
  readonly slow: { readonly connections: number; readonly closedSeconds: number; readonly latency: Latency };
  readonly hugeHeadersMb: number;
  readonly flood: {
    readonly perSecond: number;
    readonly latencyBefore: Latency;
    readonly latency: Latency;
    /** Of its second half, when the hub has had time to see what it is. */
    readonly latencyLate: Latency;
    readonly answers: ReadonlyMap<string, number>;
    readonly memoryMb: number;
  };
  readonly rotations: { readonly asked: number; readonly mints: number; readonly refused: number };
}

/** Measures a hub under slow connections, huge headers, a flood of bad tokens and a client that rotates in a loop. */
export async function door(floodSeconds: number): Promise<DoorFigures> {
  const folder = mkdtempSync(fromCheckout('build/bench-'));
  const wechat = await Program.start('build/bench/stand-ins.js', ['wechat']);
  const hub = await Program.start('dist/main.js', [], {
    ...COLLECTABLE,
    PORT: '0',
    WECHAT_API_ROOT: wechat.url,
    DATA_DIR: folder,
    APPID: 'wx0000000000000001',
    APPSECRET: 'no secret of anybody',
    [`JWT_KEY_${KID}`]: KEY,
  });
  const client = new GoodClient(`${hub.url}/access-token`);
  try {
    const rotations = await rotate(hub.url);
    await delay(CALM_MS);
    client.latency();
    await delay(CALM_MS);
    const latencyBefore = client.latency();
    const closed = await Promise.all(Array.from({ length: DAWDLERS }, (_, place) => dawdle(hub.url, place)));
    const slow = { connections: DAWDLERS, closedSeconds: Math.max(...closed), latency: client.latency() };

    const before = await hub.collectedMb();
    await Promise.all(Array.from({ length: HUGE_HEADERS }, () => sendRaw(hub.url, HUGE_HEADER)));
    const hugeHeadersMb = hub.residentMb() - before;

    client.latency();
    const calmMb = await hub.collectedMb();
    const flood = new Flood(hub.url, BAD_TOKENS_PER_SECOND);
    await delay(floodSeconds * 500);
    const latency = client.latency();
    await delay(floodSeconds * 500);
    const latencyLate = client.latency();
    flood.stop();
    // V8 gives back what it needed for so many at once when it has been calm for a while.
    await delay(CALM_MS);
    const memoryMb = (await hub.collectedMb()) - calmMb;
    await client.stop();
    const { answers } = flood;
    return {
      slow,
      hugeHeadersMb,
      flood: { perSecond: BAD_TOKENS_PER_SECOND, latencyBefore, latency, latencyLate, answers, memoryMb },
      rotations,
    };
  } finally {
    await hub.stop();
    await wechat.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function rotate(url: string): Promise<DoorFigures['rotations']> {
  const headers = { Authorization: BEARER };
  const read = async (query = ''): Promise<Response> => fetch(`${url}/access-token${query}`, { headers });
  let mints = 0;
  let refused = 0;
  for (let time = 0; time < ROTATIONS; time += 1) {
    const old = await (await read()).text();
    const rotated = await read(`?rotate_token=${old}`);
    if (rotated.status === 429) refused += 1;
    if ((await rotated.text()) !== old && rotated.status === 200) mints += 1;
  }
  return { asked: ROTATIONS, mints, refused };
}
