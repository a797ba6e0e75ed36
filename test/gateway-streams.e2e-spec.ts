import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { type IncomingMessage, request as requestOf } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { heapInUse, type Reply, Stage, tokenFor, WEB_KEY } from './hub.fixture.js';

const PROXY_KEY = WEB_KEY;
const MIB = 1024 * 1024;
/** As much of a body as the hub of these stories keeps. */
const LIMIT = 256 * 1024;

let stage: Stage;
let folder: string;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'gateway-'));
  const configuration = join(folder, 'hub.json');
  const clients = { app: { key: { env: 'PROXY_KEY' }, apps: '*', may: ['proxy'] } };
  writeFileSync(configuration, JSON.stringify({ clients }));
  stage = await Stage.set({ PROXY_KEY, HUB_CONFIG: configuration, GATEWAY_REPLAY_LIMIT: String(LIMIT) });
});
afterEach(async () => {
  await stage.strike();
  rmSync(folder, { recursive: true });
});

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const BOUNDARY = 'a-boundary';

/** A multipart body with one file in it. */
function upload(file: Buffer): Buffer {
  const head = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="media"; filename="图.png"\r\nContent-Type: image/png\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), file, Buffer.from(`\r\n--${BOUNDARY}--\r\n`)]);
}

const own = (path: string, init: RequestInit = {}): Promise<Response> =>
  fetch(`${stage.url}/apps/default/wechat${path}`, {
    ...init,
    headers: { Authorization: `Bearer ${tokenFor('app', PROXY_KEY)}`, ...(init.headers as Record<string, string>) },
  });
const send = (file: Buffer): Promise<Response> =>
  own('/cgi-bin/media/upload?type=image', {
    method: 'POST',
    body: upload(file),
    headers: { 'Content-Type': `multipart/form-data; boundary=${BOUNDARY}` },
  });
const json = async (response: Promise<Response>): Promise<Reply['json']> =>
  JSON.parse(await (await response).text()) as Reply['json'];
const killToken = async (): Promise<void> => {
  stage.simulator.world.kill((await stage.ask('/access-token')).text);
};
const uploads = () => stage.simulator.world.calls.filter(({ path }) => path === '/cgi-bin/media/upload');

describe('a body on its way to WeChat', () => {
  it.each([0, 1, 64 * 1024, LIMIT, LIMIT + 1, 10 * MIB])('of %i bytes arrives as it is', async (size) => {
    const file = randomBytes(size);
    expect(await json(send(file))).toHaveProperty('media_id');
    const { received } = uploads().at(-1) ?? {};
    expect(received).toMatchObject({
      bytes: upload(file).length,
      sha256: sha256(upload(file)),
      parts: [{ name: 'media', filename: '图.png', bytes: size, sha256: sha256(file) }],
    });
  });

  it('is sent again with the new token, if it was kept, and the client sees no error', async () => {
    const file = randomBytes(LIMIT / 2);
    await killToken();
    expect(await json(send(file))).toHaveProperty('media_id');
    expect(uploads().map(({ received }) => received?.sha256)).toEqual(Array(2).fill(sha256(upload(file))));
  });

  it('that was not kept is not sent again, but the token is replaced for the next', async () => {
    const file = randomBytes(LIMIT * 2);
    await killToken();
    expect((await json(send(file)))['errcode']).toBe(40001);
    expect(await json(send(file))).toHaveProperty('media_id');
    expect(stage.simulator.world.count('/cgi-bin/token')).toBe(2);
  });

  it('that was not kept has the token replaced at once, also where WeChat was asked about it a moment ago', async () => {
    const file = randomBytes(LIMIT * 2);
    const token = (await stage.ask('/access-token')).text;
    expect((await stage.post('/apps/default/access-token/report', { token })).json['verdict']).toBe('alive');
    await killToken();
    expect((await json(send(file)))['errcode']).toBe(40001);
    expect(await json(send(file))).toHaveProperty('media_id');
    expect(stage.simulator.world.count('/cgi-bin/token')).toBe(2);
  });

  it('in chunks gets its length, since WeChat takes none without, as far as it is kept', async () => {
    const inChunks = async (size: number): Promise<number | undefined> => {
      const call = requestOf(`${stage.url}/apps/default/wechat/cgi-bin/menu/create`, {
        method: 'POST',
        headers: { Authorization: `Bearer ${tokenFor('app', PROXY_KEY)}`, 'Content-Type': 'application/json' },
      });
      call.write('{"button":"');
      call.end(`${'x'.repeat(size)}"}`);
      const [response] = (await once(call, 'response')) as [IncomingMessage];
      response.resume();
      return response.statusCode;
    };
    expect(await inChunks(1000)).toBe(200);
    expect(await inChunks(LIMIT)).toBe(412);
  });

  it('takes no memory that stays', async () => {
    const file = randomBytes(4 * MIB);
    await json(send(file));
    const before = heapInUse();
    for (let i = 0; i < 10; i += 1) await json(send(file));
    expect(heapInUse() - before).toBeLessThan(4 * MIB);
  });
});

describe('an answer on its way back', () => {
  it.each([64 * 1024, 10 * MIB])('of %i bytes arrives as it is, with its headers', async (size) => {
    const { media_id: id } = await json(send(Buffer.alloc(size)));
    const path = `/cgi-bin/media/get?media_id=${String(id)}`;
    const token = (await stage.ask('/access-token')).text;
    const [direct, through] = await Promise.all([
      fetch(`${stage.simulator.url}${path}&access_token=${token}`),
      own(path),
    ]);
    for (const name of ['content-type', 'content-disposition', 'content-length']) {
      expect([name, through.headers.get(name)]).toEqual([name, direct.headers.get(name)]);
    }
    const bytes = await Promise.all([direct, through].map(async (one) => Buffer.from(await one.arrayBuffer())));
    expect(bytes.map((one) => one.length)).toEqual([size, size]);
    expect(new Set(bytes.map(sha256)).size).toBe(1);
  });

  it('that breaks off breaks off for the client, too', async () => {
    const { media_id: id } = await json(send(Buffer.alloc(MIB)));
    stage.simulator.world.faults.add({ kind: 'cut', bytes: 100_000, path: '/cgi-bin/media/get', times: 1 });
    await expect(
      own(`/cgi-bin/media/get?media_id=${String(id)}`).then((answer) => answer.arrayBuffer()),
    ).rejects.toThrow();
  });

  it('that does not come at all is WeChat away, in the words of the native API', async () => {
    stage.simulator.world.faults.add({ kind: 'reset', path: '/cgi-bin/user/get', times: 1 });
    const response = await own('/cgi-bin/user/get');
    expect([response.status, response.headers.get('content-type')]).toEqual([503, 'application/problem+json']);
  });

  it('is not waited for by a hub whose client has gone', async () => {
    stage.simulator.world.faults.add({ kind: 'slow', milliseconds: 20_000, path: '/cgi-bin/user/get', times: 1 });
    const gone = new AbortController();
    const asked = own('/cgi-bin/user/get', { signal: gone.signal }).catch(() => 'gone');
    await delay(300);
    gone.abort();
    expect(await asked).toBe('gone');
    // The next one is not kept waiting by it, and the hub ends in order.
    expect(await json(own('/cgi-bin/user/get'))).toHaveProperty('data');
  });
});
