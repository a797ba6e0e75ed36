import { chmodSync, chownSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { APPID, APPSECRET, ask, type Asking, type Reply, Stage, tokenFor, WEB_KEY } from './hub.fixture.js';
import { until } from './redis.fixture.js';

const SECRETS = fileURLToPath(new URL('../dist/gateway/main.js', import.meta.url));
const PROXIED = `wths_${'a1'.repeat(24)}`;
const SPLIT = `wths_${'b2'.repeat(24)}`;
const NARROW = `wths_${'c3'.repeat(24)}`;
const digest = (secret: string): string => `sha256:${createHash('sha256').update(secret).digest('hex')}`;

const clients = {
  proxied: { secrets: { default: [digest(PROXIED)] }, apps: ['default'], may: ['proxy'] },
  split: { secrets: { default: [digest(SPLIT)] }, apps: ['default'] },
  narrow: {
    key: { env: 'NARROW_KEY' },
    secrets: { default: [digest(NARROW)] },
    apps: ['default'],
    may: ['proxy'],
    paths: ['/cgi-bin/user/*'],
  },
};

let stage: Stage;
let folder: string;
let configuration: string;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'gateway-'));
  configuration = join(folder, 'hub.json');
  writeFileSync(configuration, JSON.stringify({ clients }));
  stage = await Stage.set({ NARROW_KEY: WEB_KEY, HUB_CONFIG: configuration });
});
afterEach(async () => {
  await stage.strike();
  rmSync(folder, { recursive: true });
});

/** Asks as an SDK does: with nothing but what stands in the address. */
const sdk = (path: string, init: Asking = {}): Promise<Reply> => stage.ask(path, { token: null, ...init });
const tokenPath = (secret: string, appid = APPID): string =>
  `/cgi-bin/token?grant_type=client_credential&appid=${appid}&secret=${secret}`;
const virtualToken = async (): Promise<string> => String((await sdk(tokenPath(PROXIED))).json['access_token']);
const realToken = async (): Promise<string> => (await stage.ask('/access-token')).text;
const stableBody = (fields: object = {}): Asking => ({
  method: 'POST',
  body: JSON.stringify({ grant_type: 'client_credential', appid: APPID, secret: SPLIT, ...fields }),
  headers: { 'Content-Type': 'application/json; charset=GBK' },
});

describe('an SDK that asks for a token', () => {
  it('is given a virtual one if its calls go through the hub, and WeChat is asked once at most', async () => {
    const [reply, again] = await Promise.all([sdk(tokenPath(PROXIED)), sdk(tokenPath(PROXIED))]);
    const { status, headers, json } = reply;
    expect([status, headers.get('content-type'), headers.get('etag')]).toEqual([
      200,
      'application/json; charset=utf-8',
      null,
    ]);
    expect(json['access_token']).toMatch(/^wtv_[\w-]+$/);
    expect(json['expires_in']).toBe(7200);
    expect(again.json).toEqual(json);
    await realToken();
    expect(stage.simulator.world.count('/cgi-bin/token')).toBe(1);
  });

  it.each([
    ['a token', tokenPath(PROXIED)],
    ['what it did not get', tokenPath('wths_0')],
  ])('hears of %s without tags and packing, on a connection that is kept for longer than a minute', async (_, path) => {
    const { headers } = await sdk(path, { headers: { 'Accept-Encoding': 'gzip, br', 'If-None-Match': '*' } });
    expect(['etag', 'content-encoding', 'set-cookie'].map((name) => headers.get(name))).toEqual([null, null, null]);
    expect(Number(/timeout=(\d+)/.exec(headers.get('keep-alive') ?? '')?.[1])).toBeGreaterThanOrEqual(65);
  });

  it('is told to wait when it asks more than its budget', async () => {
    const { proxied, ...others } = clients;
    const rate = { perSecond: 1, burst: 2 };
    writeFileSync(configuration, JSON.stringify({ clients: { ...others, proxied: { ...proxied, rate } } }));
    await stage.restart();
    const errcodes = [];
    for (let i = 0; i < 3; i += 1) errcodes.push((await sdk(tokenPath(PROXIED))).json['errcode']);
    expect(errcodes).toEqual([undefined, undefined, 45011]);
    expect((await sdk(tokenPath(NARROW))).json).toHaveProperty('access_token');
  });

  it('is given the real one with its honest life if it calls WeChat itself', async () => {
    const { json } = await sdk(tokenPath(SPLIT));
    expect(json['access_token']).toBe(await realToken());
    expect(json['expires_in']).toBeGreaterThan(7190);
    expect(json['expires_in']).toBeLessThanOrEqual(7200);
  });

  it('may ask the other way, too, whatever it says of its charset', async () => {
    const { json } = await sdk('/cgi-bin/stable_token', stableBody());
    expect(json['access_token']).toBe(await realToken());
  });

  it('may write two slashes', async () => {
    expect((await sdk(`/${tokenPath(SPLIT)}`)).json['access_token']).toBe(await realToken());
  });

  it.each([
    ['an appid that nobody has', tokenPath(PROXIED, 'wx1'), 40013],
    ['no appid', '/cgi-bin/token?grant_type=client_credential', 41002],
    ['no secret', `/cgi-bin/token?grant_type=client_credential&appid=${APPID}`, 41004],
    ['another grant', `/cgi-bin/token?grant_type=password&appid=${APPID}&secret=${PROXIED}`, 40002],
    ['a secret that nobody has', tokenPath(`wths_${'0'.repeat(48)}`), 40125],
    ['the AppSecret itself', tokenPath(APPSECRET), 40125],
  ])('hears of %s as WeChat would say it', async (_, path, errcode) => {
    const { status, headers, json } = await sdk(path);
    expect([status, headers.get('content-type'), json['errcode']]).toEqual([
      200,
      'application/json; charset=utf-8',
      errcode,
    ]);
    expect(json['errmsg']).toEqual(expect.any(String));
  });

  it('hears of the wrong method, and of what is no JSON', async () => {
    const { method, headers } = stableBody();
    const errcodes = [
      await sdk(tokenPath(PROXIED), { method: 'POST' }),
      await sdk('/cgi-bin/stable_token'),
      await sdk('/cgi-bin/stable_token', { method: method ?? '', headers: headers ?? {}, body: 'appid=1' }),
    ].map(({ json }) => json['errcode']);
    expect(errcodes).toEqual([43001, 43002, 41002]);
  });

  it('is issued a secret without a change of who may read the file', () => {
    const isRoot = process.getuid?.() === 0;
    if (isRoot) chownSync(configuration, 12345, 54321);
    chmodSync(configuration, 0o664);
    const before = statSync(configuration);
    const about = ['--client', 'proxied', '--app', 'default', '--config', configuration];
    execFileSync(process.execPath, [SECRETS, 'issue', ...about], { stdio: 'ignore' });
    const { mode, uid, gid, size } = statSync(configuration);
    expect([mode, uid, gid]).toEqual([before.mode, before.uid, before.gid]);
    expect(size).toBeGreaterThan(before.size);
  });

  it('has a secret within a second of its issue, and loses it, and its virtual token, within a second of its end', async () => {
    const file = (command: string, ...words: string[]): string =>
      execFileSync(process.execPath, [SECRETS, command, ...words, '--config', configuration], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      }).trim();
    const about = ['--client', 'proxied', '--app', 'default'];
    const secret = file('issue', ...about);
    await until(async () => 'access_token' in (await sdk(tokenPath(secret))).json);
    const { json } = await sdk(tokenPath(secret));
    const users = `/cgi-bin/user/get?access_token=${String(json['access_token'])}`;
    expect((await sdk(users)).json).toHaveProperty('data');
    file('revoke', ...about, '--digest', digest(secret));
    await until(async () => (await sdk(tokenPath(secret))).json['errcode'] === 40125);
    expect((await sdk(users)).json['errcode']).toBe(40001);
    expect(await virtualToken()).toMatch(/^wtv_/);
  });

  it('keeps its virtual token over a restart', async () => {
    const token = await virtualToken();
    await stage.restart();
    expect((await sdk(`/cgi-bin/user/get?access_token=${token}`)).json).toHaveProperty('data');
  });

  it('hears -1 while WeChat is away and nothing is there', async () => {
    stage.simulator.world.faults.add({ kind: 'reset', path: '/cgi-bin/token', times: 100 });
    expect((await sdk(tokenPath(SPLIT))).json['errcode']).toBe(-1);
  });

  it('hears of the day’s quota as WeChat tells it, but of no fault that is the hub’s own', async () => {
    stage.simulator.world.faults.add({ kind: 'errcode', errcode: 45009, path: '/cgi-bin/token', times: 1 });
    expect((await sdk(tokenPath(SPLIT))).json['errcode']).toBe(45009);
    await stage.restart({ DATA_DIR: join(folder, 'data') });
    stage.simulator.world.faults.add({ kind: 'errcode', errcode: 40125, path: '/cgi-bin/token', times: 100 });
    expect((await sdk(tokenPath(SPLIT))).json['errcode']).toBe(-1);
  });

  it.each([
    ['its secret', () => tokenPath(SPLIT)],
    [
      'the secret that its virtual token was given for',
      async () => `/cgi-bin/ticket/getticket?access_token=${await virtualToken()}`,
    ],
  ])('gets nothing if it loses %s while WeChat is asked', async (_, pathOf) => {
    const path = await pathOf();
    if (path.includes('ticket')) await realToken();
    const { world } = stage.simulator;
    world.faults.add({ kind: 'slow', milliseconds: 1500, times: 1 });
    const before = world.calls.length;
    let isAnswered = false;
    const waiting = sdk(path).finally(() => (isAnswered = true));
    await until(() => Promise.resolve(world.calls.length > before));
    writeFileSync(configuration, JSON.stringify({ clients: { narrow: clients.narrow } }));
    await until(async () => (await sdk(tokenPath(PROXIED))).json['errcode'] === 40125);
    expect(isAnswered).toBe(false);
    expect([40125, 40001]).toContain((await waiting).json['errcode']);
  });

  it('has its answer within three seconds, though WeChat takes longer', async () => {
    stage.simulator.world.faults.add({ kind: 'slow', milliseconds: 4000, path: '/cgi-bin/token', times: 1 });
    const startedAt = performance.now();
    expect((await sdk(tokenPath(SPLIT))).json['errcode']).toBe(-1);
    expect(performance.now() - startedAt).toBeLessThan(3000);
  });
});

describe('an SDK that asks for a ticket', () => {
  const ticketPath = (token: string, type = 'jsapi'): string =>
    `/cgi-bin/ticket/getticket?access_token=${token}&type=${type}`;

  it('is given it for its virtual token, or for the real one, also after a restart', async () => {
    const real = String((await sdk(tokenPath(SPLIT))).json['access_token']);
    const ticket = (await stage.ask('/ticket?type=jsapi')).text;
    const wanted = { errcode: 0, errmsg: 'ok', ticket, expires_in: expect.any(Number) as number };
    expect((await sdk(ticketPath(await virtualToken()))).json).toEqual(wanted);
    expect((await sdk(ticketPath(real))).json).toEqual(wanted);
    await stage.restart();
    expect((await sdk(ticketPath(real))).json).toEqual(wanted);
  });

  it.each([
    ['no token', '/cgi-bin/ticket/getticket?type=jsapi', 41001],
    ['a token that nobody knows', ticketPath('70_nobody'), 40001],
  ])('hears of %s as WeChat would say it', async (_, path, errcode) => {
    expect((await sdk(path)).json['errcode']).toBe(errcode);
  });

  it('hears of a type that there is not, and of a path that it may not call', async () => {
    expect((await sdk(ticketPath(await virtualToken(), 'other'))).json['errcode']).toBe(40097);
    const narrow = String((await sdk(tokenPath(NARROW))).json['access_token']);
    expect((await sdk(ticketPath(narrow))).json['errcode']).toBe(48001);
  });
});

describe('a call through the gateway', () => {
  it('reaches WeChat with the real token, and every other byte as it was', async () => {
    const body = '{"touser":"o1","text":{"content":"你好，世界 \\u4f60"} }';
    const init = { method: 'POST', body, headers: { 'Content-Type': 'application/json' } };
    const { json } = await sdk(`/cgi-bin/message/custom/send?access_token=${await virtualToken()}`, init);
    expect(json['errcode']).toBe(0);
    const call = stage.simulator.world.calls.at(-1);
    expect(call).toMatchObject({ path: '/cgi-bin/message/custom/send' });
  });

  it('goes on with one request and no error when the token has died', async () => {
    const token = await virtualToken();
    const users = `/cgi-bin/user/get?access_token=${token}`;
    await sdk(users);
    stage.simulator.world.kill(await realToken());
    expect((await sdk(users)).json).toHaveProperty('data');
    expect(stage.simulator.world.count('/cgi-bin/token')).toBe(2);
    expect(stage.simulator.world.count('/cgi-bin/user/get')).toBe(3);
  });

  it.each([40001, 40014, 42001])('goes on as well when WeChat says %i', async (errcode) => {
    const users = `/cgi-bin/user/get?access_token=${await virtualToken()}`;
    await sdk(users);
    stage.simulator.world.killAll(APPID, errcode);
    expect((await sdk(users)).json).toHaveProperty('data');
    expect(stage.simulator.world.count('/cgi-bin/token')).toBe(2);
  });

  it.each(['/cgi-bin/x', '/wxa/x', '/card/x', '/datacube/x', '/customservice/x', '/of/next/year'])(
    'goes to %s, as to every other path of WeChat’s',
    async (path) => {
      await sdk(`${path}?access_token=${await virtualToken()}`);
      expect(stage.simulator.world.calls.at(-1)).toMatchObject({ path });
    },
  );

  it('replaces a dead token once for a crowd', async () => {
    const users = `/cgi-bin/user/get?access_token=${await virtualToken()}`;
    await sdk(users);
    stage.simulator.world.kill(await realToken());
    const replies = await Promise.all(Array.from({ length: 30 }, () => sdk(users)));
    expect(replies.filter(({ json }) => 'data' in json)).toHaveLength(30);
    expect(stage.simulator.world.count('/cgi-bin/token')).toBe(2);
  });

  it('is stopped when WeChat refuses every token, after a handful of calls', async () => {
    stage.simulator.world.faults.add({ kind: 'errcode', errcode: 40001, path: '/cgi-bin/user/get', times: 1000 });
    const users = `/cgi-bin/user/get?access_token=${await virtualToken()}`;
    const errcodes = new Set<unknown>();
    for (let i = 0; i < 100; i += 1) errcodes.add((await sdk(users)).json['errcode']);
    expect(errcodes).toEqual(new Set([40001, 45011]));
    expect(stage.simulator.world.count('/cgi-bin/user/get')).toBeLessThanOrEqual(6);
    expect(stage.simulator.world.count('/cgi-bin/token')).toBeLessThanOrEqual(4);
  });

  it.each([
    ['no token', '/cgi-bin/user/get', 41001],
    ['no token at WeCom', '/wecom/cgi-bin/user/get', 41001],
    ['a token that nobody knows', '/cgi-bin/user/get?access_token=70_nobody', 40001],
    [
      'a virtual token that another hub made',
      `/cgi-bin/user/get?access_token=wtv_5cgs_${'0'.repeat(64)}_${'A'.repeat(43)}`,
      40001,
    ],
    ['a token that nobody knows at WeCom', '/wecom/cgi-bin/user/get?access_token=nobody', 40014],
    ['a path that says another thing than it seems', '/cgi-bin/user%2f..%2fmenu?access_token=1', 40066],
  ])('is told of %s as WeChat would tell it', async (_, path, errcode) => {
    const { status, json } = await sdk(path);
    expect([status, json['errcode']]).toEqual([200, errcode]);
  });

  it('is refused with the real token, and where the client may not call', async () => {
    const real = String((await sdk(tokenPath(SPLIT))).json['access_token']);
    const narrow = String((await sdk(tokenPath(NARROW))).json['access_token']);
    expect((await sdk(`/cgi-bin/user/get?access_token=${real}`)).json['errcode']).toBe(48001);
    expect((await sdk(`/cgi-bin/user/get?access_token=${narrow}`)).json).toHaveProperty('data');
    expect((await sdk(`/cgi-bin/menu/get?access_token=${narrow}`)).json['errcode']).toBe(48001);
  });

  it('logs users in with the AppSecret, which the client does not know', async () => {
    const login = (secret: string): string =>
      `/sns/jscode2session?appid=${APPID}&secret=${secret}&js_code=c&grant_type=authorization_code`;
    expect(JSON.parse((await sdk(login(PROXIED))).text)).toHaveProperty('openid');
    expect((await sdk(login('wths_0'))).json['errcode']).toBe(40125);
    expect((await sdk(login(SPLIT))).json['errcode']).toBe(48001);
  });

  it('logs users in without the virtual token, which some SDKs send along and WeChat does not know', async () => {
    const token = await virtualToken();
    const asked: string[] = [];
    const wechat = createServer(({ url = '' }, response) => {
      asked.push(url);
      response.end('{}');
    }).listen(0, '127.0.0.1');
    await once(wechat, 'listening');
    await stage.restart({ WECHAT_API_ROOT: `http://127.0.0.1:${(wechat.address() as AddressInfo).port}` });
    await sdk(`/sns/jscode2session?access_token=${token}&appid=${APPID}&secret=${PROXIED}&js_code=c`);
    expect(asked).toEqual([`/sns/jscode2session?appid=${APPID}&secret=${APPSECRET}&js_code=c`]);
    wechat.close();
  });
});

describe('a call of a program of one’s own', () => {
  const own = (path: string, init: Asking = {}): Promise<Reply> =>
    ask(`${stage.url}/apps/default/wechat${path}`, { token: tokenFor('narrow'), ...init });

  it('needs neither token nor secret', async () => {
    expect((await own('/cgi-bin/user/get?next_openid=')).json).toHaveProperty('data');
  });

  it('is refused in the words of the native API', async () => {
    const statuses = [
      await own('/cgi-bin/menu/get'),
      await own('/cgi-bin/user/get?access_token=1'),
      await own('/cgi-bin/user/get', { token: null }),
      await own('/cgi-bin/user/get', { token: tokenFor() }),
      await ask(`${stage.url}/apps/none/wechat/cgi-bin/user/get`, { token: tokenFor('narrow') }),
    ].map(({ status }) => status);
    expect(statuses).toEqual([403, 400, 401, 403, 404]);
  });
});

describe('a client that calls WeChat itself', () => {
  const tokenAgain = async (fields?: object): Promise<unknown> =>
    (await (fields ? sdk('/cgi-bin/stable_token', stableBody(fields)) : sdk(tokenPath(SPLIT)))).json['access_token'];

  it('comes back at once for another token, and the hub sees that it has died', async () => {
    const first = await tokenAgain();
    stage.simulator.world.kill(String(first));
    expect(await tokenAgain()).not.toBe(first);
    expect(stage.simulator.world.count('/cgi-bin/token')).toBe(2);
  });

  it.each([
    ['comes back again and again', undefined],
    ['wants to force another', { force_refresh: true }],
  ])('%s for a token that lives: WeChat is asked a few times whether it does', async (_, fields) => {
    const first = await tokenAgain(fields);
    for (let i = 0; i < 20; i += 1) expect(await tokenAgain(fields)).toBe(first);
    expect(stage.simulator.world.count('/cgi-bin/token')).toBe(1);
    expect(stage.simulator.world.count('/cgi-bin/get_api_domain_ip')).toBeLessThanOrEqual(3);
  });
});
