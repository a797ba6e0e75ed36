import { jest } from '@jest/globals';
import { HttpService } from '@nestjs/axios';
import { ConfigService } from '@nestjs/config';
import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage, request, type RequestListener } from 'node:http';
import { type AddressInfo, createServer as createNetServer, type Socket } from 'node:net';
import { inspect } from 'node:util';
import { gzipSync } from 'node:zlib';
import { readConfiguration } from '../src/config/configuration.js';
import type { Settings, Upstream } from '../src/config/environment.js';
import { Secret } from '../src/config/secret.js';
import { PLATFORMS } from '../src/wechat/platforms/index.js';
import { type WechatAnswer, type WechatCall, WechatClient } from '../src/wechat/wechat.client.js';
import { WechatError, WechatNonsense, WechatRefusal, WechatUnreachable } from '../src/wechat/wechat.error.js';
import type { Effect } from './simulator/faults.js';
import { Simulator } from './simulator/server.js';

const APPID = 'wx0123456789abcdef';
const APPSECRET = 'app-secret-8c1f0d5e7a9b4c3d';
const DEADLINE_MS = 5000;

/** What is to be closed at the end of the test, the latest first. */
const closing: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

function clientOf(wechat: Upstream, wecom: Upstream = wechat): WechatClient {
  return new WechatClient(new HttpService(), new ConfigService<Settings, true>({ wechat, wecom }));
}

/** A client whose WeChat is at this address. */
function clientAt(root: string): WechatClient {
  return clientOf({ root: new URL(root) });
}

function token(secret = APPSECRET, appid = APPID): WechatCall {
  const query = { grant_type: 'client_credential', appid, secret: new Secret(secret) };
  return { path: '/cgi-bin/token', query };
}

function stableToken(secret = APPSECRET, appid = APPID): WechatCall {
  const body = { grant_type: 'client_credential', appid, secret: new Secret(secret), force_refresh: false };
  return { path: '/cgi-bin/stable_token', body };
}

/** What a call fails with. */
async function failureOf(call: Promise<WechatAnswer>): Promise<WechatError> {
  try {
    await call;
  } catch (error) {
    if (error instanceof WechatError) return error;
    throw error;
  }
  throw new Error('the call was answered');
}

/** Everything that could get into a log of an error. */
function told(error: Error): string {
  return [error.message, error.stack, inspect(error, { depth: 10, showHidden: true }), JSON.stringify(error)].join(
    '\n',
  );
}

/** A server that answers as a test wants it to; its address. */
async function serve(listener: RequestListener): Promise<string> {
  const server = createHttpServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A server below HTTP; its address. */
async function serveRaw(listener: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createNetServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    listener(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A server that answers every request with this text under HTTP 200. */
function saying(body: string | Buffer): Promise<string> {
  return serve((_, response) => response.end(body));
}

async function bodyOf(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

async function simulator(): Promise<Simulator> {
  const started = await Simulator.start();
  closing.push(() => started.stop());
  started.world.account({ appid: APPID, secret: APPSECRET, kind: 'official-account' });
  return started;
}

describe('a call to WeChat', () => {
  it('brings what WeChat answers, by GET and by POST', async () => {
    const { world, url } = await simulator();
    const client = clientAt(url);
    for (const call of [token(), stableToken()]) {
      const answer = await client.call('wechat', call);
      expect(answer).toEqual({ access_token: expect.any(String) as string, expires_in: 7200 });
      expect(world.verdict(String(answer['access_token'])).accepted).toBe(true);
    }
    expect(world.calls.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'GET /cgi-bin/token',
      'POST /cgi-bin/stable_token',
    ]);
  });

  it('goes to WeChat or WeCom, each at its own root', async () => {
    const [wechat, wecom] = [await saying('{"from":"wechat"}'), await saying('{"from":"wecom"}')];
    const client = clientOf({ root: new URL(wechat) }, { root: new URL(wecom) });
    expect(await client.call('wechat', token())).toEqual({ from: 'wechat' });
    expect(await client.call('wecom', token())).toEqual({ from: 'wecom' });
  });

  it.each([
    ['', '/cgi-bin/token'],
    ['/', '/cgi-bin/token'],
    ['/wechat', '/wechat/cgi-bin/token'],
    ['/a/b/', '/a/b/cgi-bin/token'],
    ['/%E5%BE%AE', '/%E5%BE%AE/cgi-bin/token'],
    ['//elsewhere.invalid', '//elsewhere.invalid/cgi-bin/token'],
  ])('keeps the path of the root %j, and the host', async (prefix, path) => {
    let asked = '';
    const root = await serve(({ url }, response) => {
      asked = url ?? '';
      response.end('{}');
    });
    await clientAt(root + prefix).call('wechat', token());
    expect(asked.split('?')[0]).toBe(path);
  });

  it.each(['a+b c', '%2B&x=1#top', '/../?', 'a=b;c', '密钥😀', `'"(~*!)\\<>`, '\u0000\n'])(
    'carries %j through query and body unharmed',
    async (strange) => {
      let received: object = {};
      const root = await serve((incoming, response) => {
        void bodyOf(incoming).then((body) => {
          const query = new URL(incoming.url ?? '', 'http://x').searchParams;
          received = body ? (JSON.parse(body) as object) : Object.fromEntries(query);
          response.end('{}');
        });
      });
      const client = clientAt(root);
      await client.call('wechat', token(strange, `wx${strange}`));
      expect(received).toEqual({ grant_type: 'client_credential', appid: `wx${strange}`, secret: strange });
      await client.call('wechat', stableToken(strange, `wx${strange}`));
      expect(received).toEqual({
        grant_type: 'client_credential',
        appid: `wx${strange}`,
        secret: strange,
        force_refresh: false,
      });
    },
  );

  it('posts with a length and not in chunks, to which WeChat answers 412, and asks for nothing compressed', async () => {
    const headers: IncomingMessage['headers'][] = [];
    const compressed = gzipSync('{"errcode":0}');
    const root = await serve((incoming, response) => {
      headers.push(incoming.headers);
      void bodyOf(incoming).then(() => {
        const isWanted = /gzip|\*/.test(incoming.headers['accept-encoding'] ?? '');
        response
          .setHeader('Content-Encoding', isWanted ? 'gzip' : 'identity')
          .end(isWanted ? compressed : '{"errcode":0}');
      });
    });
    const client = clientAt(root);
    expect(await client.call('wechat', stableToken('密'))).toEqual({ errcode: 0 });
    expect(await client.call('wechat', token())).toEqual({ errcode: 0 });
    const body = JSON.stringify({ grant_type: 'client_credential', appid: APPID, secret: '密', force_refresh: false });
    expect(headers[0]).toMatchObject({
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength(body)),
    });
    expect(headers[0]).not.toHaveProperty('transfer-encoding');
    expect(headers[1]).not.toHaveProperty('content-type');
  });

  it('has a connection of its own: one that was kept may be dead, and a token lost with it', async () => {
    const ports = new Set<number | undefined>();
    const root = await serve(({ socket }, response) => {
      ports.add(socket.remotePort);
      response.end('{}');
    });
    const client = clientAt(root);
    for (let count = 0; count < 3; count += 1) await client.call('wechat', token());
    expect(ports.size).toBe(3);
  });

  it('takes an answer by its content, whatever it is labelled', async () => {
    const { world, url } = await simulator();
    world.faults.add({ kind: 'text-plain' });
    expect(await clientAt(url).call('wechat', token())).toHaveProperty('access_token');
  });

  it.each([
    ['an errcode of 0', '{"errcode":0,"errmsg":"ok. Warning: wrong json format"}'],
    ['no errcode', '{"a":1}'],
    ['a byte order mark', '\ufeff{"a":1}'],
    ['white space around it', '\r\n {"a":1}\r\n'],
    ['raw control characters', '{"name":"a\u0001\u001fb"}'],
    ['64 KiB to the byte', `{"a":"${'x'.repeat(65_536 - 8)}"}`],
  ])('is answered by a JSON object with %s', async (_, body) => {
    expect(await clientAt(await saying(body)).call('wechat', token())).toEqual(expect.any(Object));
  });

  it('takes raw control characters for white space', async () => {
    const client = clientAt(await saying('{"name":"a\u0001b"}'));
    expect(await client.call('wechat', token())).toEqual({ name: 'a b' });
  });
});

describe('an answer that is none of WeChat’s', () => {
  it.each<[Effect, RegExp]>([
    [{ kind: 'status', status: 502 }, /HTTP status 502/],
    [{ kind: 'status', status: 404, body: '{"errcode":0}' }, /HTTP status 404/],
    [{ kind: 'status', status: 412, body: '' }, /HTTP status 412/],
    [{ kind: 'status', status: 204, body: '' }, /HTTP status 204/],
    [{ kind: 'empty' }, /not JSON/],
    [{ kind: 'body', body: '<html>502 Bad Gateway</html>' }, /not JSON/],
    [{ kind: 'body', body: '{"access_token":"x","expires_in":72' }, /not JSON/],
    [{ kind: 'body', body: '[{"access_token":"x"}]' }, /not a JSON object/],
    [{ kind: 'body', body: 'null' }, /not a JSON object/],
    [{ kind: 'body', body: '"x"' }, /not a JSON object/],
    [{ kind: 'body', body: '{"errcode":"busy"}' }, /errcode is not a number/],
    [{ kind: 'body', body: '{"errcode":{}}' }, /errcode is not a number/],
    [{ kind: 'body', body: '{"errcode":true}' }, /errcode is not a number/],
    [{ kind: 'oversized' }, /larger than 64 KiB/],
    [{ kind: 'oversized', bytes: 5_000_000 }, /larger than 64 KiB/],
  ])('is a failed call that passes, whose outcome is in doubt: %j', async (effect, reason) => {
    const { world, url } = await simulator();
    world.faults.add(effect);
    const failure = await failureOf(clientAt(url).call('wechat', token()));
    expect(failure).toBeInstanceOf(WechatNonsense);
    expect(failure).toMatchObject({ remedy: 'passing', inDoubt: true });
    expect(failure.message).toMatch(reason);
    expect(told(failure)).not.toContain(APPSECRET);
  });

  it('is what a redirect is: the secret does not go where WeChat is not', async () => {
    const reached: string[] = [];
    const elsewhere = await serve((incoming, response) => {
      reached.push(incoming.url ?? '');
      response.end('{"access_token":"x","expires_in":7200}');
    });
    const { world, url } = await simulator();
    for (const status of [301, 302, 303, 307, 308]) {
      world.faults.add({ kind: 'redirect', status, location: `${elsewhere}/cgi-bin/token`, times: 2 });
      for (const call of [token(), stableToken()]) {
        const failure = await failureOf(clientAt(url).call('wechat', call));
        expect(failure.message).toBe(`The answer is none of WeChat's: HTTP status ${status}`);
      }
    }
    expect(reached).toEqual([]);
  });

  it('is read no further than it may be long', async () => {
    let sent = 0;
    const root = await serve((_, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write('x'.repeat(16_384))) sent += 16_384;
      };
      response.on('drain', more);
      more();
    });
    const failure = await failureOf(clientAt(root).call('wechat', token()));
    expect(failure.message).toMatch(/larger than 64 KiB/);
    // What the sockets between hold is sent as well.
    expect(sent).toBeLessThan(50_000_000);
  });
});

describe('a call that is refused', () => {
  it('tells the errcode, the text and the number of the call, and what to do', async () => {
    const { url } = await simulator();
    const failure = await failureOf(clientAt(url).call('wechat', token('wrong')));
    expect(failure).toBeInstanceOf(WechatRefusal);
    expect(failure).toMatchObject({
      errcode: 40125,
      errmsg: expect.stringMatching(/^invalid appsecret/) as string,
      rid: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}$/) as string,
      remedy: 'person',
      inDoubt: false,
    });
  });

  it.each([
    ['{"errcode":40001,"errmsg":"x"}', 40001],
    ['{"errcode":"40001","errmsg":"x"}', 40001],
    ['{"errcode":"-1"}', -1],
    ['{"errcode":-1,"errmsg":null}', -1],
    ['{"access_token":"x","expires_in":7200,"errcode":45009,"errmsg":"x"}', 45009],
  ])('is one by its errcode alone: %s', async (body, errcode) => {
    expect(await failureOf(clientAt(await saying(body)).call('wechat', token()))).toMatchObject({ errcode });
  });

  it('blames the credential only where one was carried', async () => {
    const client = clientAt(await saying('{"errcode":40001,"errmsg":"invalid credential"}'));
    const call = {
      path: '/cgi-bin/ticket/getticket',
      query: { access_token: new Secret('x') },
      carriesCredential: true,
    };
    expect((await failureOf(client.call('wechat', call))).remedy).toBe('credential');
    expect((await failureOf(client.call('wecom', call))).remedy).toBe('person');
    expect((await failureOf(client.call('wechat', token()))).remedy).toBe('person');
  });

  it.each([APPSECRET, 'a+b c/=&%', '密钥', `'"(~*!)\\`])(
    'does not give away the secret %j that its text echoes, as it is or encoded',
    async (secret) => {
      const root = await serve((incoming, response) => {
        void bodyOf(incoming).then((body) => {
          const echo = [incoming.url, secret, encodeURIComponent(secret), body && JSON.parse(body)].map((part) =>
            typeof part === 'object' ? Object.values(part as object).join(' ') : String(part),
          );
          response.end(JSON.stringify({ errcode: 40013, errmsg: `echo ${echo.join(' ')}` }));
        });
      });
      const encoded = new URLSearchParams({ '': secret }).toString().slice(1);
      for (const call of [token(secret), stableToken(secret)]) {
        const failure = await failureOf(clientAt(root).call('wechat', call));
        expect(failure.message).toContain('[secret]');
        for (const form of [secret, encodeURIComponent(secret), encoded]) expect(told(failure)).not.toContain(form);
      }
    },
  );

  it.each<[string, (secret: string) => string]>([
    ['in hexadecimal', (secret) => Buffer.from(secret).toString('hex')],
    ['in hexadecimal of capitals', (secret) => Buffer.from(secret).toString('hex').toUpperCase()],
    ['in base64', (secret) => Buffer.from(secret).toString('base64')],
    ['in the middle of base64', (secret) => Buffer.from(`x:${secret}:x`).toString('base64')],
    ['near the middle of base64', (secret) => Buffer.from(`xx:${secret}:x`).toString('base64url')],
    ['in capitals', (secret) => secret.toUpperCase()],
    ['but for its end', (secret) => `${secret.slice(0, 12)}…`],
    ['but for its start', (secret) => `…${secret.slice(-12)}`],
  ])('does not give away a secret that its text echoes %s', async (_, form) => {
    const errmsg = `invalid secret ${form(APPSECRET)}, rid: 12345678-12345678-12345678`;
    const client = clientAt(await saying(JSON.stringify({ errcode: 40013, errmsg })));
    expect((await failureOf(client.call('wechat', token()))).message).toBe('WeChat refused: 40013 [secret]');
  });

  it('has a text that is short and printable, whatever WeChat sends', async () => {
    const errmsg = `无效 appid\u0007\u001b[31m\u2028 ${'x'.repeat(5000)}`;
    const client = clientAt(await saying(JSON.stringify({ errcode: 40013, errmsg })));
    const failure = (await failureOf(client.call('wechat', token()))) as WechatRefusal;
    expect(failure.errmsg).toMatch(/^无效 appid {2}\[31m {2}x{200,}$/);
    expect(failure.errmsg.length).toBeLessThanOrEqual(300);
  });
});

describe('a call that gets no answer', () => {
  /** A port that nobody listens on. */
  async function deadEnd(): Promise<string> {
    const server = createNetServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, 'close');
    return `http://127.0.0.1:${port}`;
  }

  it('is not in doubt where nobody listens: nothing was sent', async () => {
    const failure = await failureOf(clientAt(await deadEnd()).call('wechat', token()));
    expect(failure).toBeInstanceOf(WechatUnreachable);
    expect(failure).toMatchObject({ remedy: 'passing', inDoubt: false, reason: 'ECONNREFUSED' });
    expect(told(failure)).not.toContain(APPSECRET);
  });

  it.each([
    ['is reset', (socket: Socket): unknown => socket.once('data', () => socket.resetAndDestroy())],
    ['is closed', (socket: Socket): unknown => socket.once('data', () => socket.end())],
    [
      'breaks off in its head',
      (socket: Socket): unknown => socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-')),
    ],
    [
      'breaks off in its body',
      (socket: Socket): unknown =>
        socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"access_token":')),
    ],
    [
      'speaks something else',
      (socket: Socket): unknown => socket.once('data', () => socket.end('220 mail.example ESMTP\r\n')),
    ],
  ])('is in doubt when the connection %s: WeChat may have minted', async (_, spoil) => {
    const root = await serveRaw(spoil);
    for (const call of [token(), stableToken()]) {
      const failure = await failureOf(clientAt(root).call('wechat', call));
      expect(failure).toMatchObject({ remedy: 'passing', inDoubt: true });
      expect(told(failure)).not.toContain(APPSECRET);
    }
  });

  it('is not made by a process that goes on when it is too late, not even if it had to wait for its turn', async () => {
    const { world, url } = await simulator();
    const client = clientAt(url);
    const calls = Array.from({ length: 20 }, () => failureOf(client.call('wechat', token())));
    const stopped = jest.spyOn(performance, 'now').mockReturnValue(performance.now() + 60_000);
    closing.push(() => stopped.mockRestore());
    for (const failure of await Promise.all(calls)) expect(failure).toMatchObject({ inDoubt: false });
    expect(world.count('/cgi-bin/token')).toBe(0);
  });

  it('ends after 5 s, wherever it hangs: in the head or the body, here or at a proxy, with or without a trickle', async () => {
    const { world, url } = await simulator();
    world.faults.add({ kind: 'hang', path: '/cgi-bin/token' });
    world.faults.add({ kind: 'drip', milliseconds: 300, path: '/cgi-bin/stable_token' });
    const trickle = (head: string, more: string): Promise<string> =>
      serveRaw((socket) => {
        socket.write(head);
        const timer = setInterval(() => socket.write(more), 200);
        socket.on('close', () => clearInterval(timer));
      });
    const roots = [
      await serveRaw(() => undefined),
      await trickle('HTTP/1.1 200 OK\r\n', 'X-More: of this\r\n'),
      await trickle('HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{', ' '),
      await trickle('HTTP/1.1 100 Continue\r\n\r\n', 'HTTP/1.1 100 Continue\r\n\r\n'),
    ];
    const start = performance.now();
    const calls = [
      clientAt(url).call('wechat', token()),
      clientAt(url).call('wechat', stableToken()),
      ...roots.map((root) => clientAt(root).call('wechat', token())),
      ...roots
        .slice(0, 2)
        .map((proxy) =>
          clientOf({ root: new URL('https://api.weixin.invalid'), proxy: new URL(proxy) }).call('wechat', token()),
        ),
    ];
    const ended = await Promise.all(
      calls.map(async (call) => {
        const failure = await failureOf(call);
        return { failure, after: performance.now() - start };
      }),
    );
    for (const [i, { failure, after }] of ended.entries()) {
      // What hung at a proxy never got as far as WeChat.
      const inDoubt = i < calls.length - 2;
      expect(failure).toMatchObject({ remedy: 'passing', inDoubt, reason: 'no answer within 5 s' });
      expect(after).toBeGreaterThan(DEADLINE_MS - 50);
      expect(after).toBeLessThan(DEADLINE_MS + 1000);
      expect(told(failure)).not.toContain(APPSECRET);
    }
  });
});

describe('a proxy on the way', () => {
  const NAMES = ['http_proxy', 'https_proxy', 'all_proxy', 'no_proxy'].flatMap((name) => [name, name.toUpperCase()]);
  const before = NAMES.map((name) => [name, process.env[name]] as const);

  function restore(values: readonly (readonly [string, string | undefined])[]): void {
    for (const [name, value] of values) {
      if (value === undefined) Reflect.deleteProperty(process.env, name);
      else process.env[name] = value;
    }
  }

  beforeEach(() => restore(NAMES.map((name) => [name, undefined])));
  afterEach(() => restore(before));

  /** A client as the hub makes it from an environment with proxies in it. */
  function clientBy(environment: Readonly<Record<string, string>>, root: string): WechatClient {
    Object.assign(process.env, environment);
    const app = { APPID, APPSECRET, JWT_KEY_web: 'k'.repeat(32) };
    const { wechat, wecom } = readConfiguration({ ...app, WECHAT_API_ROOT: root }, PLATFORMS).settings;
    return clientOf(wechat, wecom);
  }

  /** A proxy for http; its address, and what it was asked for. */
  async function proxy(): Promise<{ url: string; asked: string[]; authorizations: (string | undefined)[] }> {
    const [asked, authorizations]: [string[], (string | undefined)[]] = [[], []];
    const url = await serve((incoming, response) => {
      asked.push(incoming.url ?? '');
      authorizations.push(incoming.headers['proxy-authorization']);
      const onward = request(incoming.url ?? '', { method: incoming.method, headers: incoming.headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 0, answer.headers);
        answer.pipe(response);
      });
      onward.on('error', () => response.writeHead(502).end());
      incoming.pipe(onward);
    });
    return { url, asked, authorizations };
  }

  it('is used for an API by http, with its user and password if it wants them', async () => {
    const { world, url } = await simulator();
    const { url: address, asked, authorizations } = await proxy();
    const client = clientBy({ HTTP_PROXY: address.replace('//', '//user:pass@') }, url);
    expect(await client.call('wechat', token())).toHaveProperty('access_token');
    expect(await client.call('wechat', stableToken())).toHaveProperty('access_token');
    expect(asked).toEqual([expect.stringMatching(`^${url}/cgi-bin/token\\?`), `${url}/cgi-bin/stable_token`]);
    expect(authorizations[0]).toBe(`Basic ${Buffer.from('user:pass').toString('base64')}`);
    expect(world.count('/cgi-bin/token')).toBe(1);
  });

  it('is passed by where NO_PROXY names the host', async () => {
    const { url } = await simulator();
    const { url: address, asked } = await proxy();
    const client = clientBy({ HTTP_PROXY: address, NO_PROXY: 'localhost,127.0.0.1' }, url);
    expect(await client.call('wechat', token())).toHaveProperty('access_token');
    expect(asked).toEqual([]);
  });

  it('is asked for a tunnel to an API by https, and sees nothing of what goes through it', async () => {
    let head = '';
    let through = Buffer.alloc(0);
    const address = await serveRaw((socket) => {
      socket.once('data', (connect) => {
        head = connect.toString('latin1');
        socket.once('data', (hello) => {
          through = hello;
          socket.destroy();
        });
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      });
    });
    const client = clientBy({ HTTPS_PROXY: address }, 'https://api.weixin.invalid');
    const failure = await failureOf(client.call('wechat', token()));
    expect(head).toMatch(/^CONNECT api\.weixin\.invalid:443 HTTP\/1\.1\r\n/);
    // A TLS handshake, for the host that is meant.
    expect(through.subarray(0, 2)).toEqual(Buffer.of(0x16, 0x03));
    expect(through.includes('api.weixin.invalid')).toBe(true);
    expect(`${head}${through.toString('latin1')}${told(failure)}`).not.toContain(APPSECRET);
    expect(failure).toMatchObject({ remedy: 'passing' });
  });

  it.each([
    [
      'refuses',
      (socket: Socket): unknown =>
        socket.end('HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n'),
    ],
    ['breaks off', (socket: Socket): unknown => socket.destroy()],
  ])('is no WeChat when it %s, and tells nothing', async (_, act) => {
    const address = await serveRaw((socket) => void socket.once('data', () => act(socket)));
    const client = clientBy(
      { HTTPS_PROXY: address.replace('//', '//user:canary-7f3a@') },
      'https://api.weixin.invalid',
    );
    const failure = await failureOf(client.call('wechat', token()));
    expect(failure).toMatchObject({ remedy: 'passing' });
    expect(told(failure)).not.toMatch(/7f3a|app-secret/);
  });
});
