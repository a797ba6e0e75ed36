import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf, issueSecret } from '../src/config/issued-secret.js';
import { APPID, type Reply, Stage } from './hub.fixture.js';
import { exchange, type WireReply } from './wire.fixture.js';

const CORP = { corpid: 'ww0123456789abcdef', secret: 'corp-secret-6a4d8f0b2e7c9135' };
const ISSUED = { default: issueSecret(), crm: issueSecret() };
const MIB = 1024 * 1024;
const BOUNDARY = '----formdata-7f3a';
/** Chinese text, escapes that a library would undo, and white space that it would leave out. */
const TEXT = '{"touser":"o1", "text":{"content":"你好，\\u4e16界 <b>&\\/ 😀"}}\n';

let stage: Stage;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'wire-'));
  const HUB_CONFIG = join(folder, 'hub.json');
  const apps = { crm: { platform: 'wecom', corpid: CORP.corpid, secret: { env: 'CRM_SECRET' } } };
  const secrets = { default: [digestOf(ISSUED.default)], crm: [digestOf(ISSUED.crm)] };
  writeFileSync(HUB_CONFIG, JSON.stringify({ apps, clients: { sdk: { secrets, apps: '*', may: ['proxy'] } } }));
  stage = await Stage.set();
  const { corpid, secret } = CORP;
  stage.simulator.world.corp({ corpid, agents: [{ agentid: 1, secret }] });
  await stage.restart({ HUB_CONFIG, CRM_SECRET: secret });
});
afterAll(async () => {
  await stage.strike();
  rmSync(folder, { recursive: true });
});

/** How requests of a language's usual HTTP client look, as far as a server can trip over it. */
interface Manner {
  readonly version?: '1.0';
  readonly host?: string;
  readonly lines: readonly string[];
  /** Whether its JSON is sent in chunks. */
  readonly isChunked?: boolean;
  /** As what its JSON goes. */
  readonly json?: string;
}

const MANNERS: Readonly<Record<string, Manner>> = {
  'Java, Apache HttpClient 4': {
    lines: [
      'Connection: Keep-Alive',
      'User-Agent: Apache-HttpClient/4.5.13 (Java/17.0.1)',
      'Accept-Encoding: gzip,deflate',
    ],
    json: 'application/json; charset=utf-8',
  },
  'Java, Apache HttpClient 5': {
    lines: ['Accept-Encoding: gzip, x-gzip, deflate', 'Upgrade: TLS/1.2', 'Connection: Upgrade'],
    json: 'application/json; charset=UTF-8',
  },
  'Java, its own client': {
    lines: [
      'Connection: Upgrade, HTTP2-Settings',
      'HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA',
      'Upgrade: h2c',
    ],
    json: 'application/json',
  },
  'PHP, curl': {
    lines: ['Accept: */*', 'Accept-Encoding: gzip', 'User-Agent: Symfony HttpClient (Curl)'],
    json: 'application/json',
  },
  'PHP, its own streams': { version: '1.0', lines: ['Connection: close'], json: 'application/x-www-form-urlencoded' },
  Go: {
    lines: ['User-Agent: Go-http-client/1.1', 'Accept-Encoding: gzip'],
    json: 'application/json;charset=utf-8',
  },
  'Go, by a transport that leads to the hub': {
    host: 'api.weixin.qq.com',
    lines: ['Accept-Encoding: gzip'],
    isChunked: true,
  },
  'Python, requests': {
    host: 'api.weixin.qq.com',
    lines: [
      'User-Agent: python-requests/2.32.3',
      'Accept-Encoding: gzip, deflate, br',
      'Accept: */*',
      'Connection: keep-alive',
    ],
  },
  '.NET': { lines: ['Accept: */*', 'Cookie: a=b', 'Expect: 100-continue'], json: 'application/x-www-form-urlencoded' },
  'Node, axios': {
    lines: ['Accept: application/json, text/plain, */*', 'Accept-Encoding: gzip, compress, deflate, br'],
    json: 'application/json',
  },
};

const json = ({ body }: WireReply): Reply['json'] => JSON.parse(body) as Reply['json'];
const sha256 = (bytes: Buffer | string): string => createHash('sha256').update(bytes).digest('hex');

/** What ends a connection when everything was answered that came before. */
const LAST = 'GET /health/live HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n';

/** Its answer; what a body was invited by does not count. */
async function send(manner: Manner, line: string, type?: string, body: Buffer = Buffer.alloc(0)): Promise<WireReply> {
  const { version = '1.1', host = 'hub', lines, isChunked = false } = manner;
  const hasBody = body.length > 0;
  const length = isChunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${body.length}`;
  const ofBody = [...(type === undefined ? [] : [`Content-Type: ${type}`]), length];
  const head = [`${line} HTTP/${version}`, `Host: ${host}`, ...lines, ...(hasBody ? ofBody : []), '', ''].join('\r\n');
  const bytes = [Buffer.from(head), hasBody && isChunked ? chunked(body) : body];
  const [reply] = (await exchange(stage.url, Buffer.concat(bytes), { bytes: LAST, everyMs: 100 })).filter(
    ({ status }) => status !== 100,
  );
  if (!reply) throw new Error('no answer came');
  return reply;
}

function chunked(body: Buffer): Buffer {
  const half = body.subarray(0, body.length >> 1);
  const rest = body.subarray(half.length);
  const parts = [half, rest].flatMap((part) => [`${part.length.toString(16)}\r\n`, part, '\r\n']);
  return Buffer.concat([...parts, '0\r\n\r\n'].map((part) => Buffer.from(part)));
}

function upload(file: Buffer): Buffer<ArrayBuffer> {
  const head = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="media"; filename="图.png"\r\nContent-Type: image/png\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), file, Buffer.from(`\r\n--${BOUNDARY}--\r\n`)]);
}

const lastReceived = (path: string) =>
  stage.simulator.world.calls.filter((call) => call.path === path).at(-1)?.received;
const tokenLine = `GET /cgi-bin/token?grant_type=client_credential&appid=${APPID}&secret=${ISSUED.default}`;

describe.each(Object.entries(MANNERS))('%s', (_, manner) => {
  const tokenOf = async (): Promise<string> => String(json(await send(manner, tokenLine))['access_token']);

  it('is given a token, as it is used to from WeChat', async () => {
    const reply = await send(manner, tokenLine);
    expect([reply.status, reply.headers.get('content-type'), reply.headers.get('content-encoding')]).toEqual([
      200,
      'application/json; charset=utf-8',
      undefined,
    ]);
    expect(reply.headers.get('content-length')).toBe(String(reply.body.length));
    expect(json(reply)).toEqual({ access_token: expect.stringMatching(/^wtv_/) as string, expires_in: 7200 });
  });

  it('is given the same when it asks for a stable one', async () => {
    const fields = { grant_type: 'client_credential', appid: APPID, secret: ISSUED.default, force_refresh: true };
    const body = Buffer.from(JSON.stringify(fields));
    expect(json(await send(manner, 'POST /cgi-bin/stable_token', manner.json, body))['access_token']).toBe(
      await tokenOf(),
    );
  });

  it('says what it has to say, byte for byte, also when the token has died', async () => {
    const line = `POST /cgi-bin/message/custom/send?access_token=${await tokenOf()}`;
    stage.simulator.world.killAll(APPID, 40001);
    const { status, headers, body } = await send(manner, line, manner.json, Buffer.from(TEXT));
    expect([status, JSON.parse(body), headers.get('content-encoding')]).toEqual([
      200,
      { errcode: 0, errmsg: 'ok' },
      undefined,
    ]);
    expect(lastReceived('/cgi-bin/message/custom/send')?.sha256).toBe(sha256(TEXT));
  });

  it('uploads five megabytes, and downloads them', async () => {
    const file = randomBytes(5 * MIB);
    const type = `multipart/form-data; boundary=${BOUNDARY}`;
    const whole = { ...manner, isChunked: false };
    const reply = await send(
      whole,
      `POST /cgi-bin/media/upload?type=image&access_token=${await tokenOf()}`,
      type,
      upload(file),
    );
    expect(lastReceived('/cgi-bin/media/upload')?.parts).toMatchObject([{ filename: '图.png', sha256: sha256(file) }]);
    const { body } = await send(
      manner,
      `GET /cgi-bin/media/get?media_id=${String(json(reply)['media_id'])}&access_token=${await tokenOf()}`,
    );
    expect(body.length).toBe(file.length);
  });
});

describe('an SDK', () => {
  const plain: Manner = { lines: [] };
  const corpLine = (path: string): string => `GET ${path}?corpid=${CORP.corpid}&corpsecret=${ISSUED.crm}`;

  it.each<[string, string, Manner]>([
    ['with a base URL that ends in a slash (WxJava)', tokenLine.replace(' /', ' //'), plain],
    [
      'that writes its query in order of the alphabet, and more into it (PowerWeChat)',
      `GET /cgi-bin/token?appid=${APPID}&debug=1&grant_type=client_credential&neededText=&secret=${ISSUED.default}`,
      plain,
    ],
    ['for WeCom, below its prefix', corpLine('/wecom/cgi-bin/gettoken'), plain],
    ['for WeCom, with two slashes', corpLine('/wecom//cgi-bin/gettoken'), plain],
    ['for WeCom, without its prefix (EasyWeChat)', corpLine('/cgi-bin/gettoken'), plain],
    ['for WeCom, by its name', corpLine('/cgi-bin/gettoken'), { lines: [], host: 'qyapi.weixin.qq.com' }],
    ['that sends the whole address, as to a proxy', tokenLine.replace(' /', ' http://api.weixin.qq.com/'), plain],
  ])('%s is given a token', async (_, line, manner) => {
    expect(json(await send(manner, line))).toMatchObject({
      access_token: expect.stringMatching(/^wtv_/) as string,
      expires_in: 7200,
    });
  });

  it('reads from WeCom wherever it was led, also when the token has died', async () => {
    const { access_token: token } = json(await send(plain, corpLine('/wecom/cgi-bin/gettoken')));
    const reads: [string, Manner][] = [
      ['/wecom/cgi-bin/user/get', plain],
      ['/wecom//cgi-bin/user/get', plain],
      ['/cgi-bin/user/get', plain],
      ['/cgi-bin/user/get', { lines: [], host: 'qyapi.weixin.qq.com:443' }],
    ];
    for (const [path, manner] of reads) {
      stage.simulator.world.killAll(CORP.corpid, 40014);
      const line = `GET ${path}?userid=simulated.employee&access_token=${String(token)}`;
      expect(json(await send(manner, line))).toMatchObject({ errcode: 0, userid: 'simulated.employee' });
    }
  });

  it('is invited to send its body, where it waits for that (curl, .NET)', async () => {
    const socket = connect(Number(new URL(stage.url).port), '127.0.0.1');
    const { access_token: token } = json(await send(plain, tokenLine));
    const line = `POST /cgi-bin/message/custom/send?access_token=${String(token)} HTTP/1.1`;
    const body = Buffer.from(TEXT);
    socket.write([line, 'Host: hub', 'Expect: 100-continue', `Content-Length: ${body.length}`, '', ''].join('\r\n'));
    const [invitation] = (await once(socket, 'data')) as [Buffer];
    expect(invitation.toString()).toBe('HTTP/1.1 100 Continue\r\n\r\n');
    socket.write(body);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*"errcode":0/);
    socket.destroy();
  });

  it('is told of a token that is none, though it has megabytes to send first, and goes on by its connection', async () => {
    const type = `multipart/form-data; boundary=${BOUNDARY}`;
    const body = upload(randomBytes(5 * MIB));
    const line = 'POST /cgi-bin/media/upload?type=image&access_token=70_nobody HTTP/1.1';
    const head = [line, 'Host: hub', `Content-Type: ${type}`, `Content-Length: ${body.length}`, '', ''].join('\r\n');
    const bytes = Buffer.concat([
      Buffer.from(head),
      body,
      Buffer.from(`${tokenLine} HTTP/1.1\r\nHost: hub\r\n\r\n`),
      Buffer.from(LAST),
    ]);
    const [refused, given] = await exchange(stage.url, bytes);
    expect([refused && json(refused)['errcode'], given && json(given)]).toEqual([
      40001,
      expect.objectContaining({ expires_in: 7200 }),
    ]);
  });

  it('may post nothing at all, not even how long it is', async () => {
    const { access_token: token } = json(await send(plain, tokenLine));
    const line = `POST /cgi-bin/menu/create?access_token=${String(token)}`;
    expect((await send(plain, line)).status).toBe(200);
    expect(lastReceived('/cgi-bin/menu/create')).toMatchObject({ bytes: 0 });
  });

  it('that offers another protocol is answered by this one, and goes on by its connection (Java)', async () => {
    const socket = connect(Number(new URL(stage.url).port), '127.0.0.1');
    for (let i = 0; i < 3; i += 1) {
      socket.write(`${tokenLine} HTTP/1.1\r\nHost: hub\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n`);
      const [answer] = (await once(socket, 'data')) as [Buffer];
      expect(answer.toString()).toContain('"access_token":"wtv_');
    }
    socket.destroy();
  });
});
