import { jest } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { APPID, ask, type Asking, type Reply, Stage, tokenFor } from './hub.fixture.js';
import { exchange, exchangeOne, flood } from './wire.fixture.js';

const CLIENT_KEY = 'client-key-3f6b0c4d8e2f7a1b5c9d7d1e5b9f3a6c';
const folder = mkdtempSync(join(tmpdir(), 'bounds-'));
const HUB_CONFIG = join(folder, 'hub.json');
const key = { env: 'CLIENT_KEY' };
writeFileSync(
  HUB_CONFIG,
  JSON.stringify({
    clients: {
      hasty: { key, apps: '*', rate: { perSecond: 0.05, burst: 5 } },
      patient: { key, apps: '*' },
      rotator: { key, apps: '*', may: ['read', 'rotate'] },
    },
  }),
);

let stage: Stage;
beforeAll(async () => (stage = await Stage.set({ HUB_CONFIG, CLIENT_KEY })));
afterAll(async () => {
  await stage.strike();
  rmSync(folder, { recursive: true });
});

const AUTHORIZATION = (): string => `Authorization: Bearer ${tokenFor()}`;
const MALFORMED = '/problems/malformed-request';
const typeIn = (body = ''): unknown => (JSON.parse(body) as { type: unknown }).type;

/** A connection that says this, and nothing more. */
async function opened(text = ''): Promise<Socket> {
  const socket = connect(Number(new URL(stage.url).port), '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  if (text) socket.write(text);
  return socket;
}

describe('the header', () => {
  const TOO_LARGE = '{"type":"/problems/headers-too-large","title":"The header is too large","status":431}';
  /** Host and Connection are two more. */
  const lines = (count: number): string[] => Array.from({ length: count - 2 }, (_, i) => `X-${i}: ${i}`);

  it('has 64 lines at most', async () => {
    const most = await exchangeOne(stage.url, 'GET /access-token HTTP/1.1', [AUTHORIZATION(), ...lines(63)]);
    expect(most.status).toBe(200);
    for (const count of [65, 100, 1500]) {
      const reply = await exchangeOne(stage.url, 'GET /access-token HTTP/1.1', [AUTHORIZATION(), ...lines(count - 1)]);
      expect([count, reply.status, reply.body]).toEqual([count, 431, TOO_LARGE]);
      expect(reply.headers.get('connection')).toBe('close');
    }
  });

  it('is counted by lines and not by names, and before anything else', async () => {
    const same = Array.from({ length: 63 }, () => 'X-Same: x');
    const reply = await exchangeOne(stage.url, `GET /${'x'.repeat(3000)} HTTP/1.1`, same);
    expect(reply.status).toBe(431);
    expect((await exchangeOne(stage.url, 'GET /health/live HTTP/1.1', same)).status).toBe(431);
  });
});

describe('a GET', () => {
  it.each([
    ['a length', ['Content-Length: 5'], 'hello'],
    ['chunks', ['Transfer-Encoding: chunked'], '5\r\nhello\r\n0\r\n\r\n'],
    ['chunks that are none', ['Transfer-Encoding: chunked'], '0\r\n\r\n'],
  ])('that has a body with %s is refused, and nothing behind it is taken for a request', async (_, lines, body) => {
    for (const path of ['/access-token', '/health/live', '/nothing']) {
      const head = [`GET ${path} HTTP/1.1`, 'Host: hub', AUTHORIZATION(), ...lines, '', ''].join('\r\n');
      const next = `GET /access-token HTTP/1.1\r\nHost: hub\r\n${AUTHORIZATION()}\r\n\r\n`;
      const replies = await exchange(stage.url, head + body + next);
      expect(replies.map(({ status, body }) => [status, typeIn(body)])).toEqual([[400, MALFORMED]]);
      expect(replies[0]?.headers.get('connection')).toBe('close');
    }
  });

  it('whose body would be a request is refused, and that is not answered', async () => {
    const inner = `GET /access-token HTTP/1.1\r\nHost: hub\r\n${AUTHORIZATION()}\r\n\r\n`;
    const head = `GET /health/live HTTP/1.1\r\nHost: hub\r\nContent-Length: ${inner.length}\r\n\r\n`;
    const replies = await exchange(stage.url, head + inner);
    expect(replies.map(({ status }) => status)).toEqual([400]);
  });

  it('may say that it has none', async () => {
    const reply = await exchangeOne(stage.url, 'GET /access-token HTTP/1.1', [AUTHORIZATION(), 'Content-Length: 0']);
    expect(reply.status).toBe(200);
  });

  it('is refused like that as HEAD', async () => {
    const reply = await exchange(stage.url, 'HEAD /health/live HTTP/1.1\r\nHost: hub\r\nContent-Length: 1\r\n\r\nx');
    expect(reply.map(({ status }) => status)).toEqual([400]);
  });
});

describe('every answer', () => {
  it.each([
    ['a good one', 200, 'GET /health/live HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n'],
    ['no host', 400, 'GET /health/live HTTP/1.1\r\nConnection: close\r\n\r\n'],
    ['no token', 401, 'GET /access-token HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n'],
    ['no such path', 404, 'GET /nothing HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n'],
    ['a tunnel', 405, 'CONNECT hub:80 HTTP/1.1\r\nHost: hub\r\n\r\n'],
    [
      'a preflight',
      405,
      'OPTIONS /apps HTTP/1.1\r\nHost: hub\r\nOrigin: https://a.example\r\nConnection: close\r\n\r\n',
    ],
    ['a large header', 431, `GET / HTTP/1.1\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`],
    ['nonsense', 400, 'nonsense\r\n\r\n'],
  ])('tells browsers to do nothing with it, and nobody what the hub runs on: to %s', async (_, status, bytes) => {
    const [reply, ...more] = await exchange(stage.url, bytes);
    expect([reply?.status, more]).toEqual([status, []]);
    expect(Object.fromEntries(reply?.headers ?? [])).toMatchObject({
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
      'referrer-policy': 'no-referrer',
      'cross-origin-resource-policy': 'same-origin',
    });
    const names = [...(reply?.headers.keys() ?? [])];
    expect(names.filter((name) => /^(server|x-powered-by|access-control-|strict-transport)/.test(name))).toEqual([]);
  });
});

describe('a connection', () => {
  it('that dawdles is closed after ten seconds, one as five hundred, and others are served meanwhile', async () => {
    const head = `POST /apps/default/jssdk-config HTTP/1.1\r\nHost: hub\r\n${AUTHORIZATION()}\r\nContent-Length: 999\r\n\r\n`;
    const beginnings = ['', 'G', 'GET /access-token HTTP/1.1\r\nHost: hub\r\nX-Slow: ', head, `${head}{"url":"`];
    const startedAt = performance.now();
    const closedAfter = await Promise.all([
      ...Array.from({ length: 500 }, async (_, i) => {
        const beginning = beginnings[i % beginnings.length] ?? '';
        const socket = await opened(beginning);
        socket.resume();
        // One in two goes on, byte by byte, but for those who are to stay silent.
        const trickle = beginning && i % 2 === 1 ? setInterval(() => socket.write('x'), 1000) : undefined;
        await once(socket, 'close');
        clearInterval(trickle);
        return (performance.now() - startedAt) / 1000;
      }),
      ...Array.from({ length: 5 }, async (_, i) => {
        const asked = performance.now();
        expect((await stage.ask(i % 2 ? '/access-token' : '/health/live')).status).toBe(200);
        expect(performance.now() - asked).toBeLessThan(5000);
        return 0;
      }),
    ]);
    // Ten seconds from when it was opened, on a machine that opens five hundred at once and does other things, too.
    expect(Math.max(...closedAfter)).toBeLessThan(12);
  });

  it('that was refused is not held open by who never closes it', async () => {
    for (const bytes of ['nonsense\r\n\r\n', 'CONNECT hub:80 HTTP/1.1\r\nHost: hub\r\n\r\n']) {
      const socket = connect({ port: Number(new URL(stage.url).port), host: '127.0.0.1', allowHalfOpen: true });
      socket.write(bytes);
      socket.resume();
      await once(socket, 'end');
      // Writing into a connection that nobody holds any more is an error.
      const failed = once(socket, 'error');
      const writing = setInterval(() => socket.write('x'), 100);
      await expect(failed).resolves.toHaveLength(1);
      clearInterval(writing);
    }
  });

  it('stays open between requests', async () => {
    const socket = await opened('GET /health/live HTTP/1.1\r\nHost: hub\r\n\r\n');
    const [first] = (await once(socket, 'data')) as [Buffer];
    expect(first.toString()).toMatch(/^HTTP\/1.1 200 [^]*Keep-Alive: timeout=75\r\n/);
    socket.destroy();
  });

  it('may have so many requests in line, and is closed beyond that', async () => {
    const request = `GET /access-token HTTP/1.1\r\nHost: hub\r\n${AUTHORIZATION()}\r\n\r\n`;
    const closing = request.replace('Host: hub', 'Host: hub\r\nConnection: close');
    const many = await exchange(stage.url, request.repeat(99) + closing);
    expect(many.filter(({ status }) => status === 200)).toHaveLength(100);
    const socket = await opened('GET / HTTP/1.1\r\nHost: hub\r\n\r\n'.repeat(20_000));
    socket.resume();
    await once(socket, 'close');
    expect((await stage.ask('/access-token')).status).toBe(200);
  });

  it('is one of so many, and one more is closed', async () => {
    const small = await Stage.set({ MAX_CONNECTIONS: '3' });
    const port = Number(new URL(small.url).port);
    const held = await Promise.all(
      [1, 2, 3].map(async () => {
        const socket = connect(port, '127.0.0.1');
        socket.on('error', () => undefined);
        socket.write('GET /health/live HTTP/1.1\r\nHost: hub\r\n\r\n');
        await once(socket, 'data');
        return socket;
      }),
    );
    await expect(exchange(small.url, 'GET /health/live HTTP/1.1\r\nHost: hub\r\n\r\n')).resolves.toEqual([]);
    const [first] = held;
    first?.write('GET /health/live HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n');
    if (first) await once(first, 'close');
    await expect(small.ask('/access-token')).resolves.toMatchObject({ status: 200 });
    for (const socket of held) socket.destroy();
    await small.strike();
  });

  it('that breaks off with requests in line does not hold up the end of the hub', async () => {
    const leaving = await Stage.set();
    leaving.simulator.world.faults.add({ kind: 'slow', milliseconds: 500, path: '/cgi-bin/token' });
    const socket = connect(Number(new URL(leaving.url).port), '127.0.0.1');
    socket.write(`GET /access-token HTTP/1.1\r\nHost: hub\r\n${AUTHORIZATION()}\r\n\r\n`.repeat(10));
    while (leaving.simulator.world.calls.length === 0) await new Promise((resolve) => setImmediate(resolve));
    socket.destroy();
    const startedAt = performance.now();
    await leaving.strike();
    expect(performance.now() - startedAt).toBeLessThan(10_000);
  });
});

describe('the budget of a client', () => {
  const as = (kid: string): string => tokenFor(kid, CLIENT_KEY);

  it('is its own, is told with Retry-After, and is none of those who watch', async () => {
    const askAs = (token: string) => stage.ask('/access-token', { token });
    const statuses = [];
    for (let time = 0; time < 7; time += 1) statuses.push((await askAs(as('hasty'))).status);
    expect(statuses).toEqual([200, 200, 200, 200, 200, 429, 429]);
    const refused = await stage.ask('/apps/default/jssdk-config', { token: as('hasty'), method: 'POST', body: '{' });
    expect(refused.text).toBe(
      '{"type":"/problems/too-many-requests","title":"There are too many requests","status":429}',
    );
    const seconds = Number(refused.headers.get('retry-after'));
    expect(seconds).toBeGreaterThan(0);
    expect(seconds).toBeLessThanOrEqual(20);
    expect((await askAs(as('patient'))).status).toBe(200);
    for (const path of ['/health/live', '/health/ready', '/metrics', '/openapi.json']) {
      for (let time = 0; time < 7; time += 1) expect((await stage.ask(path, { token: as('hasty') })).status).toBe(200);
    }
  });

  it('is as usual unless the configuration says something else of it', async () => {
    const limited = await Stage.set({ CLIENT_RATE: '1', CLIENT_BURST: '3', HUB_CONFIG, CLIENT_KEY });
    const statuses = async (kid: string, token: string): Promise<[string, number[]]> => {
      const found = [];
      for (let time = 0; time < 5; time += 1) found.push((await limited.ask('/apps', { token })).status);
      return [kid, [...new Set(found)]];
    };
    expect(await statuses('web', tokenFor())).toEqual(['web', [200, 429]]);
    expect(await statuses('patient', as('patient'))).toEqual(['patient', [200, 429]]);
    expect(await statuses('hasty', as('hasty'))).toEqual(['hasty', [200]]);
    await limited.strike();
  });

  it('is none unless somebody gave it one: whatever it reads, in no time, is a 200', async () => {
    const now = performance.now();
    jest.spyOn(performance, 'now').mockReturnValue(now);
    const read = ['GET /access-token HTTP/1.1', 'Host: hub', AUTHORIZATION(), '', ''].join('\r\n');
    const last = read.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n');
    const statuses = new Map<number, number>();
    for (let round = 0; round < 30; round += 1) {
      const hundreds = Array.from({ length: 10 }, () => exchange(stage.url, read.repeat(99) + last));
      for (const { status } of (await Promise.all(hundreds)).flat())
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
    expect(statuses).toEqual(new Map([[200, 30_000]]));
  });

  it('lets a client in a loop rotate no more than the budget of the app covers', async () => {
    const before = stage.simulator.world.mints(APPID);
    const outcomes: string[] = [];
    for (let time = 0; time < 40; time += 1) {
      const { text } = await stage.ask('/access-token', { token: as('rotator') });
      const rotated = await stage.ask(`/access-token?rotate_token=${text}`, { token: as('rotator') });
      outcomes.push(`${rotated.status} ${rotated.headers.has('retry-after') ? 'later' : 'now'}`);
    }
    const mints = stage.simulator.world.mints(APPID) - before;
    expect(mints).toBeLessThanOrEqual(10);
    expect(outcomes.filter((outcome) => outcome === '200 now')).toHaveLength(mints);
    expect(new Set(outcomes)).toEqual(new Set(['200 now', '429 later']));
  });
});

describe('a flood of wrong secrets', () => {
  const secretPath = (i: number): string =>
    `/cgi-bin/token?grant_type=client_credential&appid=${APPID}&secret=wths_${String(i).padStart(48, '0')}`;

  it('is answered as ever, and has few lines of the log', async () => {
    const logged: string[] = [];
    const log = (line: unknown): void => void logged.push(JSON.stringify(line));
    const flooded = await Stage.set({}, {}, { log, warn: log, error: log });
    const errcodes = new Set<unknown>();
    for (let i = 0; i < 2000; i += 50) {
      const some = Array.from({ length: 50 }, (_, j) => flooded.ask(secretPath(i + j), { token: null }));
      for (const { json } of await Promise.all(some)) errcodes.add(json['errcode']);
    }
    await flooded.strike();
    expect(errcodes).toEqual(new Set([40125]));
    expect(logged.filter((line) => line.includes('"event":"refused"')).length).toBeLessThan(200);
    expect(logged.filter((line) => line.includes('"event":"many-refusals"'))).toHaveLength(1);
  });
});

describe('a client that asks for what is not there, without end', () => {
  it('has few lines of the log for it, and lines for what is no fault of its own', async () => {
    const logged: string[] = [];
    const log = (line: unknown): void => void logged.push(JSON.stringify(line));
    const stage = await Stage.set({ APPSECRET: 'another-secret' }, {}, { log, warn: log, error: log });
    for (let i = 0; i < 150; i += 1) expect((await stage.ask('/apps/none/access-token')).status).toBe(404);
    expect((await stage.ask('/access-token')).status).toBe(502);
    await stage.strike();
    const refused = logged.filter((line) => line.includes('"event":"refused"'));
    const has = (status: number): number => refused.filter((line) => line.includes(`"status":${status},`)).length;
    expect(has(404)).toBeGreaterThanOrEqual(100);
    expect(has(404)).toBeLessThan(150);
    expect(has(502)).toBe(1);
    expect(logged.filter((line) => line.includes('"event":"many-refusals"'))).toHaveLength(1);
  });
});

describe('a flood of bad tokens', () => {
  const [FLOODER, ELSEWHERE] = ['203.0.113.9', '198.51.100.1'];
  const [LOOKED_AT, COUNT] = [5000, 6000];
  const known = tokenFor();
  /** The header is that of a good one. */
  const forged = (i: number): string => `${known.slice(0, known.lastIndexOf('.'))}.${100_000 + i}`;
  const logged: string[] = [];
  const log = (line: unknown): void => void logged.push(JSON.stringify(line));
  let flooded: Stage;
  let answers: string[];
  // Fast and slow machines see the same: nothing of a budget comes back meanwhile.
  const now = performance.now();
  const stopTheClock = (): void => void jest.spyOn(performance, 'now').mockReturnValue(now);
  beforeEach(stopTheClock);
  beforeAll(async () => {
    stopTheClock();
    flooded = await Stage.set({ TRUST_PROXY: '127.0.0.1', HUB_CONFIG, CLIENT_KEY }, {}, { log, warn: log, error: log });
    await flooded.ask('/access-token', { token: known });
    answers = await flood(flooded.url, `9.9.9.9, ${FLOODER}`, COUNT, (i) => `not.a-token.${i}`);
    answers.push(...(await flood(flooded.url, FLOODER, COUNT, forged)));
  });
  afterAll(() => flooded.strike());

  /** How many requests nobody looked at. */
  const shed = async (): Promise<number> => {
    const { text } = await flooded.ask('/metrics', { token: null });
    return Number(/^wechat_token_hub_http_requests_shed_total (\d+)$/m.exec(text)?.[1]);
  };
  const askFrom = (address: string, path: string, init: Asking = {}): Promise<Reply> =>
    ask(flooded.url + path, { ...init, headers: { 'X-Forwarded-For': address } });

  it('gets the one refusal for each, byte for byte, though most of it is not looked at any more', async () => {
    const [refusal = ''] = await flood(flooded.url, ELSEWHERE, 100, () => 'a.b.c');
    expect(refusal).toMatch(/^HTTP\/1.1 401 Unauthorized\r\n/);
    expect(answers).toHaveLength(2 * COUNT);
    expect(new Set(answers)).toEqual(new Set([refusal]));
    // Of each hundred one more ends the connection.
    const looks = (2 * COUNT * 101) / 100 - (await shed());
    // Two budgets, and what was on its way when they ran out.
    expect(looks).toBeGreaterThanOrEqual(2 * LOOKED_AT);
    expect(looks).toBeLessThan(2 * LOOKED_AT + 300);
  });

  it('has few lines of the log', () => {
    const lines = logged.filter((line) => line.includes('"event":"refused"'));
    // A hundred of each of two places.
    expect(lines).toHaveLength(200);
    const told = logged.filter((line) => line.includes('"event":"many-refusals"') && line.includes(FLOODER));
    expect(told).toHaveLength(1);
  });

  it('is told in the log, once, with the address that the proxy saw', () => {
    const told = logged.filter((line) => line.includes('"event":"flood"'));
    expect(told).toEqual([expect.stringContaining(`from ${FLOODER}:`)]);
  });

  it('does not shut out a client behind the same address, with its token as before', async () => {
    for (let time = 0; time < 50; time += 1) {
      expect((await askFrom(FLOODER, '/access-token', { token: known })).status).toBe(200);
    }
  });

  it('does not shut out a client that was never seen and that it does not name', async () => {
    const { status } = await askFrom(FLOODER, '/access-token', { token: tokenFor('patient', CLIENT_KEY) });
    expect(status).toBe(200);
  });

  it('elsewhere is not looked at differently, and nor are good tokens', async () => {
    expect((await askFrom(ELSEWHERE, '/access-token', { token: 'one.never.seen' })).status).toBe(401);
    expect((await askFrom(ELSEWHERE, '/access-token', { token: tokenFor('web') })).status).toBe(200);
  });

  it.each([
    ['GET', '/health/live', 200],
    ['GET', '/health/ready', 200],
    ['GET', '/metrics', 200],
    ['GET', '/openapi.json', 200],
    ['GET', '/cgi-bin/token', 200],
    ['POST', '/cgi-bin/stable_token', 200],
    ['GET', '/cgi-bin/ticket/getticket', 200],
    ['GET', '/nothing', 404],
    ['GET', '/access-token/', 404],
    ['POST', '/access-token', 405],
    ['HEAD', '/apps', 405],
  ])('does not touch what wants no token: %s %s', async (method, path, status) => {
    await flood(flooded.url, FLOODER, 100, (i) => `more.of-it.${i}`);
    expect((await askFrom(FLOODER, path, { method, token: null })).status).toBe(status);
  });

  it.each(['ftp://x/access-token', 'HTTP://x/access-token?/health/', '/access-token?', '/apps/x/ticket?/metrics'])(
    'is not looked at for writing its target in another way: %s',
    async (target) => {
      const before = await shed();
      const lines = [`X-Forwarded-For: ${FLOODER}`, `Authorization: Bearer more.of.${target.length}`];
      expect((await exchangeOne(flooded.url, `GET ${target} HTTP/1.1`, lines)).status).toBe(401);
      expect(await shed()).toBe(before + 1);
    },
  );

  it('of one token over and over leaves room for new ones of the client that it names', async () => {
    const [address, fresh] = ['203.0.113.7', tokenFor('web', undefined, { jti: 'fresh' })];
    await flood(flooded.url, address, COUNT, () => forged(0));
    expect((await askFrom(address, '/access-token', { token: fresh })).status).toBe(200);
  });
});
