import fc from 'fast-check';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PROBLEMS } from '../src/http/problems.js';
import { bearer, good } from './authorization.rows.js';
import { APPSECRET, heapInUse, type Reply, Stage } from './hub.fixture.js';
import { valueOf } from './process.fixture.js';
import type { Effect } from './simulator/faults.js';

/** Each answer of WeChat is tried on an app that has nothing yet. */
const APPS = 150;
const REQUESTS = 700;
/** A machine that is busy with other things tries fewer. */
const PATIENCE_MS = 8000;
const MAX_GROWTH_BYTES = 8 * 1024 * 1024;

const folder = mkdtempSync(join(tmpdir(), 'mutations-'));
const hubFile = join(folder, 'hub.json');
const names = Array.from({ length: APPS }, (_, i) => `app-${i}`);
const appOf = (name: string) => ({ platform: 'official-account', appid: `wx${name}`, secret: { env: 'APPSECRET' } });
writeFileSync(hubFile, JSON.stringify({ apps: Object.fromEntries(names.map((name) => [name, appOf(name)])) }));

let stage: Stage;
const unhandled: unknown[] = [];
const note = (reason: unknown): void => void unhandled.push(reason);
beforeAll(async () => {
  process.on('unhandledRejection', note);
  stage = await Stage.set({ HUB_CONFIG: hubFile });
  for (const name of names) {
    stage.simulator.world.account({ appid: `wx${name}`, secret: APPSECRET, kind: 'official-account' });
  }
});
afterAll(async () => {
  await stage.strike();
  rmSync(folder, { recursive: true });
  process.off('unhandledRejection', note);
});

const PROBLEM_TYPES = new Set(Object.values(PROBLEMS).map(({ type }) => type));

/** Sends bytes, and that nothing more will come, and reads whatever is answered. */
async function answersTo(bytes: Buffer): Promise<string> {
  const socket = connect(Number(new URL(stage.url).port), '127.0.0.1');
  let text = '';
  socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk));
  // The hub may hang up on what it cannot read before all of it is sent.
  socket.on('error', () => undefined);
  socket.end(bytes);
  await once(socket, 'close');
  return text;
}

const REPORT = '{"token":"of-old","errcode":40001}';
const request = (line: string, body?: string): string =>
  [
    `${line} HTTP/1.1`,
    'Host: hub',
    ...bearer(good()),
    'Accept: application/json',
    ...(body === undefined ? [] : ['Content-Type: application/json', `Content-Length: ${body.length}`]),
    'Connection: close',
    '',
    body ?? '',
  ].join('\r\n');

/** What clients ask, as it should be. */
const SOUND = [
  request('GET /access-token'),
  request('GET /ticket?type=jsapi'),
  request('GET /access-token?rotate_token=of-old'),
  request('GET /apps/default/ticket?type=jsapi&rotate_ticket=of-old'),
  request('GET /apps'),
  request('GET /health/ready'),
  request('GET /openapi.json'),
  request('POST /apps/default/access-token/report', REPORT),
  request('POST /apps/default/jssdk-config', '{"url":"https://shop.example/?a=b#c"}'),
];

/** Bytes that mean something to somebody on the way. */
const TELLING = [
  '\0',
  '\r',
  '\n',
  '\r\n',
  ' ',
  '\t',
  ':',
  '%',
  '%00',
  '%2e',
  '/',
  '?',
  '&',
  '=',
  '#',
  '"',
  '\\',
  '{',
  '[',
];
const piece = fc.oneof(
  fc.constantFrom(...TELLING, 'Transfer-Encoding: chunked\r\n', 'Content-Length: 3\r\n', '__proto__', '[]', '1e999'),
  fc.string({ unit: 'binary', maxLength: 8 }),
  fc.string({ unit: 'grapheme-ascii', maxLength: 64 }),
);
const edit = fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true }), gone: fc.nat(12), put: piece });
const mutated = fc
  .tuple(fc.constantFrom(...SOUND), fc.array(edit, { minLength: 1, maxLength: 4 }))
  .map(([sound, edits]) =>
    edits.reduce((text, { at, gone, put }) => {
      const place = Math.floor(at * text.length);
      return text.slice(0, place) + put + text.slice(place + gone);
    }, sound),
  );

/** A request that HTTP can read, of which everything else is arbitrary. */
const readable = fc
  .record({
    path: fc.oneof(fc.webPath(), fc.constantFrom('/access-token', '/ticket', '/apps/default/ticket', '/apps/x/ticket')),
    query: fc.oneof(
      fc.webQueryParameters(),
      fc.constantFrom('type=jsapi', 'rotate_token', 'type[]=jsapi&__proto__[x]=1'),
    ),
    method: fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'HEAD', 'PATCH', 'TRACE'),
    body: fc.oneof(fc.json(), fc.string({ unit: 'binary' }), fc.constant(REPORT)),
  })
  .map(({ path, query, method, body }) => request(`${method} ${path}?${query}`, Buffer.from(body).toString('latin1')));

describe('a hub', () => {
  it('answers any request with what its contract has, and never with a 5xx', async () => {
    expect((await stage.ask('/ticket?type=jsapi')).status).toBe(200);
    await fc.assert(
      fc.asyncProperty(fc.oneof(mutated, readable), async (text) => {
        const answers = await answersTo(Buffer.from(text, 'latin1'));
        const statuses = [...answers.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)].map(([, status]) => Number(status));
        expect(statuses.filter((status) => status >= 500)).toEqual([]);
        const types = [...answers.matchAll(/"type":"(\/problems\/[^"]*)"/g)].map(([, type = '']) => type);
        expect(types.filter((type) => !PROBLEM_TYPES.has(type))).toEqual([]);
      }),
      { numRuns: REQUESTS, interruptAfterTimeLimit: PATIENCE_MS },
    );
    expect(unhandled).toEqual([]);
    expect((await stage.ask('/access-token')).status).toBe(200);
    // What is answered of mutated requests costs no more than a rotation or a report of an old value: nothing.
    expect(stage.simulator.world.calls.length).toBeLessThanOrEqual(3);
  }, 60_000);

  it('takes from WeChat a value that is one, or says that there is none, whatever WeChat answers', async () => {
    const json = fc.oneof({ weight: 3, arbitrary: fc.jsonValue() }, { weight: 1, arbitrary: fc.constantFrom(...ODD) });
    const members = fc.constantFrom('access_token', 'ticket', 'expires_in', 'errcode', 'errmsg', '__proto__', 'x');
    const effect: fc.Arbitrary<Effect> = fc.oneof(
      fc.dictionary(members, json).map((fields) => ({ kind: 'fields' as const, fields })),
      fc.dictionary(members, json).map((fields) => ({ kind: 'body' as const, body: JSON.stringify(fields) })),
      fc.oneof(fc.json(), fc.string({ unit: 'binary' })).map((body) => ({ kind: 'body' as const, body })),
      fc
        .tuple(fc.nat(60), piece)
        .map(([place, put]) => ({ kind: 'body' as const, body: SAID.slice(0, place) + put + SAID.slice(place) })),
      fc.integer({ min: 200, max: 599 }).map((status) => ({ kind: 'status' as const, status })),
      fc.constantFrom('reset', 'empty', 'oversized', 'control-character', 'text-plain').map((kind) => ({ kind })),
    );
    const left = [...names];
    await fc.assert(
      fc.asyncProperty(effect, async (fault) => {
        const name = left.pop() ?? '';
        stage.simulator.world.faults.clear();
        stage.simulator.world.faults.add({ ...fault, appid: `wx${name}` });
        for (const path of [`/apps/${name}/access-token`, `/apps/${name}/ticket?type=jsapi`]) {
          expect(outcomeOf(await stage.ask(path))).toMatch(/^(a value|502 wechat-refused|503 wechat-unreachable)$/);
        }
      }),
      { numRuns: APPS - 1, endOnFailure: true, interruptAfterTimeLimit: PATIENCE_MS },
    );
    stage.simulator.world.faults.clear();
    expect(unhandled).toEqual([]);
    const ready = await stage.ask('/health/ready', { token: null });
    expect([ready.status, ready.json['status']]).toEqual([200, 'degraded']);
  }, 60_000);

  it('has forgotten all of that afterwards', async () => {
    const some = fc.sample(fc.oneof(mutated, readable), 100).map((text) => Buffer.from(text, 'latin1'));
    const all = async (): Promise<void> => {
      for (const bytes of some) await answersTo(bytes);
    };
    await all();
    const before = heapInUse();
    for (let i = 0; i < 4; i += 1) await all();
    expect(heapInUse() - before).toBeLessThan(MAX_GROWTH_BYTES);
  }, 60_000);
});

const SAID = '{"access_token":"a-token","ticket":"a-ticket","expires_in":7200}';
const ODD = [
  1e308,
  -1,
  0,
  0.5,
  '7200',
  '',
  ' ',
  'x'.repeat(3000),
  '\u0000',
  '令牌',
  null,
  true,
  [],
  {},
  40001,
  42001,
  -1000,
];

/** What came of asking for a value. */
function outcomeOf(reply: Reply): string {
  const { status, json, headers } = reply;
  if (status === 200)
    return /^[\x21-\x7e]{1,2048}$/.test(valueOf(reply)) && Number(json['expires_in']) > 0 ? 'a value' : 'odd';
  const isProblem = headers.get('content-type') === 'application/problem+json' && headers.has('retry-after');
  return `${status} ${isProblem ? String(json['type']).replace('/problems/', '') : 'and no problem'}`;
}
