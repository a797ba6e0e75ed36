import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf, issueSecret } from '../src/config/issued-secret.js';
import { certificateIn } from './certificate.fixture.js';
import { APPID, APPSECRET, ask, environmentFor, type Reply } from './hub.fixture.js';
import { HubProcess } from './process.fixture.js';
import { Simulator } from './simulator/server.js';
import { exchangeOne } from './wire.fixture.js';

const SECRET = issueSecret();
/** What a library that reads addresses would write anew. */
const ODD = `a="<>'|{}^\`&b=%zz&c=%41&d=+%20&e&&=f`;

let simulator: Simulator;
let folder: string;
let hub: HubProcess | undefined;
const servers: Server[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ways-'));
  simulator = await Simulator.start();
  simulator.world.account({ appid: APPID, secret: APPSECRET, kind: 'official-account' });
});
afterEach(async () => {
  await hub?.kill();
  hub = undefined;
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
  await simulator.stop();
  rmSync(folder, { recursive: true });
});

async function listening(server: Server): Promise<number> {
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** Passes a request on to the simulator, byte for byte. */
function onward(incoming: IncomingMessage, response: ServerResponse, target = incoming.url ?? ''): void {
  const { method, headers } = incoming;
  const there = request(simulator.url, { path: target, method, headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 0, answer.headers);
    answer.pipe(response);
  });
  there.on('error', () => response.destroy());
  incoming.pipe(there);
}

/** WeChat by TLS; what it was asked for. */
async function secureWechat(name = 'wechat'): Promise<{ url: string; asked: string[]; ca: string }> {
  const { cert, key, certFile } = certificateIn(folder, name);
  const asked: string[] = [];
  const port = await listening(
    createTlsServer({ cert, key }, (incoming, response) => {
      asked.push(incoming.url ?? '');
      onward(incoming, response);
    }),
  );
  return { url: `https://localhost:${port}`, asked, ca: certFile };
}

/** A proxy, and the request lines that it got; of what goes through tunnels it keeps the bytes. */
async function proxy(): Promise<{ url: string; lines: string[]; tunnelled: () => string; refuse(): void }> {
  const lines: string[] = [];
  let tunnelled = '';
  let refuses = false;
  const tunnels: Socket[] = [];
  const server = createServer((incoming, response) => {
    lines.push(`${incoming.method ?? ''} ${incoming.url ?? ''}`);
    onward(incoming, response, (incoming.url ?? '').replace(simulator.url, ''));
  });
  server.on('connect', ({ url = '' }: IncomingMessage, socket) => {
    lines.push(`CONNECT ${url}`);
    if (refuses) {
      socket.end('HTTP/1.1 407 No\r\nX-Proxy: 1\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    const there = connect(Number(url.split(':')[1]), '127.0.0.1', () => socket.write('HTTP/1.1 200 OK\r\n\r\n'));
    there.on('error', () => socket.destroy());
    socket.on('error', () => there.destroy()).on('data', (bytes: Buffer) => (tunnelled += bytes.toString('latin1')));
    tunnels.push(there);
    socket.pipe(there).pipe(socket);
  });
  const refuse = (): void => {
    refuses = true;
    for (const tunnel of tunnels) tunnel.destroy();
  };
  return { url: `http://127.0.0.1:${await listening(server)}`, lines, tunnelled: () => tunnelled, refuse };
}

async function start(environment: Readonly<Record<string, string>>): Promise<void> {
  const HUB_CONFIG = join(folder, 'hub.json');
  const client = { secrets: { default: [digestOf(SECRET)] }, apps: ['default'], may: ['proxy'] };
  writeFileSync(HUB_CONFIG, JSON.stringify({ clients: { client } }));
  hub = await HubProcess.start({ ...environmentFor(simulator, join(folder, 'data')), HUB_CONFIG, ...environment });
}

const sdk = (path: string, init: RequestInit = {}): Promise<Reply> =>
  ask(`${hub?.url ?? ''}${path}`, { token: null, method: init.method ?? 'GET', body: init.body ?? null });
const virtualToken = async (): Promise<string> => {
  const path = `/cgi-bin/token?grant_type=client_credential&appid=${APPID}&secret=${SECRET}`;
  return String((await sdk(path)).json['access_token']);
};

/** A read, an upload and a dead token, as an SDK meets them. */
async function expectThatAllGoesWell(): Promise<void> {
  const token = await virtualToken();
  const users = `/cgi-bin/user/get?access_token=${token}`;
  expect((await sdk(users)).json).toHaveProperty('data');
  const body = JSON.stringify({ touser: 'o', msgtype: 'text', text: { content: '你好'.repeat(50_000) } });
  await sdk(`/cgi-bin/message/custom/send?access_token=${token}`, { method: 'POST', body });
  const sent = simulator.world.calls.find(({ path }) => path === '/cgi-bin/message/custom/send');
  expect(sent?.received?.sha256).toBe(createHash('sha256').update(body).digest('hex'));
  simulator.world.killAll(APPID, 40001);
  expect((await sdk(users)).json).toHaveProperty('data');
  await exchangeOne(hub?.url ?? '', `GET /cgi-bin/odd?access_token=${token}&${ODD} HTTP/1.1`);
}

describe('the way of a call to WeChat', () => {
  it('by TLS leads to who has a certificate that is trusted', async () => {
    const { url, asked, ca } = await secureWechat();
    await start({ WECHAT_API_ROOT: url, NODE_EXTRA_CA_CERTS: ca });
    await expectThatAllGoesWell();
    expect(asked.at(-1)).toMatch(/^\/cgi-bin\/odd\?access_token=/);
    expect(asked.at(-1)?.endsWith(`&${ODD}`)).toBe(true);
  }, 30_000);

  it('by TLS does not lead to anybody else, who gets nothing', async () => {
    const { url, ca } = await secureWechat();
    const impostor = await secureWechat('impostor');
    await start({ WECHAT_API_ROOT: url, NODE_EXTRA_CA_CERTS: ca });
    const users = `/cgi-bin/user/get?access_token=${await virtualToken()}`;
    expect((await sdk(users)).json).toHaveProperty('data');
    const data = join(folder, 'data');
    await hub?.kill();
    await start({ WECHAT_API_ROOT: impostor.url, NODE_EXTRA_CA_CERTS: ca, DATA_DIR: data });
    expect((await sdk(users)).json['errcode']).toBe(-1);
    expect(impostor.asked).toEqual([]);
  }, 30_000);

  it('by TLS and a proxy is a tunnel, in which the proxy sees nothing', async () => {
    const { url, asked, ca } = await secureWechat();
    const { url: HTTPS_PROXY, lines, tunnelled } = await proxy();
    await start({ WECHAT_API_ROOT: url, NODE_EXTRA_CA_CERTS: ca, HTTPS_PROXY });
    await expectThatAllGoesWell();
    expect(asked.at(-1)?.endsWith(`&${ODD}`)).toBe(true);
    expect(new Set(lines)).toEqual(new Set([`CONNECT ${new URL(url).host}`]));
    expect(tunnelled()).not.toContain('cgi-bin');
  }, 30_000);

  it('by a proxy without TLS changes no byte either', async () => {
    const { url: HTTP_PROXY, lines } = await proxy();
    await start({ HTTP_PROXY });
    await expectThatAllGoesWell();
    expect(lines.at(-1)?.startsWith(`GET ${simulator.url}/cgi-bin/odd?access_token=`)).toBe(true);
    expect(lines.at(-1)?.endsWith(`&${ODD}`)).toBe(true);
  }, 30_000);

  it('past a proxy that refuses is none: WeChat is away, and nothing of the call is told', async () => {
    const { url, asked, ca } = await secureWechat();
    const way = await proxy();
    const HTTPS_PROXY = way.url.replace('//', '//user:canary-7f3a@');
    await start({ WECHAT_API_ROOT: url, NODE_EXTRA_CA_CERTS: ca, HTTPS_PROXY });
    const users = `/cgi-bin/user/get?access_token=${await virtualToken()}`;
    expect((await sdk(users)).json).toHaveProperty('data');
    way.refuse();
    const { status, json, headers } = await sdk(users);
    expect([status, json['errcode'], headers.get('x-proxy')]).toEqual([200, -1, null]);
    expect(asked.filter((target) => target.startsWith('/cgi-bin/user/get'))).toHaveLength(1);
    expect(hub?.output).not.toMatch(/7f3a|wths_|wtv_/);
  }, 30_000);
});
