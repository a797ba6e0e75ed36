import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, get, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { digestOf, issueSecret } from '../src/config/issued-secret.js';
import { APPID, APPSECRET, ask, type Asking, heapInUse, type Reply, Stage, tokenFor, WEB_KEY } from './hub.fixture.js';
import { exchangeOne } from './wire.fixture.js';

const PROXIED = issueSecret();
const NARROW = issueSecret();
const SPLIT = issueSecret();
const MIB = 1024 * 1024;
const STORE_KEY = Buffer.alloc(32, 7).toString('base64');

const HUB_FILE = {
  clients: {
    proxied: { secrets: { default: [digestOf(PROXIED)] }, apps: ['default'], may: ['proxy'] },
    narrow: {
      secrets: { default: [digestOf(NARROW)] },
      apps: ['default'],
      may: ['read'],
      paths: ['/cgi-bin/user/*'],
    },
    split: { secrets: { default: [digestOf(SPLIT)] }, apps: ['default'], may: ['read'] },
    own: { key: { env: 'OWN_KEY' }, apps: ['default'], may: ['proxy'] },
  },
};

/** What stands in WeChat's place and answers as it is told, by path; tokens it gives as WeChat does. */
class Liar {
  readonly tokens: string[] = [];
  readonly calls: string[] = [];
  private readonly lies = new Map<string, (response: ServerResponse, request: IncomingMessage) => void>();
  private readonly server = createServer((request, response) => {
    const { url = '' } = request;
    request.resume();
    response.setHeader('Content-Type', 'application/json');
    if (url.startsWith('/cgi-bin/token?')) {
      this.tokens.push(`70_real-${this.tokens.length}-${'t'.repeat(40)}`);
      response.end(JSON.stringify({ access_token: this.tokens.at(-1), expires_in: 7200 }));
      return;
    }
    this.calls.push(url);
    const lie = this.lies.get(url.split('?')[0] ?? '');
    if (lie) lie(response, request);
    else response.end('{"errcode":0}');
  });

  static async start(): Promise<Liar> {
    const liar = new Liar();
    liar.server.listen(0, '127.0.0.1');
    await once(liar.server, 'listening');
    return liar;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  on(path: string, lie: (response: ServerResponse, request: IncomingMessage) => void): void {
    this.lies.set(path, lie);
  }

  /** How often it was asked for a path. */
  count(path: string): number {
    return this.calls.filter((url) => url.startsWith(`${path}?`)).length;
  }

  stop(): void {
    this.server.closeAllConnections();
    this.server.close();
  }
}

let liar: Liar;
let stage: Stage;
let folder: string;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'gateway-'));
  const HUB_CONFIG = join(folder, 'hub.json');
  writeFileSync(HUB_CONFIG, JSON.stringify(HUB_FILE));
  liar = await Liar.start();
  const AUDIT_FILE = join(folder, 'audit');
  stage = await Stage.set({ HUB_CONFIG, OWN_KEY: WEB_KEY, WECHAT_API_ROOT: liar.url, AUDIT_FILE, STORE_KEY });
});
afterEach(async () => {
  await stage.strike();
  liar.stop();
  rmSync(folder, { recursive: true });
});

const sdk = (path: string, init: Asking = {}): Promise<Reply> => stage.ask(path, { token: null, ...init });
const tokenPath = (secret: string): string =>
  `/cgi-bin/token?grant_type=client_credential&appid=${APPID}&secret=${secret}`;
const tokenOf = async (secret: string): Promise<string> => String((await sdk(tokenPath(secret))).json['access_token']);
const own = (path: string, init: Asking = {}): Promise<Reply> =>
  ask(`${stage.url}/apps/default/wechat${path}`, { token: tokenFor('own'), ...init });
const BLAME = '{"errcode":40001,"errmsg":"invalid credential"}';

/** Everything that a client hears of an answer. */
const heard = ({ text, headers }: Reply): string => text + JSON.stringify([...headers]);

describe('a client that may but proxy', () => {
  it.each<[string, (response: ServerResponse, request: IncomingMessage) => void]>([
    [
      'sends it elsewhere',
      (response, { url }) => response.writeHead(302, { Location: `https://x.example${url}` }).end(),
    ],
    ['quotes it in a header', (response, { url }) => response.setHeader('X-Asked', url ?? '').end('{}')],
    ['quotes it in an error', (response, { url }) => response.end(JSON.stringify({ errcode: 48001, errmsg: url }))],
    [
      'quotes it in a page',
      (response, { url = '' }) => {
        response.writeHead(502, { 'Content-Type': 'text/html' }).write('<html>'.repeat(3000) + url.slice(0, 60));
        setTimeout(() => response.end(`${url.slice(60)}</html>`), 20);
      },
    ],
  ])('does not learn the real token from an upstream that %s', async (_, lie) => {
    liar.on('/cgi-bin/x', lie);
    const replies = [await sdk(`/cgi-bin/x?access_token=${await tokenOf(PROXIED)}`), await own('/cgi-bin/x')];
    expect(liar.count('/cgi-bin/x')).toBe(2);
    for (const reply of replies) {
      expect(heard(reply)).not.toContain(liar.tokens[0]);
      expect(heard(reply)).toContain(`access_token=${'*'.repeat(liar.tokens[0]?.length ?? 0)}`.slice(0, 20));
    }
  });

  it('does not learn the AppSecret from an upstream that quotes it', async () => {
    liar.on('/sns/jscode2session', (response, { url }) =>
      response.end(JSON.stringify({ errcode: 40029, errmsg: url })),
    );
    const reply = await sdk(`/sns/jscode2session?appid=${APPID}&secret=${PROXIED}&js_code=c`);
    expect(reply.json['errcode']).toBe(40029);
    expect(liar.calls.at(-1)).toContain(APPSECRET);
    expect(heard(reply)).not.toContain(APPSECRET);
  });

  it('costs WeChat one token, whatever it makes it say of tokens, and between what calls', async () => {
    liar.on('/cgi-bin/x', (response) => response.end(BLAME));
    const token = await tokenOf(PROXIED);
    for (let i = 0; i < 2; i += 1) {
      await sdk(`/cgi-bin/x?access_token=${token}`);
      await sdk(`/cgi-bin/x?access_token=${token}`, { method: 'POST', body: Buffer.alloc(3 * MIB) });
      expect((await sdk(`/cgi-bin/y?access_token=${token}`)).json['errcode']).toBe(0);
    }
    expect(liar.tokens.length).toBeLessThanOrEqual(2);
    expect(liar.count('/cgi-bin/get_api_domain_ip')).toBeLessThanOrEqual(2);
  }, 20_000);

  it('makes no call with two tokens, however the second is written', async () => {
    const token = await tokenOf(PROXIED);
    for (const more of [`access_token=${token}`, 'access%5Ftoken=other', '%61ccess_token']) {
      expect((await sdk(`/cgi-bin/x?access_token=${token}&${more}`)).json['errcode']).toBe(40066);
    }
    expect((await own('/cgi-bin/x?access%5Ftoken=other')).status).toBe(400);
    const login = `/sns/jscode2session?appid=${APPID}&secret=${PROXIED}&js_code=c`;
    expect((await sdk(`${login}&%73ecret=x`)).json['errcode']).toBe(40066);
    expect((await sdk(`${login}&appid=wxother`)).json['errcode']).toBe(40066);
    expect(liar.count('/cgi-bin/x') + liar.count('/sns/jscode2session')).toBe(0);
  });

  it('is not kept from calling by bodies that it breaks off, nor keeps more of them than sixteen', async () => {
    const token = await tokenOf(PROXIED);
    const sockets = Array.from({ length: 40 }, () => {
      const socket = connect(Number(new URL(stage.url).port), '127.0.0.1').on('error', () => undefined);
      const size = 2 * MIB;
      socket.write(`POST /cgi-bin/x?access_token=${token} HTTP/1.1\r\nHost: hub\r\nContent-Length: ${size}\r\n\r\n`);
      socket.write(Buffer.alloc(size - 1));
      return socket;
    });
    // What is not kept is on its way to WeChat already.
    while (liar.count('/cgi-bin/x') < 24) await delay(20);
    await delay(100);
    expect(liar.count('/cgi-bin/x')).toBe(24);
    for (const socket of sockets) socket.destroy();
    await delay(200);
    expect((await sdk(`/cgi-bin/y?access_token=${token}`)).json['errcode']).toBe(0);
    // All of the room is there again.
    expect((await sdk(`/cgi-bin/y?access_token=${token}`, { method: 'POST', body: '{}' })).json['errcode']).toBe(0);
  });
});

describe('whoever shows nothing', () => {
  const userinfo = '/sns/userinfo?access_token=of-a-user&openid=o';

  it('writes no body into the memory of the hub, and no records', async () => {
    const posted = await sdk(userinfo, { method: 'POST', body: Buffer.alloc(MIB) });
    expect([posted.json['errcode'], liar.calls]).toEqual([43001, []]);
    const before = readFileSync(join(folder, 'audit'), 'utf8').split('\n').length;
    for (let i = 0; i < 20; i += 1) await sdk(userinfo);
    expect(liar.count('/sns/userinfo')).toBe(20);
    expect(readFileSync(join(folder, 'audit'), 'utf8').split('\n')).toHaveLength(before);
  });

  it.each(['/sns/other', '/SNS/userinfo', '/sns/userinfo/', '/sns'])(
    'gets nowhere below %s, and neither does a client',
    async (path) => {
      const token = await tokenOf(PROXIED);
      expect((await sdk(`${path}?access_token=${token}`)).json['errcode']).toBe(48001);
      expect((await own(path)).status).toBe(403);
      expect(liar.calls).toEqual([]);
    },
  );
});

describe('a client with a JWT', () => {
  it('logs users in without the AppSecret, and is not shown it', async () => {
    const reply = await own('/sns/jscode2session?js_code=c&grant_type=authorization_code');
    expect(reply.json['errcode']).toBe(0);
    expect(liar.calls).toEqual([
      `/sns/jscode2session?js_code=c&grant_type=authorization_code&appid=${APPID}&secret=${APPSECRET}`,
    ]);
    expect((await own('/sns/jscode2session?js_code=c&secret=x')).status).toBe(400);
    expect((await own('/sns/jscode2session?js_code=c', { method: 'POST' })).status).toBe(400);
  });

  it('calls with a user’s token, which is not replaced, nor the call repeated', async () => {
    liar.on('/sns/userinfo', (response) => response.end(BLAME));
    await own('/cgi-bin/x');
    const { json } = await own('/sns/userinfo?access_token=of-a-user&openid=o');
    expect(json['errcode']).toBe(40001);
    expect(liar.calls.slice(1)).toEqual(['/sns/userinfo?access_token=of-a-user&openid=o']);
    expect(liar.tokens).toHaveLength(1);
  });

  it.each(['/cgi-bin/token?x=1', '/cgi-bin/ticket/getticket?type=jsapi'])(
    'has no tokens and tickets by this way: %s',
    async (path) => {
      expect((await own(path)).status).toBe(400);
      expect(liar.tokens).toEqual([]);
    },
  );
});

describe('two clients with one real token', () => {
  it('do not take each other’s rights away', async () => {
    liar.on('/cgi-bin/ticket/getticket', (response) => response.end('{"errcode":0,"ticket":"T","expires_in":7200}'));
    const token = await tokenOf(SPLIT);
    expect(await tokenOf(NARROW)).toBe(token);
    const { json } = await sdk(`/cgi-bin/ticket/getticket?access_token=${token}&type=jsapi`);
    expect(json).toMatchObject({ errcode: 0, ticket: 'T' });
  });
});

describe('an answer in WeChat’s place', () => {
  const asked = async (): Promise<Reply> => sdk(`/cgi-bin/x?access_token=${await tokenOf(PROXIED)}`);
  const raw =
    (text: string) =>
    ({ socket }: ServerResponse): void => {
      socket?.end(text);
    };

  it.each<[string, string, string]>([
    ['a mark before it', '\ufeff{"errcode":40001,"errmsg":"x"}', 'application/json; charset=GBK'],
    ['a raw control character in it', '{"errcode":40001,"errmsg":"\u0001"}', 'text/plain'],
    ['a code in quotes', '{"errcode":"40001","errmsg":"x"}', 'application/json'],
    ['the type of a picture', BLAME, 'image/jpeg'],
    ['a level more, as of devices', `{"base_resp":${BLAME}}`, 'application/json'],
  ])('with %s is understood: the token is replaced, and the call made again', async (_, body, type) => {
    liar.on('/cgi-bin/x', (response) => {
      if (liar.count('/cgi-bin/x') === 1) response.setHeader('Content-Type', type).end(body);
      else response.end('{"errcode":0}');
    });
    expect((await asked()).json['errcode']).toBe(0);
    expect([liar.count('/cgi-bin/x'), liar.tokens.length]).toEqual([2, 2]);
  });

  it('that blames the token in small pieces is understood, too', async () => {
    liar.on('/cgi-bin/x', (response) => {
      if (liar.count('/cgi-bin/x') > 1) response.end('{"errcode":0}');
      else void drip(response, BLAME);
    });
    expect((await asked()).json['errcode']).toBe(0);
  });

  it.each([
    ['another protocol', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nhello'],
    ['no HTTP', 'hello\r\n\r\n'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n'],
    ['a bare line end', 'HTTP/1.1 200 OK\r\nX-A: a\rX-B: b\r\nContent-Length: 2\r\n\r\n{}'],
    ['a hint, and then nothing', 'HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n'],
    ['half of an error', 'HTTP/1.1 200 OK\r\nContent-Length: 90\r\nContent-Type: application/json\r\n\r\n{"errcode":'],
  ])('that is %s is WeChat away, at once, and is not asked for again', async (_, text) => {
    liar.on('/cgi-bin/x', raw(text));
    expect((await asked()).json['errcode']).toBe(-1);
    expect(liar.count('/cgi-bin/x')).toBe(1);
  });

  it('that breaks off the second time is not asked for a third time', async () => {
    liar.on('/cgi-bin/x', (response) => {
      if (liar.count('/cgi-bin/x') === 1) response.end(BLAME);
      else response.socket?.destroy();
    });
    const token = await tokenOf(PROXIED);
    const { json } = await sdk(`/cgi-bin/x?access_token=${token}`, { method: 'POST', body: '{}' });
    expect(json['errcode']).toBe(-1);
    expect(liar.count('/cgi-bin/x')).toBe(2);
  });

  it('is a part, where a part was asked for, as of large media of WeCom', async () => {
    const media = randomBytes(1000);
    liar.on('/cgi-bin/media/get', (response, { headers: { range = '' } }) => {
      const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(range) ?? [];
      const part = media.subarray(Number(from), Number(to) + 1);
      const lines = { 'Content-Range': `bytes ${from ?? ''}-${to ?? ''}/1000`, 'Content-Type': 'image/jpeg' };
      response.writeHead(206, lines).end(part);
    });
    const url = `${stage.url}/cgi-bin/media/get?access_token=${await tokenOf(PROXIED)}&media_id=1`;
    const answer = await fetch(url, { headers: { Range: 'bytes=200-499' } });
    expect([answer.status, answer.headers.get('content-range')]).toEqual([206, 'bytes 200-499/1000']);
    expect(Buffer.from(await answer.arrayBuffer()).equals(media.subarray(200, 500))).toBe(true);
  });

  it('says nothing of what is the hub’s to say, and of what is between two', async () => {
    const lines = ['X-Hop: 1', 'Connection: X-Hop', 'Cache-Control: public', 'Content-Security-Policy: x', 'X-Kept: 1'];
    liar.on('/cgi-bin/x', raw(['HTTP/1.1 200 OK', ...lines, 'Content-Length: 2', '', '{}'].join('\r\n')));
    const { headers } = await asked();
    expect(headers.get('x-kept')).toBe('1');
    expect([headers.get('x-hop'), headers.get('cache-control')]).toEqual([null, 'no-store']);
    expect(headers.get('content-security-policy')).toContain("default-src 'none'");
  });
});

describe('an answer that comes packed, though the hub asks for none', () => {
  const packings: [string, (text: string) => Buffer][] = [
    ['gzip', gzipSync],
    ['X-GZip', gzipSync],
    ['deflate', deflateSync],
    ['deflate', deflateRawSync],
    ['br', brotliCompressSync],
  ];
  /** As it comes on the wire: fetch would unpack it. */
  const received = async (path: string): Promise<IncomingMessage> => {
    const url = `${stage.url}${path}?access_token=${await tokenOf(PROXIED)}`;
    const [answer] = (await once(get(url, { headers: { 'Accept-Encoding': 'gzip' } }), 'response')) as [
      IncomingMessage,
    ];
    return answer;
  };
  const bytesOf = async (answer: IncomingMessage): Promise<Buffer> => {
    const chunks: Buffer[] = [];
    for await (const chunk of answer as AsyncIterable<Buffer>) chunks.push(chunk);
    return Buffer.concat(chunks);
  };
  const packed = (encoding: string, bytes: Buffer) => (response: ServerResponse) =>
    response.writeHead(200, { 'Content-Encoding': encoding, 'Content-Type': 'application/json' }).end(bytes);

  it('is none that it asked for, whatever the client can read', async () => {
    let asked: string | undefined;
    liar.on('/cgi-bin/x', (response, { headers }) => {
      asked = headers['accept-encoding'];
      response.end('{}');
    });
    await bytesOf(await received('/cgi-bin/x'));
    expect(asked).toBe('identity');
  });

  it.each(packings)('by %s is understood: the token is replaced, and the call made again', async (encoding, pack) => {
    liar.on('/cgi-bin/x', (response) => {
      if (liar.count('/cgi-bin/x') === 1) packed(encoding, pack(BLAME))(response);
      else response.end('{"errcode":0}');
    });
    expect((await bytesOf(await received('/cgi-bin/x'))).toString()).toBe('{"errcode":0}');
    expect([liar.count('/cgi-bin/x'), liar.tokens.length]).toEqual([2, 2]);
  });

  it.each<[string, Buffer]>([
    ['an error of another kind', gzipSync('{"errcode":48001,"errmsg":"x"}')],
    ['much in little', gzipSync(`{"errcode":40001,"errmsg":"${'x'.repeat(3_000_000)}"}`)],
    ['what is not packed at all', Buffer.from(BLAME)],
    ['nothing', Buffer.alloc(0)],
    ['more than an error', gzipSync(JSON.stringify({ data: randomBytes(MIB).toString('hex') }))],
  ])('and is %s arrives byte for byte', async (_, bytes) => {
    liar.on('/cgi-bin/x', packed('gzip', bytes));
    const answer = await received('/cgi-bin/x');
    expect(answer.headers['content-encoding']).toBe('gzip');
    expect((await bytesOf(answer)).equals(bytes)).toBe(true);
    expect([liar.count('/cgi-bin/x'), liar.tokens.length]).toEqual([1, 1]);
  });

  it('is passed on as it comes, and takes no memory that stays', async () => {
    const half = randomBytes(8 * MIB);
    let finish = (): void => undefined;
    liar.on('/cgi-bin/x', (response) => {
      response.writeHead(200, { 'Content-Encoding': 'gzip', 'Content-Type': 'application/json' });
      response.write(half.subarray(0, 10_000));
      finish = () => response.end(half);
    });
    const before = heapInUse();
    for (let i = 0; i < 3; i += 1) {
      const answer = await received('/cgi-bin/x');
      // It has not come to its end yet.
      await once(answer, 'readable');
      finish();
      let length = 0;
      for await (const chunk of answer as AsyncIterable<Buffer>) length += chunk.length;
      expect(length).toBe(10_000 + half.length);
    }
    expect(heapInUse() - before).toBeLessThan(4 * MIB);
  });
});

describe('an address', () => {
  it.each([
    '/cgi-bin/user/../x',
    '/cgi-bin/user/%2e%2e/x',
    '/cgi-bin/user/..;/x',
    '/cgi-bin/user%2fx',
    '/cgi-bin//x',
    '//cgi-bin//x',
    '/wecom/cgi-bin/./x',
    '/cgi-bin/x%00',
    'HTTP://x.example/cgi-bin/x',
    'ftp://x.example/cgi-bin/x',
  ])('that says another thing than it seems leads nowhere: %s', async (path) => {
    const target = `${path}?access_token=${await tokenOf(PROXIED)}`;
    const { status, body } = await exchangeOne(stage.url, `GET ${target} HTTP/1.1`);
    expect([status, (JSON.parse(body) as Reply['json'])['errcode']]).toEqual([200, 40066]);
    expect(liar.calls).toEqual([]);
  });

  it.each([
    ['is too long', 'GET', `&x=${'y'.repeat(2100)}`, []],
    ['comes with a body that none may have', 'GET', '', ['Content-Length: 4', '', 'GET ']],
    ['comes without one host', 'POST', '', ['Host: other']],
    ['comes with too many headers', 'POST', '', Array.from({ length: 70 }, (_, i) => `X-${i}: 1`)],
  ])('of a request that %s is refused in WeChat’s words', async (_, method, more, lines) => {
    const line = `${method} ${tokenPath(SPLIT)}${more} HTTP/1.1`;
    const { status, headers, body } = await exchangeOne(stage.url, line, lines);
    expect([status, headers.get('content-type')]).toEqual([200, 'application/json; charset=utf-8']);
    expect((JSON.parse(body) as Reply['json'])['errcode']).toBe(40066);
    expect(liar.tokens).toEqual([]);
  });

  it('with another host leads to WeChat all the same', async () => {
    const target = `http://x.example/cgi-bin/x?access_token=${await tokenOf(PROXIED)}`;
    expect((await exchangeOne(stage.url, `GET ${target} HTTP/1.1`)).status).toBe(200);
    expect(liar.count('/cgi-bin/x')).toBe(1);
  });
});

async function drip(response: ServerResponse, text: string): Promise<void> {
  for (const letter of text) {
    response.write(letter);
    await delay(1);
  }
  response.end();
}
