import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { BEARER, KEY, KID } from './client.js';
import { type Spread, spread } from './figures.js';
import { fromCheckout, Program } from './program.js';

const SECRET = `wths_${'0'.repeat(48)}`;
const APPID = 'wx0000000000000001';
const PATH = '/cgi-bin/user/get';
const LARGE_BYTES = 10_000_000;

/** How long one way of calling WeChat takes, in milliseconds. */
export interface Way {
  readonly way: string;
  readonly milliseconds: Spread;
  /** At the median, beyond a call that goes to WeChat itself. */
  readonly added: number;
}

/** What the gateway costs. */
export interface GatewayCost {
  readonly ways: readonly Way[];
  /** Of uploads of 10 MB, one after another. */
  readonly uploads: { readonly count: number; readonly memoryMb: number; readonly megabytesPerSecond: number };
}

/**
 * Measures what a call takes by the gateway, and what memory large ones take, against a WeChat that answers at once. The ways
 * take turns, call by call.
 */
export async function gateway(calls: number, uploads: number): Promise<GatewayCost> {
  const folder = mkdtempSync(fromCheckout('build/bench-'));
  const wechat = await Program.start('build/bench/stand-ins.js', ['wechat']);
  const configuration = join(folder, 'hub.json');
  const digest = `sha256:${createHash('sha256').update(SECRET).digest('hex')}`;
  const client = { key: { env: 'KEY' }, apps: '*', may: ['proxy'], secrets: { default: [digest] } };
  writeFileSync(configuration, JSON.stringify({ clients: { [KID]: client } }));
  const hub = await Program.start('dist/main.js', [], {
    ...{ PORT: '0', WECHAT_API_ROOT: wechat.url, DATA_DIR: folder, APPID, APPSECRET: 'no secret of anybody' },
    ...{ HUB_CONFIG: configuration, KEY },
  });
  const agent = new Agent({ keepAlive: true });
  try {
    const introduction = `grant_type=client_credential&appid=${APPID}&secret=${SECRET}`;
    const given = await call(agent, `${hub.url}/cgi-bin/token?${introduction}`);
    const { access_token: token } = JSON.parse(given) as { access_token: string };
    const ways: readonly (readonly [way: string, url: string])[] = [
      ['to WeChat itself', `${wechat.url}${PATH}?access_token=${token}`],
      ['by the gateway, with a virtual token', `${hub.url}${PATH}?access_token=${token}`],
      ['by the gateway, with a JWT', `${hub.url}/apps/default/wechat${PATH}`],
    ];
    const times = ways.map((): number[] => []);
    // The first hundred are for the compiler.
    for (let turn = -100; turn < calls; turn += 1) {
      for (const [i, [, url]] of ways.entries()) {
        const startedAt = performance.now();
        await call(agent, url);
        if (turn >= 0) times[i]?.push(performance.now() - startedAt);
      }
    }
    const spreads = times.map(spread);
    const upload = (): Promise<string> => call(agent, `${hub.url}${PATH}?access_token=${token}`, LARGE_BYTES);
    await upload();
    const before = hub.residentMb('most');
    const startedAt = performance.now();
    for (let i = 0; i < uploads; i += 1) await upload();
    const seconds = (performance.now() - startedAt) / 1000;
    return {
      ways: ways.map(([way], i) => {
        const milliseconds = spreads[i] ?? spread([]);
        return { way, milliseconds, added: milliseconds.median - (spreads[0]?.median ?? NaN) };
      }),
      uploads: {
        count: uploads,
        memoryMb: hub.residentMb('most') - before,
        megabytesPerSecond: (uploads * LARGE_BYTES) / 1e6 / seconds,
      },
    };
  } finally {
    agent.destroy();
    await Promise.all([hub.stop(), wechat.stop()]);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Makes one call, with a body of so many bytes if it is to have one. */
function call(agent: Agent, url: string, bytes = 0): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { Authorization: BEARER, ...(bytes > 0 && { 'Content-Length': bytes }) };
    const asking = request(url, { agent, method: bytes > 0 ? 'POST' : 'GET', headers }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      answer.once('end', () => {
        if (answer.statusCode === 200) resolve(text);
        else reject(new Error(`${String(answer.statusCode)} ${text}`));
      });
    });
    asking.once('error', reject).end(bytes > 0 ? Buffer.alloc(bytes) : undefined);
  });
}
