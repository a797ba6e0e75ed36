import jwt from 'jsonwebtoken';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf, issueSecret } from '../src/config/issued-secret.js';
import { APPID, ask, type Asking, environmentFor, type Reply } from './hub.fixture.js';
import { type Exit, HubProcess, valueOf } from './process.fixture.js';
import { RedisServer, until } from './redis.fixture.js';
import type { Effect } from './simulator/faults.js';
import { Simulator } from './simulator/server.js';
import { exchangeOne } from './wire.fixture.js';

/** A text that nobody else has, and that looks different in every encoding. */
const canary = (): string => `${randomBytes(12).toString('hex')}/+"\\&%=${randomBytes(8).toString('hex')}`;

/** What could be found of a secret, in whatever form it gets somewhere. */
function formsOf(secret: string | Buffer): string[] {
  const bytes = Buffer.from(secret);
  const text = bytes.toString('latin1');
  const encoded = (['base64', 'base64url'] as const).flatMap((encoding) =>
    [0, 1, 2].map((before) =>
      Buffer.concat([Buffer.alloc(before), bytes])
        .toString(encoding)
        .slice(before && before + 1, -4),
    ),
  );
  const hex = bytes.toString('hex');
  const forms = [text, text.slice(0, 12), hex, hex.toUpperCase(), ...encoded];
  if (typeof secret !== 'string') return forms;
  const query = new URLSearchParams({ '': secret }).toString().slice(1);
  return [...forms, encodeURIComponent(secret), query, JSON.stringify(secret).slice(1, -1)];
}

/** What WeChat, or whatever stands between, can say with a secret in it. */
function echoesOf(secret: string): Effect[] {
  const body = (text: string): Effect => ({ kind: 'body', body: text });
  return [
    ...formsOf(secret).map((form): Effect => ({
      kind: 'errcode',
      errcode: 40013,
      errmsg: `invalid ${form}, rid: ${form}`,
    })),
    body(JSON.stringify({ errcode: secret, errmsg: secret })),
    body(JSON.stringify({ access_token: { secret }, ticket: { secret }, expires_in: 7200 })),
    body(JSON.stringify({ access_token: `${secret}\n`, ticket: `${secret}\n`, expires_in: 7200 })),
    body(JSON.stringify({ access_token: 'x', ticket: 'x', expires_in: secret })),
    body(JSON.stringify([secret])),
    body(`{"errcode":40013,"errmsg":"${secret}`),
    body(`<html>${secret}</html>`),
    { kind: 'status', status: 500, body: secret },
    { kind: 'redirect', location: `https://evil.example/${encodeURIComponent(secret)}` },
    { kind: 'oversized' },
    { kind: 'empty' },
    { kind: 'reset' },
  ];
}

/** What WeChat, or a proxy on the way to it, can say to a client whose call it was, with the hub's credential in it. */
function quotesOf(credential: string): Effect[] {
  const address = `/cgi-bin/x?secret=${encodeURIComponent(credential)}`;
  return [
    { kind: 'errcode', errcode: 48001, errmsg: `not with ${credential}, rid: ${address}` },
    { kind: 'body', body: JSON.stringify({ errcode: 47001, asked: { address, credential } }) },
    { kind: 'body', body: `<html>${'-'.repeat(9000)}${credential}${address}</html>`, contentType: 'text/html' },
    { kind: 'status', status: 502, body: `${address} ${credential}` },
    { kind: 'redirect', location: `https://evil.example${address}` },
  ];
}

const ECHOES = echoesOf('').length;

/** In place of AppSecrets: for a client whose calls go through the hub, and for one that calls WeChat itself. */
const ISSUED = { proxied: issueSecret(), split: issueSecret() };
const tokenPath = (appid: string, issued: string, grant = 'client_credential'): string =>
  `/cgi-bin/token?grant_type=${grant}&appid=${appid}&secret=${issued}`;

const officialAccount = (appid: string, secret: object) => ({ platform: 'official-account', appid, secret });

/** An app whose secret stands in a file, and as many more as there are echoes, for a token and for a ticket each. */
const HUB_FILE = JSON.stringify({
  apps: {
    shop: officialAccount('wxshop', { file: 'shop' }),
    ...Object.fromEntries(
      ['token', 'ticket'].flatMap((kind) =>
        Array.from({ length: ECHOES }, (_, i) => [
          `${kind}-${i}`,
          officialAccount(`wx${kind}${i}`, { env: 'APPSECRET' }),
        ]),
      ),
    ),
  },
  clients: {
    other: { key: { file: 'file-key' }, apps: ['shop'] },
    proxied: { secrets: { default: [digestOf(ISSUED.proxied)] }, apps: ['default'], may: ['proxy'] },
    split: { secrets: { default: [digestOf(ISSUED.split)] }, apps: ['default'], may: ['read'] },
  },
});

/** Secrets by name, and what was seen where nobody should see them. */
class Canaries {
  private readonly secrets = new Map<string, string | Buffer>();

  /** Makes a new one. */
  keep(name: string): string {
    const secret = canary();
    this.add(name, secret);
    return secret;
  }

  add(name: string, secret: string | Buffer): void {
    this.secrets.set(name, secret);
  }

  /** Where which secrets are, in places where they should not be. */
  in(places: Readonly<Record<string, string>>): string[] {
    const found = [...this.secrets].flatMap(([name, secret]) => {
      const forms = formsOf(secret);
      return Object.entries(places)
        .filter(([, text]) => forms.some((form) => text.includes(form)))
        .map(([place]) => `${name} in ${place}`);
    });
    return [...new Set(found)];
  }
}

/** A client that hears everything, and remembers what it did not ask for. */
class Listener {
  private answers = '';
  private tokens = 0;

  constructor(
    private readonly url: string,
    private readonly key: string,
    private readonly canaries: Canaries,
  ) {}

  get heard(): string {
    return this.answers;
  }

  /** Asks for a value, which is a secret from now on. */
  async value(path: string): Promise<string> {
    const reply = await this.ask(path);
    if (reply.status !== 200) throw new Error(`${path}: ${reply.status}`);
    this.answers += JSON.stringify([...reply.headers]);
    const value = valueOf(reply) || reply.text;
    this.canaries.add(`the value ${this.tokens} of ${path}`, value);
    return value;
  }

  /** Asks for something in which nothing secret may be. */
  async hears(path: string, init: Asking = {}): Promise<number> {
    const { status, text, headers } = await this.ask(path, init);
    this.answers += `${text}\n${JSON.stringify([...headers])}\n`;
    return status;
  }

  /** Sends a request line and header lines as they are. */
  async hearsRaw(requestLine: string, lines: readonly string[]): Promise<void> {
    this.answers += (await exchangeOne(this.url, requestLine, lines)).raw;
  }

  private ask(path: string, init: Asking = {}): Promise<Reply> {
    this.tokens += 1;
    const claims = { aud: 'wechat-token-hub', jti: randomBytes(12).toString('hex') };
    const token = jwt.sign(claims, this.key, { keyid: 'web', expiresIn: 60 });
    const [, payload = '', signature = ''] = token.split('.');
    this.canaries.add(`the payload of JWT ${this.tokens}`, payload);
    this.canaries.add(`the signature of JWT ${this.tokens}`, signature);
    return ask(this.url + path, { token, ...init });
  }
}

const MONITOR_PATIENCE_MS = 10_000;

/** All that Redis is asked, as whoever may use MONITOR sees it. */
async function monitor(port: number): Promise<{ readonly text: () => string; stop(): void }> {
  const socket = connect(port, '127.0.0.1');
  let text = '';
  socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk));
  socket.write('MONITOR\r\n');
  await once(socket, 'data', { signal: AbortSignal.timeout(MONITOR_PATIENCE_MS) });
  return { text: () => text, stop: () => socket.destroy() };
}

describe('no secret is to be found', () => {
  let simulator: Simulator;
  let folder: string;
  let canaries: Canaries;
  let environment: Record<string, string>;
  let secret: string;
  let key: string;
  let shopSecret: string;
  const hubs: HubProcess[] = [];
  const file = (name: string): string => join(folder, name);

  const launch = (more: Readonly<Record<string, string | undefined>> = {}): HubProcess => {
    // What people set when they look for something.
    const hub = HubProcess.launch({ ...environment, LOG_LEVEL: 'debug', DEBUG: '*', ...more });
    hubs.push(hub);
    return hub;
  };

  beforeEach(async () => {
    simulator = await Simulator.start();
    folder = mkdtempSync(join(tmpdir(), 'canary-'));
    canaries = new Canaries();
    [secret, key, shopSecret] = [
      canaries.keep('AppSecret'),
      canaries.keep('key'),
      canaries.keep('AppSecret in a file'),
    ];
    simulator.world.account({ appid: APPID, secret, kind: 'official-account' });
    simulator.world.account({ appid: 'wxshop', secret: shopSecret, kind: 'official-account' });
    for (let i = 0; i < ECHOES; i += 1) {
      simulator.world.account({ appid: `wxtoken${i}`, secret, kind: 'official-account' });
      simulator.world.account({ appid: `wxticket${i}`, secret, kind: 'official-account' });
    }
    for (const [name, issued] of Object.entries(ISSUED)) canaries.add(`the secret of ${name}`, issued);
    const storeKey = randomBytes(32);
    canaries.add('STORE_KEY', storeKey.toString('base64'));
    canaries.add('STORE_KEY in bytes', storeKey);
    writeFileSync(file('shop'), shopSecret);
    writeFileSync(file('file-key'), canaries.keep('key in a file'));
    writeFileSync(file('hub.yaml'), HUB_FILE);
    environment = {
      ...environmentFor(simulator, file('data')),
      APPSECRET: secret,
      JWT_KEY_web: key,
      STORE_KEY: storeKey.toString('base64'),
      HUB_CONFIG: file('hub.yaml'),
      AUDIT_FILE: file('audit'),
    };
  });
  afterEach(async () => {
    await Promise.all(hubs.splice(0).map((hub) => hub.kill()));
    await simulator.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** All that a hub does in its life, good and bad, and what was heard of it. */
  async function live(hub: HubProcess): Promise<Listener> {
    const listener = new Listener(hub.url, key, canaries);
    const token = await listener.value('/access-token');
    const ticket = await listener.value('/ticket?type=jsapi');
    await listener.value('/apps/shop/access-token');
    await listener.value('/apps/shop/ticket?type=wx_card');
    const signing = { method: 'POST', body: JSON.stringify({ url: `https://shop.example/?token=${token}#${ticket}` }) };
    expect(await listener.hears('/apps/default/jssdk-config', signing)).toBe(200);

    // What clients do that should not.
    for (const each of [token, ticket, secret, key]) {
      const text = encodeURIComponent(each);
      await listener.hears(`/apps/${text}/access-token`);
      await listener.hears(`/ticket?type=${text}`);
      await listener.hears(`/access-token?${text}=1`);
      await listener.hears(`/access-token?rotate_token=${text}&rotate_token=${text}`);
      await listener.hears('/access-token', { token: each.replace(/[^\w.-]/g, '') });
      await listener.hears('/access-token', { token: null, headers: { Authorization: `Basic ${btoa(each)}` } });
      const wrong = jwt.sign({ aud: each, sub: each }, key, { keyid: 'web' });
      await listener.hears('/access-token', { token: wrong });
      for (const body of [
        each,
        `{"token":"${each}`,
        JSON.stringify({ [each]: each }),
        JSON.stringify({ version: each }),
      ]) {
        await listener.hears('/apps/default/access-token/report', { method: 'POST', body });
      }
      await listener.hearsRaw(`GET /access-token?rotate_token=${text}\0 HTTP/1.1`, []);
      await listener.hearsRaw('GET /access-token HTTP/1.1', [`Authorization: Bearer\0${each}`]);
      await listener.hearsRaw(`GET /${text.repeat(60)} HTTP/1.1`, []);
    }

    // What WeChat does: each of these apps meets one fault.
    for (const [i, effect] of echoesOf(secret).entries()) {
      simulator.world.faults.add({ ...effect, appid: `wxtoken${i}` });
      expect([502, 503]).toContain(await listener.hears(`/apps/token-${i}/access-token`));
      const value = await listener.value(`/apps/ticket-${i}/access-token`);
      const echo = echoesOf(value)[i] ?? effect;
      simulator.world.faults.add({ ...echo, appid: `wxticket${i}`, path: '/cgi-bin/ticket/getticket' });
      expect([502, 503]).toContain(await listener.hears(`/apps/ticket-${i}/ticket?type=jsapi`));
      await listener.hears(`/apps/ticket-${i}/access-token?rotate_token=${encodeURIComponent(value)}`);
    }
    await listener.hears('/health/ready', { token: null });
    simulator.world.faults.clear();
    simulator.world.outage('127.0.0.1', true);
    await listener.hears('/ticket?type=sdk');
    await listener.hears('/apps/default/access-token/report', { method: 'POST', body: JSON.stringify({ token }) });
    simulator.world.outage('127.0.0.1', false);

    // What operators do.
    const edits: readonly (readonly [string, string])[] = [
      [file('hub.yaml'), HUB_FILE.replace('{"file":"shop"}', JSON.stringify(secret))],
      [file('hub.yaml'), `${HUB_FILE}\n  : ${key}: [${secret}`],
      [
        file('hub.yaml'),
        JSON.stringify({
          apps: { x: { platform: secret, appid: key } },
          clients: { x: { key, apps: key, may: [secret] } },
        }),
      ],
      [file('shop'), ''],
      [file('shop'), `${shopSecret}${'\0'.repeat(70_000)}`],
      [file('file-key'), `-----BEGIN PRIVATE KEY-----\n${secret}`],
      [file('shop'), canaries.keep('wrong AppSecret')],
    ];
    let reports = 0;
    const isTold = async (): Promise<void> => {
      reports += 1;
      await until(() => Promise.resolve(hub.output.split('The new configuration is').length > reports));
    };
    for (const [path, text] of edits) {
      const before = readFileSync(path);
      writeFileSync(path, text);
      await isTold();
      await listener.hears('/health/ready', { token: null });
      await listener.hears('/apps/shop/ticket?type=jsapi');
      writeFileSync(path, before);
      await isTold();
    }
    await liveWithSdks(listener);
    for (const path of ['/metrics', '/openapi.json', '/health/ready', '/health/live']) {
      expect(await listener.hears(path, { token: null })).toBe(200);
    }
    expect(await listener.hears('/apps')).toBe(200);
    return listener;
  }

  /** What SDKs do, good and bad, and what WeChat says to it. */
  async function liveWithSdks(listener: Listener): Promise<void> {
    const virtual = await listener.value(tokenPath(APPID, ISSUED.proxied));
    expect(virtual).toMatch(/^wtv_/);
    const real = await listener.value(tokenPath(APPID, ISSUED.split));
    await listener.value(`/cgi-bin/ticket/getticket?access_token=${virtual}&type=jsapi`);
    const users = `/cgi-bin/user/get?access_token=${virtual}`;
    const login = `/sns/jscode2session?appid=${APPID}&secret=${ISSUED.proxied}&grant_type=authorization_code`;
    expect(await listener.hears(users)).toBe(200);
    expect(await listener.hears(`${login}&js_code=c`)).toBe(200);
    for (const [i, quote] of quotesOf(real).entries()) {
      simulator.world.faults.add({ ...quote, path: '/cgi-bin/user/get', times: 1 });
      await listener.hears(users);
      const fault = quotesOf(secret)[i] ?? quote;
      simulator.world.faults.add({ ...fault, path: '/sns/jscode2session', times: 1 });
      await listener.hears(`${login}&js_code=${i}`);
    }
    simulator.world.faults.clear();

    for (const each of [...Object.values(ISSUED), virtual, real, secret]) {
      const text = encodeURIComponent(each);
      await listener.hears(tokenPath('wxnobody', text));
      await listener.hears(tokenPath(text, text));
      await listener.hears(tokenPath(APPID, text, text));
      await listener.hears(tokenPath(APPID, `x${text}`));
      await listener.hears(tokenPath(APPID, text), { method: 'PUT' });
      await listener.hears(`/cgi-bin/${text}?access_token=x${text}`);
      await listener.hears(`/wecom/cgi-bin/gettoken?corpid=${text}&corpsecret=${text}`);
      await listener.hears(`/cgi-bin/ticket/getticket?access_token=${text}x&type=${text}`);
      await listener.hears(`/sns/oauth2/access_token?appid=${APPID}&secret=x${text}&code=${text}`);
      await listener.hears(`/sns/userinfo?access_token=${text}&openid=${text}`);
      await listener.hears(`/apps/default/wechat/cgi-bin/user/get?access_token=${text}`);
      await listener.hears('/cgi-bin/stable_token', { method: 'POST', body: `{"secret":"${each}` });
      await listener.hearsRaw(`GET /cgi-bin/token?secret=${text.repeat(60)} HTTP/1.1`, []);
      await listener.hearsRaw(`GET /cgi-bin/user/get?access_token=${text} HTTP/1.1`, ['Host: other']);
    }
    simulator.world.killAll(APPID, 40001);
    expect(await listener.hears(users, { method: 'POST', body: ISSUED.split })).toBe(200);
    simulator.world.faults.add({ kind: 'reset', path: '/cgi-bin/user/get', times: 1 });
    await listener.hears(users);
    await listener.value('/access-token');
  }

  const contentsOf = (path: string): string =>
    readdirSync(path)
      .map((name) => readFileSync(join(path, name), 'latin1'))
      .join('\n');

  it('in what a hub on a folder prints, answers and stores', async () => {
    const hub = launch();
    await hub.listens();
    const listener = await live(hub);
    const whileItRuns = contentsOf(file('data'));
    hub.signal('SIGTERM');
    expect(await hub.exited).toEqual({ code: 0, signal: null });
    const places = {
      output: hub.output,
      answers: listener.heard,
      'the folder': whileItRuns + contentsOf(file('data')),
      'the audit': readFileSync(file('audit'), 'utf8'),
    };
    expect(places['the audit']).toContain('"hand-out"');
    expect(canaries.in(places)).toEqual([]);
    expect((statSync(file('data')).mode & 0o777).toString(8)).toBe('700');
    const modes = readdirSync(file('data')).map((name) =>
      (statSync(join(file('data'), name)).mode & 0o777).toString(8),
    );
    expect(new Set(modes)).toEqual(new Set(['600']));
  }, 120_000);

  it('in what a hub on Redis prints, answers, sends and stores', async () => {
    // Compressed, a secret could hide from the search.
    const redis = await RedisServer.start('--rdbcompression', 'no');
    const password = canaries.keep('password of Redis');
    try {
      await redis.ask('ACL', 'SETUSER', 'hub', 'on', `>${password}`, 'allkeys', 'allchannels', 'allcommands');
      const heardByRedis = await monitor(redis.port);
      const url = `redis://hub:${encodeURIComponent(password)}@127.0.0.1:${redis.port}`;
      const hub = launch({ REDIS_URL: url });
      await hub.listens();
      const listener = await live(hub);
      await redis.save();
      const dump = readFileSync(redis.dump, 'latin1');
      expect(dump).toContain('weixin');
      heardByRedis.stop();
      await redis.kill();
      await hub.says(/cannot be reached/);
      await listener.hears('/health/ready', { token: null });
      hub.signal('SIGTERM');
      expect(await hub.exited).toEqual({ code: 0, signal: null });
      const places = { output: hub.output, answers: listener.heard, MONITOR: heardByRedis.text(), dump };
      expect(canaries.in(places)).toEqual([]);
    } finally {
      await redis.stop();
    }
  }, 120_000);

  it('in the report of a start that fails', async () => {
    const badly: Readonly<Record<string, Readonly<Record<string, string>>>> = {
      'a key that is none': { STORE_KEY: canaries.keep('a bad STORE_KEY') },
      'an address that is none': { REDIS_URL: `redis:/${canaries.keep('a bad REDIS_URL')}@x` },
      'a secret given twice': { APPSECRET_FILE: file('shop') },
      'a secret for a number': { PORT: canaries.keep('a bad PORT') },
      'a secret for an address': { WECHAT_API_ROOT: `https://x:${canaries.keep('a bad root')}@y` },
      'a secret in the file': { HUB_CONFIG: file('bad.yaml') },
      'a secret for a file': { JWT_KEY_x_FILE: file(canaries.keep('a bad path').replaceAll('/', '')) },
      'a PEM for a key': { JWT_KEY_x: `-----BEGIN PUBLIC KEY-----\n${canaries.keep('a PEM')}` },
      'what Node would print': { NODE_DEBUG: 'http,net,tls,https' },
    };
    writeFileSync(file('bad.yaml'), `apps: { x: { secret: '${secret.replaceAll("'", '')}' }\n : ${key}`);
    const outputs: Record<string, string> = {};
    const failing = Object.entries(badly).map(([how, more]) => [how, launch(more)] as const);
    for (const [how, hub] of failing) {
      expect([how, await hub.exited]).toEqual([how, { code: 78, signal: null }]);
      outputs[how] = hub.output;
    }
    expect(canaries.in(outputs)).toEqual([]);
    expect(outputs['what Node would print']).toContain('NODE_DEBUG: must not be set');
  }, 60_000);

  it.each([
    ['an error that nobody catches', 'throw'],
    ['a promise that nobody waits for', 'reject'],
  ])('in what is left of a hub that ends by %s', async (_, how) => {
    const preload = file('crash.cjs');
    // What axios makes of a call that failed; Node would print it with the request and all.
    const error = `Object.assign(new Error('bad ' + process.env.APPSECRET), {
      config: { url: '/cgi-bin/token?secret=' + process.env.APPSECRET }, key: process.env.JWT_KEY_web })`;
    const crash = how === 'throw' ? `throw ${error}` : `Promise.reject(${error})`;
    writeFileSync(preload, `process.on('SIGUSR2', () => setImmediate(() => { ${crash}; }));`);
    const hub = launch({ NODE_OPTIONS: `--require ${preload}` });
    await hub.listens();
    const listener = new Listener(hub.url, key, canaries);
    await listener.value('/access-token');
    hub.signal('SIGUSR2');
    expect(await hub.exited).toEqual<Exit>({ code: 1, signal: null });
    expect(hub.output).toMatch(/fails in a way that nobody foresaw, and ends: Error\n\s+at .*crash\.cjs:\d+/);
    expect(canaries.in({ output: hub.output, 'the folder': contentsOf(file('data')) })).toEqual([]);
  });

  it('by others on the machine, in a folder that was open to them', async () => {
    const first = launch();
    await first.listens();
    first.signal('SIGTERM');
    await first.exited;
    for (const name of readdirSync(file('data'))) chmodSync(join(file('data'), name), 0o644);
    const second = launch();
    await second.listens();
    expect(second.output).toMatch(/credentials\.db was open to every user of this machine/);
    const modes = readdirSync(file('data')).map((name) =>
      (statSync(join(file('data'), name)).mode & 0o777).toString(8),
    );
    expect(new Set(modes)).toEqual(new Set(['600']));
  });

  it('in what rekeying prints, which is counts', async () => {
    const hub = launch();
    await hub.listens();
    await new Listener(hub.url, key, canaries).value('/access-token');
    const newer = randomBytes(32).toString('base64');
    canaries.add('the newer STORE_KEY', newer);
    const env = { PATH: process.env['PATH'], ...environment, STORE_KEY: `${newer},${environment['STORE_KEY'] ?? ''}` };
    const rekey = (): { status: number | null; said: string } => {
      const { status, stdout, stderr } = spawnSync('npm', ['run', '--silent', 'rekey'], { env });
      return { status, said: `${stdout.toString()}${stderr.toString()}` };
    };
    const meanwhile = rekey();
    expect([meanwhile.status, meanwhile.said]).toEqual([78, expect.stringContaining('another hub is using DATA_DIR')]);
    hub.signal('SIGTERM');
    await hub.exited;
    const [first, again] = [rekey(), rekey()];
    expect(first).toEqual({
      status: 0,
      said: '1 record(s), 1 of them sealed anew with the newest key. Nothing needs an older key any more.\n',
    });
    expect(again.said).toMatch(/^1 record\(s\), 0 of them/);
    const next = launch({ STORE_KEY: newer });
    await next.listens();
    expect(simulator.world.count('/cgi-bin/token')).toBe(1);
    await new Listener(next.url, key, canaries).value('/access-token');
    expect(simulator.world.count('/cgi-bin/token')).toBe(1);
    expect(canaries.in({ output: meanwhile.said + first.said + again.said + next.output })).toEqual([]);
  }, 60_000);
});
