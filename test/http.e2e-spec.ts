import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { APPID, type Asking, type Reply, Stage, tokenFor } from './hub.fixture.js';
import { exchange, exchangeOne, textFor } from './wire.fixture.js';

const SHOP = { appid: 'wxshop0123456789', secret: 'shop-secret-4e8f2b7a1c5d9e3f' };
const CRM = { corpid: 'ww0123456789abcdef', secret: 'crm-secret-1c5d9e3f4e8f2b7a' };
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const PROBLEM = 'application/problem+json';

const folder = mkdtempSync(join(tmpdir(), 'http-'));
const environment = {
  HUB_CONFIG: join(folder, 'hub.json'),
  SHOP_SECRET: SHOP.secret,
  CRM_SECRET: CRM.secret,
  ROTATION_BURST: '1000',
};
const apps = {
  shop: { platform: 'mini-program', appid: SHOP.appid, secret: { env: 'SHOP_SECRET' }, endpoint: 'stable' },
  crm: { platform: 'wecom', corpid: CRM.corpid, secret: { env: 'CRM_SECRET' } },
};
writeFileSync(environment.HUB_CONFIG, JSON.stringify({ apps }));

async function setStage(): Promise<Stage> {
  const stage = await Stage.set(environment);
  stage.simulator.world.account({ ...SHOP, kind: 'mini-program' });
  stage.simulator.world.corp({ corpid: CRM.corpid, agents: [{ agentid: 1, secret: CRM.secret }] });
  return stage;
}

let stage: Stage;
/** A hub that has nothing yet: whatever it did not refuse would be a call to WeChat. */
let cold: Stage;
beforeAll(async () => {
  stage = await setStage();
  cold = await setStage();
});
beforeEach(() => cold.simulator.world.clearCalls());
afterAll(async () => {
  await Promise.all([stage.strike(), cold.strike()]);
  rmSync(folder, { recursive: true });
});

const AUTHORIZATION = (): string => `Authorization: Bearer ${tokenFor()}`;

const PATHS = {
  '/access-token': { app: 'default', appid: APPID, kind: 'access-token' },
  '/access_token': { app: 'default', appid: APPID, kind: 'access-token' },
  '/ticket?type=jsapi': { app: 'default', appid: APPID, kind: 'ticket', type: 'jsapi' },
  '/ticket?type=wx_card': { app: 'default', appid: APPID, kind: 'ticket', type: 'wx_card' },
  '/apps/default/access-token': { app: 'default', appid: APPID, kind: 'access-token' },
  '/apps/shop/access-token': { app: 'shop', appid: SHOP.appid, kind: 'access-token' },
  '/apps/shop/ticket?type=jsapi': { app: 'shop', appid: SHOP.appid, kind: 'ticket', type: 'jsapi' },
  '/apps/crm/access-token': { app: 'crm', appid: CRM.corpid, kind: 'access-token' },
  '/apps/crm/ticket?type=jsapi': { app: 'crm', appid: CRM.corpid, kind: 'ticket', type: 'jsapi' },
  '/apps/crm/ticket?type=agent_config': { app: 'crm', appid: CRM.corpid, kind: 'ticket', type: 'agent_config' },
} as const;
type Path = keyof typeof PATHS;
const EVERY_PATH = Object.keys(PATHS) as Path[];
const OF_THE_ORIGINAL = EVERY_PATH.filter((path) => !path.startsWith('/apps/'));
const OF_EVERY_APP = EVERY_PATH.filter((path) => path.startsWith('/apps/'));

type Init = Omit<NonNullable<Asking>, 'headers'> & { readonly headers?: Record<string, string> };

const valueIn = ({ json }: Reply): string => (json['access_token'] ?? json['ticket']) as string;

function expectProblem(reply: Reply, status: number, type: string): void {
  expect(reply.status).toBe(status);
  expect(reply.headers.get('content-type')).toBe(PROBLEM);
  expect(reply.json).toEqual({
    type: `/problems/${type}`,
    title: expect.stringMatching(/^[A-Z]/) as string,
    status,
    detail: expect.stringMatching(/\.$/) as string,
    instance: reply.headers.get('x-request-id'),
  });
  expect(reply.headers.get('cache-control')).toBe('no-store');
}

/** What is the same whoever asks and whatever for. */
function expectConstant(reply: Reply, status: number, type: string, title: string): void {
  expect(reply.text).toBe(JSON.stringify({ type: `/problems/${type}`, title, status }));
  expect(reply.status).toBe(status);
  expect(reply.headers.get('content-type')).toBe(PROBLEM);
  expect(reply.headers.get('cache-control')).toBe('no-store');
}

const expectNotFound = (reply: Reply): void => expectConstant(reply, 404, 'not-found', 'There is nothing here');

describe('a credential', () => {
  it.each(OF_THE_ORIGINAL)('is bare text at %s, and JSON if that is wanted more', async (path) => {
    const text = await stage.ask(path, { headers: { Accept: '*/*' } });
    expect(text.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(stage.simulator.world.verdict(text.text)).toMatchObject({ accepted: true, appid: PATHS[path].appid });
    const json = await stage.ask(path, { headers: { Accept: 'application/json' } });
    expect(json.headers.get('content-type')).toBe('application/json; charset=utf-8');
    expect(valueIn(json)).toBe(text.text);
  });

  it.each(OF_EVERY_APP)('is JSON at %s, and bare text if that is wanted more', async (path) => {
    const json = await stage.ask(path, { headers: { Accept: '*/*' } });
    expect(json.headers.get('content-type')).toBe('application/json; charset=utf-8');
    expect(stage.simulator.world.verdict(valueIn(json))).toMatchObject({ accepted: true, appid: PATHS[path].appid });
    const text = await stage.ask(path, { headers: { Accept: 'text/plain' } });
    expect(text.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(text.text).toBe(valueIn(json));
  });

  it.each(EVERY_PATH)('says in JSON what it is and how long it may be held: %s', async (path) => {
    const before = Date.now();
    const { json, headers } = await stage.ask(path, { headers: { Accept: 'application/json' } });
    const { kind, ...rest } = PATHS[path];
    const value = expect.stringMatching(/^[\x21-\x7e]+$/) as string;
    expect(json).toEqual({
      ...rest,
      kind,
      ...(kind === 'access-token' ? { access_token: value } : { ticket: value }),
      version: expect.any(Number) as number,
      expires_in: expect.any(Number) as number,
      expires_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/) as string,
      refresh_after: expect.any(Number) as number,
    });
    const { version, expires_in, expires_at, refresh_after } = json as Record<string, number> & { expires_at: string };
    expect(headers.get('etag')).toBe(`"${String(version)}"`);
    expect(Number.isSafeInteger(version)).toBe(true);
    expect(Number.isInteger(expires_in)).toBe(true);
    expect(expires_in).toBeGreaterThan(7000);
    const { until } = stage.simulator.world.verdict(valueIn({ json } as Reply));
    expect(before + Number(expires_in) * 1000).toBeLessThanOrEqual(until);
    expect(Date.parse(expires_at)).toBeLessThanOrEqual(until);
    expect(Number.isInteger(refresh_after)).toBe(true);
    expect(refresh_after).toBeGreaterThan(0);
    expect(refresh_after).toBeLessThanOrEqual(Number(expires_in));
  });

  it.each<[accept: string, original: 'text' | 'json', native: 'text' | 'json']>([
    ['*/*', 'text', 'json'],
    ['', 'text', 'json'],
    ['text/plain', 'text', 'text'],
    ['TEXT/PLAIN', 'text', 'text'],
    ['text/plain; charset=utf-8', 'text', 'text'],
    ['text/*', 'text', 'text'],
    ['application/json', 'json', 'json'],
    ['Application/JSON', 'json', 'json'],
    ['application/json;charset=utf-8', 'json', 'json'],
    ['application/*', 'json', 'json'],
    ['application/json, */*;q=0.5', 'json', 'json'],
    ['application/json, */*', 'json', 'json'],
    ['application/json;q=0.9, text/plain;q=0.8', 'json', 'json'],
    ['text/plain;q=0.9, application/json;q=0.8', 'text', 'text'],
    ['application/json;q=0.2, text/plain', 'text', 'text'],
    ['application/json, text/plain;q=0', 'json', 'json'],
    ['application/json;q=0', 'text', 'json'],
    ['application/json, text/plain, */*', 'text', 'json'],
    ['text/plain, application/json', 'text', 'json'],
    ['text/html, application/xhtml+xml, */*;q=0.8', 'text', 'json'],
    ['image/png', 'text', 'json'],
    ['nonsense', 'text', 'json'],
    [';q=,,;;=', 'text', 'json'],
  ])('is negotiated by Accept: %s', async (accept, original, native) => {
    const formats = { text: /^text\/plain/, json: /^application\/json/ };
    const lines = [`Accept: ${accept}`, AUTHORIZATION()];
    const atOriginal = await exchangeOne(stage.url, 'GET /access-token HTTP/1.1', lines);
    const atNative = await exchangeOne(stage.url, 'GET /apps/default/access-token HTTP/1.1', lines);
    expect([atOriginal.status, atNative.status]).toEqual([200, 200]);
    expect(atOriginal.headers.get('content-type')).toMatch(formats[original]);
    expect(atNative.headers.get('content-type')).toMatch(formats[native]);
    expect(atOriginal.headers.get('vary')).toMatch(/\baccept\b/i);
  });

  it('is the same one at every path of the app default', async () => {
    const paths = ['/access-token', '/access_token', '/apps/default/access-token'];
    const replies = await Promise.all(paths.map((path) => stage.ask(path, { headers: { Accept: 'text/plain' } })));
    expect(new Set(replies.map(({ text }) => text)).size).toBe(1);
    expect(new Set(replies.map(({ headers }) => headers.get('etag'))).size).toBe(1);
  });

  it('comes at the ticket type 2 as the SDK ticket that it is', async () => {
    const sdk = await stage.ask('/apps/default/ticket?type=sdk');
    const two = await stage.ask('/ticket?type=2');
    expect(two.text).toBe(sdk.json['ticket']);
    expect(stage.simulator.world.verdict(two.text)).toMatchObject({ accepted: true, kind: '2' });
  });
});

describe('a version that the client has', () => {
  it.each([
    ['the tag', (tag: string) => tag, 304],
    ['the weak tag', (tag: string) => `W/${tag}`, 304],
    ['a list', (tag: string) => `"1", ${tag}, "3"`, 304],
    ['a list without spaces', (tag: string) => `"1",${tag}`, 304],
    ['a list of weak tags', (tag: string) => `W/"1", W/${tag}`, 304],
    ['anything', () => '*', 304],
    ['another tag', () => '"1"', 200],
    ['the number without quotes', (tag: string) => tag.replaceAll('"', ''), 200],
    ['nothing', () => '', 200],
    ['nonsense', () => '"', 200],
  ])('is told by If-None-Match: %s', async (_, matchOf, status) => {
    for (const path of EVERY_PATH) {
      const first = await stage.ask(path);
      const tag = first.headers.get('etag') ?? '';
      const reply = await stage.ask(path, { headers: { 'If-None-Match': matchOf(tag) } });
      expect([path, reply.status, reply.headers.get('etag')]).toEqual([path, status, tag]);
      expect(reply.headers.get('cache-control')).toBe('no-store');
      expect(reply.headers.get('x-request-id')).toMatch(UUID);
      expect(reply.text).toBe(status === 304 ? '' : first.text.length > 0 && reply.text);
    }
  });

  it('does not hide a rotation', async () => {
    const { text, headers } = await stage.ask('/access-token');
    const tag = headers.get('etag') ?? '';
    const rotated = await stage.ask(`/access-token?rotate_token=${text}`, { headers: { 'If-None-Match': tag } });
    expect(rotated.status).toBe(200);
    expect(rotated.text).not.toBe(text);
    expect(Number(rotated.headers.get('etag')?.slice(1, -1))).toBeGreaterThan(Number(tag.slice(1, -1)));
  });
});

describe('a rotation', () => {
  it.each([
    ['/access-token', 'rotate_token'],
    ['/ticket?type=jsapi', 'rotate_ticket'],
    ['/apps/shop/access-token', 'rotate_token'],
    ['/apps/shop/ticket?type=wx_card', 'rotate_ticket'],
    ['/apps/crm/access-token', 'rotate_token'],
  ])('of a value that is not current gives the current one without a call: %s', async (path, parameter) => {
    const current = await stage.ask(path);
    stage.simulator.world.clearCalls();
    const separator = path.includes('?') ? '&' : '?';
    const reply = await stage.ask(`${path}${separator}${parameter}=of-yesterday`);
    expect(reply.status).toBe(200);
    expect(reply.headers.get('etag')).toBe(current.headers.get('etag'));
    expect(stage.simulator.world.calls).toEqual([]);
  });
});

describe('every answer', () => {
  const ANSWERS: readonly (readonly [what: string, path: string, init: Init])[] = [
    ['a token', '/access-token', {}],
    ['a token in JSON', '/apps/shop/access-token', {}],
    ['a ticket', '/ticket?type=jsapi', {}],
    ['the list', '/apps', {}],
    ['a report', '/apps/shop/access-token/report', { method: 'POST', body: '{"token":"old"}' }],
    ['a signature', '/apps/shop/jssdk-config', { method: 'POST', body: '{"url":"https://a.example/"}' }],
    ['400', '/access-token?x=1', {}],
    ['400 for a type', '/ticket?type=x', {}],
    ['400 for the path', '/apps/%zz/access-token', {}],
    ['400 for a body', '/apps/shop/jssdk-config', { method: 'POST', body: '{' }],
    ['401', '/access-token', { token: 'x' }],
    ['404', '/nothing', {}],
    ['404 for an app', '/apps/nothing/access-token', {}],
    ['405', '/access-token', { method: 'DELETE' }],
    ['405 for HEAD', '/access-token', { method: 'HEAD' }],
    ['413', '/apps/shop/jssdk-config', { method: 'POST', body: 'x'.repeat(20_000) }],
    ['414', `/access-token?${'x'.repeat(2048)}`, {}],
    ['415', '/apps/shop/jssdk-config', { method: 'POST', body: 'x', headers: { 'Content-Encoding': 'gzip' } }],
  ];

  it.each(ANSWERS)('is not to be stored, sniffed or told whose work it is: %s', async (_, path, init) => {
    const { headers } = await stage.ask(path, init);
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect([headers.get('x-powered-by'), headers.get('server'), headers.get('location')]).toEqual([null, null, null]);
  });

  it.each(ANSWERS)('has the id of the request: %s', async (_, path, init) => {
    const own = { ...init, headers: { ...init.headers, 'X-Request-Id': 'trace:01-abc_DEF.7~/+=' } };
    expect((await stage.ask(path, own)).headers.get('x-request-id')).toBe('trace:01-abc_DEF.7~/+=');
    expect((await stage.ask(path, init)).headers.get('x-request-id')).toMatch(UUID);
  });

  it.each([
    ['of 128 characters', 'r'.repeat(128), true],
    ['a UUID', '0b9b6d2a-3f0e-4c39-9a53-0c8a6c6f3b55', true],
    ['of 129 characters', 'r'.repeat(129), false],
    ['empty', '', false],
    ['with a space', 'two words', false],
    ['with a comma', 'a,b', false],
    ['with quotes', '"a"', false],
    ['with a semicolon', 'a;b', false],
    ['with a tag', '<script>', false],
    ['with bytes beyond ASCII', 'id-\xe9', false],
    ['with a tab', 'a\tb', false],
  ])('takes an id over if it is well-formed: %s', async (_, id, isTaken) => {
    const lines = [`X-Request-Id: ${id}`, AUTHORIZATION()];
    const { status, headers } = await exchangeOne(stage.url, 'GET /access-token HTTP/1.1', lines);
    expect(status).toBe(200);
    expect(headers.get('x-request-id')).toMatch(isTaken ? /^[r0-9a-f-]+$/ : UUID);
    expect(headers.get('x-request-id') === id).toBe(isTaken);
  });

  it('takes neither of two ids', async () => {
    const lines = ['X-Request-Id: one', 'X-Request-Id: two', AUTHORIZATION()];
    const { headers } = await exchangeOne(stage.url, 'GET /access-token HTTP/1.1', lines);
    expect(headers.get('x-request-id')).toMatch(UUID);
  });

  it('shows in a constant body nothing of the request, and in another no more than its id', async () => {
    for (const [, path, init] of ANSWERS) {
      const id = 'find-me-in-the-body';
      const { status, text, json } = await stage.ask(path, {
        ...init,
        headers: { ...init.headers, 'X-Request-Id': id },
      });
      const isConstant = [401, 403, 404, 405, 413, 414, 431].includes(status);
      expect(text.includes(id)).toBe(status >= 400 && !isConstant);
      expect(json['instance']).toBe(status >= 400 && !isConstant ? id : undefined);
    }
  });
});

describe('a method', () => {
  const GET_ONLY = [...EVERY_PATH, '/apps', '/apps/no-such-app/access-token'];
  const POST_ONLY = ['/apps/shop/access-token/report', '/apps/shop/jssdk-config', '/apps/no-such-app/jssdk-config'];
  const expectRefused = (reply: Reply, allow: string): void => {
    expectConstant(reply, 405, 'method-not-allowed', 'The method is not allowed here');
    expect(reply.headers.get('allow')).toBe(allow);
  };

  it.each(['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'REPORT', 'LOCK', 'PURGE', 'M-SEARCH'])(
    '%s is refused where only GET is known, with or without a token or a body',
    async (method) => {
      for (const path of GET_ONLY) {
        expectRefused(await cold.ask(path, { method }), 'GET');
        expectRefused(await cold.ask(path, { method, token: null }), 'GET');
        expectRefused(await cold.ask(path, { method, body: 'a=b&c=d' }), 'GET');
        expectRefused(await cold.ask(path, { method, body: 'x'.repeat(20_000) }), 'GET');
      }
      expect(cold.simulator.world.calls).toEqual([]);
    },
  );

  it.each(['GET', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'SEARCH'])(
    '%s is refused where only POST is known',
    async (method) => {
      for (const path of POST_ONLY) expectRefused(await cold.ask(path, { method }), 'POST');
      expect(cold.simulator.world.calls).toEqual([]);
    },
  );

  it('TRACE is refused and sends nothing back', async () => {
    const reply = await exchangeOne(cold.url, 'TRACE /access-token HTTP/1.1', [AUTHORIZATION()]);
    expect([reply.status, reply.headers.get('allow')]).toEqual([405, 'GET']);
    expect(reply.raw).not.toContain('Bearer');
  });

  it('HEAD has no effect on WeChat, not even with a rotation', async () => {
    for (const path of GET_ONLY) {
      const reply = await cold.ask(path, { method: 'HEAD' });
      expect([reply.status, reply.headers.get('allow'), reply.text]).toEqual([405, 'GET', '']);
    }
    expect(cold.simulator.world.calls).toEqual([]);

    const { text } = await stage.ask('/access-token');
    stage.simulator.world.clearCalls();
    const head = await stage.ask(`/access-token?rotate_token=${text}`, { method: 'HEAD' });
    expect([head.status, head.headers.get('etag')]).toEqual([405, null]);
    expect(stage.simulator.world.calls).toEqual([]);
    expect((await stage.ask('/access-token')).text).toBe(text);
  });

  it('HEAD has answers without bodies, and the next answer is the next', async () => {
    for (const path of ['/access-token', '/nowhere', `/${'x'.repeat(3000)}`]) {
      const head = `HEAD ${path} HTTP/1.1\r\nHost: hub\r\n${AUTHORIZATION()}\r\n\r\n`;
      const get = `GET /access-token HTTP/1.1\r\nHost: hub\r\n${AUTHORIZATION()}\r\nConnection: close\r\n\r\n`;
      const [, next] = (await textFor(stage.url, head + get)).split('\r\n\r\n');
      expect(next).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    }
  });

  it('HEAD is for the watchers of machines', async () => {
    for (const path of ['/health/live', '/health/ready']) {
      const reply = await stage.ask(path, { method: 'HEAD', token: null });
      expect([path, reply.status, reply.text]).toEqual([path, 200, '']);
      expectRefused(await stage.ask(path, { method: 'POST', token: null }), 'GET');
    }
  });

  it('is not what a header says it should have been', async () => {
    for (const name of ['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override']) {
      expectRefused(await cold.ask('/access-token', { method: 'POST', headers: { [name]: 'GET' } }), 'GET');
    }
  });
});

describe('a path', () => {
  it.each([
    '/',
    '/nothing',
    '/Access-Token',
    '/ACCESS_TOKEN',
    '/access-token/',
    '/access_token/',
    '/access-token/x',
    '//access-token',
    '/./access-token/.',
    '/access-token;x=1',
    '/access-token%00',
    '/access-token%2f',
    '/accesstoken',
    '/Ticket?type=jsapi',
    '/ticket/?type=jsapi',
    '/ticket/jsapi',
    '/tickets?type=jsapi',
    '/apps/',
    '/Apps',
    '/apps/shop',
    '/apps/shop/',
    '/apps/shop/access_token',
    '/apps/shop/Access-Token',
    '/apps/shop/access-token/',
    '/apps/shop//access-token',
    '/apps//access-token',
    '/apps/SHOP/access-token',
    '/apps/shop%20/access-token',
    '/apps/%00/access-token',
    '/apps/shop%00/access-token',
    '/apps/shop%2faccess-token',
    '/apps/..%2f..%2fshop/access-token',
    '/apps/__proto__/access-token',
    '/apps/constructor/access-token',
    '/apps/*/access-token',
    '/apps/no-such-app/access-token',
    '/apps/no-such-app/ticket?type=jsapi',
    '/apps/%E5%BA%97/access-token',
    `/apps/${'a'.repeat(1500)}/access-token`,
    '/apps/shop/access-token/report/',
    '/health',
    '/health/',
    '/health/Live',
    '/health/live/',
    '/.env',
    '/favicon.ico',
  ])('that is not there is 404, without a call and without a redirection: %s', async (path) => {
    const reply = await exchangeOne(cold.url, `GET ${path} HTTP/1.1`, [AUTHORIZATION()]);
    expect(reply.body).toBe('{"type":"/problems/not-found","title":"There is nothing here","status":404}');
    expect(reply.status).toBe(404);
    expect(reply.headers.get('location')).toBeUndefined();
    expect(cold.simulator.world.calls).toEqual([]);
  });

  it.each(['%zz', '%', '%f', '%ff', '%c0%af', '%ed%a0%80', 'shop%'])(
    'that is not properly percent-encoded is 400, and never a fault of the hub: /apps/%s/…',
    async (name) => {
      for (const [method, rest] of [
        ['GET', 'access-token'],
        ['GET', 'ticket?type=jsapi'],
        ['POST', 'access-token/report'],
        ['POST', 'jssdk-config'],
      ]) {
        const lines = [AUTHORIZATION(), 'X-Request-Id: it'];
        const reply = await exchangeOne(cold.url, `${method} /apps/${name}/${rest} HTTP/1.1`, lines);
        expect(reply.status).toBe(400);
        expect(JSON.parse(reply.body)).toEqual({
          type: '/problems/malformed-request',
          title: 'The request is malformed',
          status: 400,
          detail: 'The path is not properly percent-encoded.',
          instance: 'it',
        });
      }
    },
  );

  it('may name the app in percent-encoding', async () => {
    const reply = await stage.ask('/apps/sh%6Fp/access-token');
    expect([reply.status, reply.json['app']]).toEqual([200, 'shop']);
  });

  it.each(['http://hub', 'http://hub:1', 'https://elsewhere.example', 'HTTP://HUB'])(
    'may come in absolute form: %s',
    async (root) => {
      for (const [path, status] of [
        ['/access-token', 200],
        ['/ticket?type=jsapi', 200],
        ['/apps/shop/access-token', 200],
        ['/health/live', 200],
        ['/nothing', 404],
        ['/access-token?x=1', 400],
      ]) {
        const reply = await exchangeOne(stage.url, `GET ${root}${path} HTTP/1.1`, [AUTHORIZATION()]);
        expect([path, reply.status]).toEqual([path, status]);
      }
    },
  );

  it('may have an empty query', async () => {
    for (const path of ['/access-token?', '/access-token?&', '/apps/shop/access-token?', '/apps?']) {
      expect((await stage.ask(path)).status).toBe(200);
    }
  });
});

describe('parameters', () => {
  it.each([
    '/access-token?x=1',
    '/access-token?=',
    '/access-token?=1',
    '/access-token?token=1',
    '/access-token?type=jsapi',
    '/access-token?rotate_ticket=1',
    '/access-token?Rotate_Token=1',
    '/access-token?rotate-token=1',
    '/access-token?rotate_token',
    '/access-token?rotate_token=',
    '/access-token?rotate_token=%20',
    '/access-token?rotate_token=a+b',
    '/access-token?rotate_token=a%00b',
    '/access-token?rotate_token=a%0d%0aX-Injected:1',
    '/access-token?rotate_token=%E4%BB%A4',
    '/access-token?rotate_token=1&rotate_token=1',
    '/access-token?rotate_token=1&rotate_token=2',
    '/access-token?rotate_token=1&rotate%5Ftoken=2',
    '/access-token?rotate_token[]=1',
    '/access-token?rotate_token[x]=1',
    '/access-token?rotate_token=1&x=1',
    '/access-token?rotate_token=%zz',
    '/access-token?rotate_token=%ff',
    '/access-token?rotate_token=%',
    '/access-token?%ff=1',
    '/access-token?__proto__=1',
    '/access-token?__proto__[rotate_token]=1',
    '/access-token?constructor=1',
    '/access-token?prototype=1',
    '/access-token?toString=1',
    '/access-token?hasOwnProperty=1',
    '/access_token?x=1',
    '/ticket',
    '/ticket?',
    '/ticket?type',
    '/ticket?type=',
    '/ticket?Type=jsapi',
    '/ticket?type=jsapi&type=jsapi',
    '/ticket?type=jsapi&type=wx_card',
    '/ticket?type[]=jsapi',
    '/ticket?type=jsapi&x=1',
    '/ticket?type=jsapi&rotate_token=1',
    '/ticket?type=jsapi&rotate_ticket=',
    '/ticket?type=jsapi&rotate_ticket=1&rotate_ticket=2',
    '/ticket?type=jsapi&__proto__=1',
    '/ticket?rotate_ticket=1',
    '/ticket?type=%zz',
    '/apps?x=1',
    '/apps?__proto__=1',
    '/apps/shop/access-token?x=1',
    '/apps/shop/access-token?rotate_token=',
    '/apps/shop/access-token?rotate_token=1&rotate_token=2',
    '/apps/shop/access-token?rotate_token=%zz',
    '/apps/shop/ticket',
    '/apps/shop/ticket?type=jsapi&type=jsapi',
    '/apps/shop/ticket?type=jsapi&x=1',
    '/apps/no-such-app/access-token?x=1',
  ])('must be as the path knows them, else WeChat is not asked: %s', async (path) => {
    expectProblem(await cold.ask(path), 400, 'malformed-request');
    expect(cold.simulator.world.calls).toEqual([]);
  });

  it('may be as long as a token of WeChat may be, and no longer', async () => {
    const ofLength = (length: number): string => `/access-token?rotate_token=${'x'.repeat(length)}`;
    expect((await stage.ask(ofLength(2000))).status).toBe(200);
    expect((await cold.ask(ofLength(2048))).status).toBe(414);
    expect(cold.simulator.world.calls).toEqual([]);
  });

  it.each([
    'x',
    'JSAPI',
    'jsapi ',
    'access-token',
    '1',
    '02',
    '__proto__',
    'constructor',
    'toString',
    '%00',
    '*',
    '票',
  ])('of a ticket have a type that the platform knows, else WeChat is not asked: %s', async (type) => {
    const asked = type.startsWith('%') ? type : encodeURIComponent(type);
    for (const path of ['/ticket', '/apps/shop/ticket', '/apps/crm/ticket']) {
      const reply = await cold.ask(`${path}?type=${asked}`);
      expectProblem(reply, 400, 'unknown-ticket-type');
      expect(reply.json['detail']).toContain('jsapi');
    }
    expectProblem(await cold.ask(`/ticket?type=${asked}&rotate_ticket=1`), 400, 'unknown-ticket-type');
    expect(cold.simulator.world.calls).toEqual([]);
  });

  it('are told apart by platform', async () => {
    expectProblem(await cold.ask('/apps/crm/ticket?type=wx_card'), 400, 'unknown-ticket-type');
    expectProblem(await cold.ask('/apps/shop/ticket?type=agent_config'), 400, 'unknown-ticket-type');
    expect(cold.simulator.world.calls).toEqual([]);
  });

  it('that are wrong are not repeated in the answer', async () => {
    for (const path of ['/access-token?echo-me=1', '/access-token?rotate_token=echo+me', '/ticket?type=echo-me']) {
      expect((await cold.ask(path)).text).not.toMatch(/echo/);
    }
  });
});

describe('the size of a request', () => {
  it('is bounded in its target: 2,048 characters', async () => {
    const ofLength = (length: number): string => `/access-token?${'x'.repeat(length - '/access-token?'.length)}`;
    expect((await cold.ask(ofLength(2048))).status).toBe(400);
    for (const length of [2049, 4000, 12_000]) {
      expectConstant(await cold.ask(ofLength(length)), 414, 'uri-too-long', 'The address is too long');
      expect((await cold.ask(ofLength(length), { token: null })).status).toBe(414);
    }
    expectConstant(await cold.ask(`/${'x'.repeat(3000)}`), 414, 'uri-too-long', 'The address is too long');
  });

  it.each([
    ['one large header', [`X-Large: ${'x'.repeat(40_000)}`]],
    ['many headers', Array.from({ length: 1500 }, (_, i) => `X-Many-${String(i)}: ${'x'.repeat(20)}`)],
    ['a huge token', [`Authorization: Bearer ${'x'.repeat(40_000)}`]],
  ])('is bounded in its headers: %s', async (_, lines) => {
    const reply = await exchangeOne(cold.url, 'GET /access-token HTTP/1.1', lines);
    expect(reply.status).toBe(431);
    expect(reply.body).toBe('{"type":"/problems/headers-too-large","title":"The header is too large","status":431}');
    expect(reply.headers.get('content-type')).toBe(PROBLEM);
    expect(reply.headers.get('cache-control')).toBe('no-store');
    expect(reply.headers.get('x-request-id')).toMatch(UUID);
  });

  it.each(['/apps/shop/access-token/report', '/apps/shop/jssdk-config', '/apps/no-such-app/jssdk-config'])(
    'is bounded in its body: %s',
    async (path) => {
      const url = `https://a.example/${'x'.repeat(17_000)}`;
      const reply = await cold.post(path, { url });
      expectConstant(reply, 413, 'content-too-large', 'The body is too large');
      const chunked = [`POST ${path} HTTP/1.1`, 'Host: hub', AUTHORIZATION(), 'Transfer-Encoding: chunked'];
      const body = `4e20\r\n${'x'.repeat(20_000)}\r\n0\r\n\r\n`;
      const [answer] = await exchange(cold.url, [...chunked, 'Connection: close', '', body].join('\r\n'));
      expect([answer?.status, answer?.body]).toEqual([413, reply.text]);
      expect(cold.simulator.world.calls).toEqual([]);
    },
  );
});

describe('what is no HTTP', () => {
  it.each([
    ['no request line', 'hello\r\n\r\n'],
    ['a method that nobody knows', 'HELLO /access-token HTTP/1.1\r\nHost: hub\r\n\r\n'],
    ['a method in small letters', 'get /access-token HTTP/1.1\r\nHost: hub\r\n\r\n'],
    ['a space in the target', 'GET /access token HTTP/1.1\r\nHost: hub\r\n\r\n'],
    ['another version', 'GET /access-token HTTP/9.9\r\nHost: hub\r\n\r\n'],
    ['a header without a name', 'GET /access-token HTTP/1.1\r\nHost: hub\r\n: x\r\n\r\n'],
    ['a header folded', 'GET /access-token HTTP/1.1\r\nHost: hub\r\nX y\r\n\r\n'],
    ['a NUL in a header', 'GET /access-token HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer \0\r\n\r\n'],
    [
      'two lengths',
      'POST /apps/shop/jssdk-config HTTP/1.1\r\nHost: hub\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}',
    ],
    [
      'a length and chunks',
      'POST /apps/shop/jssdk-config HTTP/1.1\r\nHost: hub\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    ['TLS', Buffer.from('16030100c8010000c40303', 'hex')],
  ])('is 400 and the end of the connection: %s', async (_, bytes) => {
    const [reply, ...more] = await exchange(cold.url, bytes);
    expect(more).toEqual([]);
    expect(reply?.status).toBe(400);
    expect(reply?.headers.get('connection')).toBe('close');
    expect(reply?.headers.get('cache-control')).toBe('no-store');
    expect(JSON.parse(reply?.body ?? '')).toEqual({
      type: '/problems/malformed-request',
      title: 'The request is malformed',
      status: 400,
      detail: expect.any(String) as string,
      instance: reply?.headers.get('x-request-id'),
    });
  });
});

describe('a connection', () => {
  it('may bring many requests at once, and each is answered in its turn', async () => {
    const paths = ['/access-token', '/nothing', '/apps/shop/access-token', '/ticket?type=x', '/access-token'];
    const requests = paths.map((path, i) =>
      [
        `GET ${path} HTTP/1.1`,
        'Host: hub',
        AUTHORIZATION(),
        `X-Request-Id: ${String(i)}`,
        ...(i === paths.length - 1 ? ['Connection: close'] : []),
        '',
        '',
      ].join('\r\n'),
    );
    const replies = await exchange(stage.url, requests.join(''));
    expect(replies.map(({ status }) => status)).toEqual([200, 404, 200, 400, 200]);
    expect(replies.map(({ headers }) => headers.get('x-request-id'))).toEqual(['0', '1', '2', '3', '4']);
    expect(replies[4]?.body).toBe(replies[0]?.body);
  });

  it('may bring a request behind another that expects to be told to go on, and no answer is mixed up with that', async () => {
    const first = 'GET /openapi.json HTTP/1.1\r\nHost: hub\r\n\r\n';
    const expecting = `Host: hub\r\n${AUTHORIZATION()}\r\nExpect: 100-continue\r\n`;
    const [document, ...others] = await exchange(
      stage.url,
      `${first}GET /openapi.json HTTP/1.1\r\n${expecting}\r\n${first}`,
    );
    // Whether it would have sent a body nobody knows, so nothing can come behind it.
    expect(others.map(({ headers, body }) => [headers.get('connection'), body])).toEqual([['close', document?.body]]);

    const report = JSON.stringify({ version: 1 });
    const length = `Content-Length: ${report.length}\r\nConnection: close\r\n\r\n${report}`;
    const path = '/apps/default/access-token/report';
    const replies = await exchange(stage.url, `${first}POST ${path} HTTP/1.1\r\n${expecting}${length}`);
    expect(replies.map(({ status }) => status)).toEqual([200, 100, 200]);
  });

  it('on which a request dribbles in is given up after ten seconds', async () => {
    const startedAt = Date.now();
    const head = `POST /apps/shop/jssdk-config HTTP/1.1\r\nHost: hub\r\n${AUTHORIZATION()}\r\n`;
    const dribble = { bytes: 'x', everyMs: 500 };
    const endings = await Promise.all([
      exchange(stage.url, 'GET /access-token HTTP/1.1\r\nHost: hub\r\n'),
      exchange(stage.url, 'GET /access-token HTTP/1.1\r\nHost: hub\r\nX-Slow: ', dribble),
      exchange(stage.url, 'GET /acc', dribble),
      exchange(stage.url, `${head}Content-Length: 1000\r\n\r\n{`),
      exchange(stage.url, `${head}Content-Length: 1000\r\n\r\n{"url":"`, dribble),
    ]);
    expect(Date.now() - startedAt).toBeLessThan(12_500);
    for (const [reply, ...more] of endings) {
      expect([reply?.status, more]).toEqual([408, []]);
      expect(reply?.headers.get('content-type')).toBe(PROBLEM);
      expect(reply?.headers.get('connection')).toBe('close');
    }
  });
});

describe('GET /apps', () => {
  it('lists name, platform, appid and what each serves', async () => {
    const { status, json, headers } = await stage.ask('/apps');
    expect(status).toBe(200);
    expect(headers.get('content-type')).toMatch(/^application\/json/);
    const kinds = ['access-token', 'ticket'];
    const weixin = { kinds, ticket_types: ['jsapi', 'wx_card', 'sdk'] };
    expect((json['apps'] as object[]).toSorted((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b)))).toEqual([
      { name: 'crm', platform: 'wecom', appid: CRM.corpid, kinds, ticket_types: ['jsapi', 'agent_config'] },
      { name: 'default', platform: 'official-account', appid: APPID, ...weixin },
      { name: 'shop', platform: 'mini-program', appid: SHOP.appid, ...weixin },
    ]);
  });

  it('asks WeChat nothing', async () => {
    await cold.ask('/apps');
    expect(cold.simulator.world.calls).toEqual([]);
  });
});

describe('the body of a request', () => {
  const REPORT = '/apps/shop/access-token/report';
  const SIGN = '/apps/shop/jssdk-config';
  const URL_OF_PAGE = 'https://a.example/';
  const send = (
    path: string,
    body: string | Uint8Array<ArrayBuffer>,
    headers: Record<string, string> = {},
  ): Promise<Reply> => cold.ask(path, { method: 'POST', body, headers });

  it.each([
    ['nothing', ''],
    ['white space', ' \n'],
    ['no JSON', 'url=https://a.example/'],
    ['JSON cut short', '{"url":"https://a.example/"'],
    ['more behind it', '{"url":"https://a.example/"}}'],
    ['a text', '"https://a.example/"'],
    ['a number', '1'],
    ['null', 'null'],
    ['true', 'true'],
    ['an array', '[{"url":"https://a.example/"}]'],
    ['an empty array', '[]'],
    ['an empty object', '{}'],
    ['bytes', '\u0000\u0001'],
  ])('is a JSON object and not %s', async (_, body) => {
    for (const path of [REPORT, SIGN]) expectProblem(await send(path, body), 400, 'malformed-request');
    expect(cold.simulator.world.calls).toEqual([]);
  });

  it.each([
    '{"token":1}',
    '{"token":null}',
    '{"token":["x"]}',
    '{"token":{}}',
    '{"token":""}',
    '{"token":"a b"}',
    '{"token":"a\\u0000"}',
    '{"token":"令牌"}',
    `{"token":"${'x'.repeat(2049)}"}`,
    '{"version":"17"}',
    '{"version":null}',
    '{"version":0}',
    '{"version":-1}',
    '{"version":17.5}',
    '{"version":1e999}',
    '{"version":[17]}',
    '{"token":"x","version":17}',
    '{"token":"x","errcode":"40001"}',
    '{"token":"x","errcode":1.5}',
    '{"token":"x","errcode":null}',
    '{"token":"x","rid":1}',
    `{"token":"x","rid":"${'r'.repeat(65)}"}`,
    '{"token":"x","reason":"dead"}',
    '{"token":"x","__proto__":{}}',
    '{"token":"x","constructor":1}',
    '{"token":"x","token":"y"}',
    '{"errcode":40001}',
    '{"Token":"x"}',
    '{"access_token":"x"}',
  ])('of a report says which value: not %s', async (body) => {
    expectProblem(await send(REPORT, body), 400, 'malformed-request');
    expect(cold.simulator.world.calls).toEqual([]);
  });

  it.each([
    '{"url":1}',
    '{"url":null}',
    '{"url":["https://a.example/"]}',
    '{"url":{}}',
    '{"url":""}',
    '{"url":"a.example"}',
    '{"url":"/page"}',
    '{"url":"//a.example/"}',
    '{"url":"https://"}',
    '{"url":"https:///page"}',
    '{"url":"https:a.example"}',
    '{"url":"https://[::1"}',
    '{"url":"https://a.example:99999/"}',
    '{"url":"ftp://a.example/"}',
    '{"url":"javascript:alert(1)"}',
    '{"url":"data:text/html,x"}',
    '{"url":"file:///etc/passwd"}',
    '{"url":" https://a.example/"}',
    '{"url":"https://a.example/ "}',
    '{"url":"https://a.example/a b"}',
    '{"url":"https://a.example/\\n"}',
    '{"url":"https://a.example/\\u0000"}',
    `{"url":"https://a.example/${'x'.repeat(2048)}"}`,
    '{"url":"https://a.example/","x":1}',
    '{"URL":"https://a.example/"}',
  ])('of a page to sign has its address: not %s', async (body) => {
    const reply = await send(SIGN, body);
    expectProblem(reply, 400, 'malformed-request');
    expect(reply.text).not.toMatch(/example|alert|passwd/);
    expect(cold.simulator.world.calls).toEqual([]);
  });

  it.each([REPORT, SIGN])('comes without parameters: %s', async (path) => {
    for (const query of ['x=1', 'rotate_token=1', '__proto__=1', '%zz']) {
      const reply = await cold.post(`${path}?${query}`, { url: URL_OF_PAGE });
      expectProblem(reply, 400, 'malformed-request');
    }
    expect(cold.simulator.world.calls).toEqual([]);
  });

  it.each([
    'application/json',
    'application/json; charset=utf-8',
    'APPLICATION/JSON',
    'text/plain',
    'text/plain;charset=UTF-8',
    'application/x-www-form-urlencoded',
    'application/octet-stream',
    'multipart/form-data; boundary=x',
    'application/vnd.api+json',
    'nonsense',
    '',
  ])('is read as JSON whatever its Content-Type: %s', async (type) => {
    const reply = await stage.post(SIGN, { url: URL_OF_PAGE }, { headers: { 'Content-Type': type } });
    expect(reply.status).toBe(200);
    const bad = await stage.ask(SIGN, { method: 'POST', body: 'x', headers: { 'Content-Type': type } });
    expectProblem(bad, 400, 'malformed-request');
  });

  it.each([
    ['gzip', { 'Content-Encoding': 'gzip' }, new Uint8Array(gzipSync(JSON.stringify({ url: URL_OF_PAGE })))],
    ['gzip that would grow', { 'Content-Encoding': 'gzip' }, new Uint8Array(gzipSync(Buffer.alloc(5_000_000)))],
    ['an encoding that nobody knows', { 'Content-Encoding': 'x-none' }, new Uint8Array(Buffer.from('{}'))],
    ['another charset', { 'Content-Type': 'application/json; charset=iso-8859-1' }, new Uint8Array(Buffer.from('{}'))],
  ] as const)('is plain: %s is 415', async (_, headers, body) => {
    expectProblem(await send(SIGN, body, headers), 415, 'unsupported-encoding');
    expect(cold.simulator.world.calls).toEqual([]);
  });
});

describe('a report', () => {
  const REPORT = '/apps/crm/access-token/report';

  it('of an old value is superseded, and WeChat is not asked', async () => {
    const { json } = await stage.ask('/apps/shop/access-token');
    stage.simulator.world.clearCalls();
    const byToken = await stage.post('/apps/shop/access-token/report', { token: 'of-yesterday', errcode: 40001 });
    const byVersion = await stage.post('/apps/shop/access-token/report', { version: 1, rid: '6a-b' });
    for (const reply of [byToken, byVersion]) {
      expect(reply.status).toBe(200);
      expect(reply.headers.get('content-type')).toMatch(/^application\/json/);
      expect(reply.json).toEqual({
        verdict: 'superseded',
        ...json,
        expires_in: expect.any(Number) as number,
        expires_at: expect.any(String) as string,
        refresh_after: expect.any(Number) as number,
      });
    }
    expect(stage.simulator.world.calls).toEqual([]);
  });

  it('of a value that lives leaves it as it is', async () => {
    const { json } = await stage.ask('/apps/shop/access-token');
    const { version, access_token } = json;
    const mints = stage.simulator.world.mints(SHOP.appid);
    const reply = await stage.post('/apps/shop/access-token/report', { token: access_token });
    expect(reply.json).toMatchObject({ verdict: 'alive', app: 'shop', version, access_token });
    expect(stage.simulator.world.mints(SHOP.appid)).toBe(mints);
  });

  it('of a value that is dead replaces it', async () => {
    const before = await stage.ask('/apps/crm/access-token');
    const { version, access_token } = before.json as { version: number; access_token: string };
    stage.simulator.world.kill(access_token, 40014);
    const reply = await stage.post(REPORT, { version });
    expect(Object.keys(reply.json)).toEqual(['verdict', ...Object.keys(before.json)]);
    expect(reply.json).toMatchObject({ verdict: 'replaced', app: 'crm', appid: CRM.corpid, kind: 'access-token' });
    expect(reply.json['version']).toBeGreaterThan(version);
    expect(stage.simulator.world.verdict(valueIn(reply)).accepted).toBe(true);
    expect((await stage.ask('/apps/crm/access-token')).json['access_token']).toBe(valueIn(reply));
  });

  it('is for apps that are there', async () => {
    expectNotFound(await cold.post('/apps/no-such-app/access-token/report', { token: 'x' }));
  });
});

describe('a page that wants to use the JS-SDK', () => {
  const sign = (url: string, app = 'default'): Promise<Reply> => stage.post(`/apps/${app}/jssdk-config`, { url });
  const accepts = ({ json }: Reply, url: string, appid: string = APPID): unknown => {
    const { nonceStr, timestamp, signature } = json as { nonceStr: string; timestamp: number; signature: string };
    const claim = { appid, ticketType: 'jsapi', noncestr: nonceStr, timestamp, url, signature } as const;
    return stage.simulator.world.verifySignature(claim);
  };

  it.each([
    'https://shop.example',
    'https://shop.example/',
    'http://mp.weixin.qq.com?params=value',
    'https://shop.example:8443/a/b.html?x=1&y=%E4%BB%B7&z=a+b',
    'https://shop.example/价格?名=值',
    'HTTPS://Shop.Example/Path',
    'https://shop.example/?a=1?b=2&&c',
    'https://shop.example/%7Euser/../x',
    `https://shop.example/${'x'.repeat(2000)}`,
  ])('gets what wx.config wants, and WeChat accepts it: %s', async (url) => {
    const reply = await sign(url);
    expect(reply.status).toBe(200);
    expect(reply.json).toEqual({
      appId: APPID,
      timestamp: expect.any(Number) as number,
      nonceStr: expect.stringMatching(/^[A-Za-z0-9]{8,32}$/) as string,
      signature: expect.stringMatching(/^[0-9a-f]{40}$/) as string,
    });
    expect(Math.abs(Number(reply.json['timestamp']) - Date.now() / 1000)).toBeLessThan(5);
    expect(accepts(reply, url)).toMatchObject({ ok: true });
    expect(accepts(reply, `${url}x`)).toMatchObject({ ok: false });
  });

  it.each(['#', '#top', '#/route?x=1', '#a#b', '#?'])('need not leave out the fragment: %s', async (fragment) => {
    const reply = await sign(`https://shop.example/a?b=c${fragment}`);
    expect(accepts(reply, 'https://shop.example/a?b=c')).toMatchObject({ ok: true });
  });

  it('gets another nonce each time', async () => {
    const replies = await Promise.all(Array.from({ length: 20 }, () => sign('https://shop.example/')));
    expect(new Set(replies.map(({ json }) => json['nonceStr'])).size).toBe(20);
  });

  it.each([
    ['shop', SHOP.appid],
    ['crm', CRM.corpid],
  ])('gets the signature of its own app: %s', async (app, appid) => {
    const reply = await sign('https://shop.example/', app);
    expect(reply.json['appId']).toBe(appid);
    expect(accepts(reply, 'https://shop.example/', appid)).toMatchObject({ ok: true });
  });

  it('never gets the ticket itself', async () => {
    const ticket = await stage.ask('/ticket?type=jsapi');
    expect((await sign('https://shop.example/')).text).not.toContain(ticket.text);
  });

  it('must be of an app that is there', async () => {
    expectNotFound(await stage.post('/apps/no-such-app/jssdk-config', { url: 'https://shop.example/' }));
  });
});

describe('liveness', () => {
  it('needs no token and asks WeChat nothing', async () => {
    for (const path of ['/health/live', '/health/ready']) {
      expect((await cold.ask(path, { token: null })).status).toBe(200);
    }
    expect(cold.simulator.world.calls).toEqual([]);
  });
});
