import { once } from 'node:events';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { type IncomingMessage } from 'node:http';
import { get, type RequestOptions } from 'node:https';
import { connect as connectPlainly } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { connect, type TLSSocket } from 'node:tls';
import { type Certificate, certificateIn } from './certificate.fixture.js';
import { Stage, tokenFor } from './hub.fixture.js';

const folder = mkdtempSync(join(tmpdir(), 'hub-tls-'));
let authority: Certificate;
let first: Certificate;
let second: Certificate;
let clientOfOurs: Certificate;
beforeAll(() => {
  authority = certificateIn(folder, 'authority');
  first = certificateIn(folder, 'first', authority);
  second = certificateIn(folder, 'second', authority);
  clientOfOurs = certificateIn(folder, 'client', authority);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Asks a hub by TLS; the name of the certificate that it shows comes along. */
async function askTls(
  stage: Stage,
  path: string,
  options: RequestOptions = {},
): Promise<{ response: IncomingMessage; name: string; text: string }> {
  const request = get(`https://127.0.0.1:${new URL(stage.url).port}${path}`, {
    ca: authority.cert,
    agent: false,
    headers: { Authorization: `Bearer ${tokenFor()}` },
    ...options,
  });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const name = String((response.socket as TLSSocket).getPeerCertificate().subject.CN);
  return { response, name, text: await text(response) };
}

const statusOf = async (...asking: Parameters<typeof askTls>): Promise<number | undefined> =>
  (await askTls(...asking)).response.statusCode;

describe('a hub with a certificate', () => {
  const mounted = join(folder, 'mounted');
  let stage: Stage;
  /** Puts a pair in place as Kubernetes does: a folder of its own, and a link that is swapped. */
  function mount(version: string, { cert, key }: Pick<Certificate, 'cert' | 'key'>): void {
    mkdirSync(join(mounted, version), { recursive: true });
    writeFileSync(join(mounted, version, 'tls.crt'), cert);
    writeFileSync(join(mounted, version, 'tls.key'), key);
    symlinkSync(version, join(mounted, '..data.new'));
    renameSync(join(mounted, '..data.new'), join(mounted, '..data'));
  }
  beforeAll(async () => {
    mount('1', first);
    for (const name of ['tls.crt', 'tls.key']) symlinkSync(join('..data', name), join(mounted, name));
    stage = await Stage.set({ TLS_CERT_FILE: join(mounted, 'tls.crt'), TLS_KEY_FILE: join(mounted, 'tls.key') });
  });
  afterAll(() => stage.strike());
  const shown = async (): Promise<string> => (await askTls(stage, '/health/live')).name;
  const readiness = async (): Promise<string> => (await askTls(stage, '/health/ready')).text;
  const shows = async (name: string): Promise<void> => {
    while ((await shown()) !== name) await new Promise((resolve) => setImmediate(resolve));
  };

  it('answers by TLS, health included, and tells browsers to keep to that', async () => {
    const { response, name } = await askTls(stage, '/access-token');
    expect([response.statusCode, name]).toEqual([200, 'first']);
    expect(response.headers['strict-transport-security']).toMatch(/^max-age=\d{8,}$/);
    for (const path of ['/health/live', '/health/ready', '/metrics']) expect(await statusOf(stage, path)).toBe(200);
  });

  it('answers nothing without TLS', async () => {
    const socket = connectPlainly(Number(new URL(stage.url).port), '127.0.0.1');
    socket.on('error', () => undefined);
    let heard = '';
    socket.on('data', (chunk: Buffer) => (heard += chunk.toString('latin1')));
    socket.write('GET /health/live HTTP/1.1\r\nHost: hub\r\n\r\n');
    await once(socket, 'close');
    expect(heard).not.toContain('HTTP/1.1');
  });

  it.each([
    ['TLSv1', false],
    ['TLSv1.1', false],
    ['TLSv1.2', true],
    ['TLSv1.3', true],
  ] as const)('speaks %s: %s', async (version, speaks) => {
    const asking = statusOf(stage, '/health/live', {
      minVersion: version,
      maxVersion: version,
      // Else it is this side that is too proud for the old ones.
      ...(!speaks && { ciphers: 'DEFAULT@SECLEVEL=0' }),
    });
    const outcome = await asking.then(String, (error: unknown) => (error as Error).message);
    expect(outcome).toMatch(speaks ? /^200$/ : /alert protocol version/);
  });

  it('closes a connection that never begins to speak it', async () => {
    const startedAt = performance.now();
    const silent = connectPlainly(Number(new URL(stage.url).port), '127.0.0.1');
    const begun = connect({ port: Number(new URL(stage.url).port), host: '127.0.0.1', ca: authority.cert });
    await Promise.all([once(silent.resume(), 'close'), once(begun.resume(), 'close')]);
    expect(performance.now() - startedAt).toBeLessThan(12_000);
  });

  it('follows its files: shows a new pair, and refuses a bad one, whose predecessor it goes on with', async () => {
    expect(await shown()).toBe('first');
    mount('2', second);
    await shows('second');
    mount('3', { cert: first.cert, key: second.key });
    while (!(await readiness()).includes('TLS_KEY_FILE')) await new Promise((resolve) => setImmediate(resolve));
    expect(await shown()).toBe('second');
    mount('4', first);
    await shows('first');
    expect(await readiness()).toContain('"status":"ok"');
  });
});

describe('a hub that wants certificates of its clients', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await Stage.set({
      TLS_CERT_FILE: first.certFile,
      TLS_KEY_FILE: first.keyFile,
      TLS_CLIENT_CA_FILE: authority.certFile,
      METRICS_PORT: '0',
    });
  });
  afterAll(() => stage.strike());
  const failure = (asking: Promise<unknown>): Promise<unknown> =>
    asking.catch((error: unknown) => (error as NodeJS.ErrnoException).code);

  it('lets in those that are signed by whom it trusts', async () => {
    const { cert, key } = clientOfOurs;
    expect(await statusOf(stage, '/access-token', { cert, key })).toBe(200);
  });

  it('wants a token of them all the same', async () => {
    const { cert, key } = clientOfOurs;
    expect(await statusOf(stage, '/access-token', { cert, key, headers: {} })).toBe(401);
  });

  it('lets in nobody without one, and nobody with one of his own', async () => {
    const { cert, key } = certificateIn(folder, 'stranger');
    const alerts = /^ERR_SSL_.*(CERTIFICATE_REQUIRED|UNKNOWN_CA)$|^ECONNRESET$/;
    expect(await failure(statusOf(stage, '/health/live'))).toMatch(alerts);
    expect(await failure(statusOf(stage, '/access-token', { cert, key }))).toMatch(alerts);
  });

  it('shows its metrics on their own port without all that', async () => {
    const response = await fetch(`http://127.0.0.1:${stage.metricsPort}/metrics`);
    expect(response.status).toBe(200);
  });
});
