import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CERTIFICATE, TokenIssuer } from '../../test/issuer.fixture.js';
import { fetchKeySet, readKeySet } from './jwks.js';

const jwkOf = ({ publicKey }: { publicKey: { export(as: { format: 'jwk' }): object } }): object =>
  publicKey.export({ format: 'jwk' });
const rsa = jwkOf(generateKeyPairSync('rsa', { modulusLength: 2048 }));
const ec = jwkOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }));
const okp = jwkOf(generateKeyPairSync('ed25519'));

const read = (...keys: unknown[]): [kid: string, algorithms: readonly string[]][] =>
  [...readKeySet(JSON.stringify({ keys }))].map(([kid, { algorithms }]) => [kid, algorithms]);

describe('a key set', () => {
  it('has keys for signatures, each for what it is good for', () => {
    const keys = [
      { kid: 'a', use: 'sig', ...rsa },
      { kid: 'b', ...rsa, alg: 'PS256' },
      { kid: 'c', ...ec, key_ops: ['verify'] },
      { kid: '-d_', ...okp, alg: 'EdDSA', x5t: 'abc' },
    ];
    expect(read(...keys)).toEqual([
      ['a', ['RS256', 'PS256']],
      ['b', ['PS256']],
      ['c', ['ES256']],
      ['-d_', ['EdDSA']],
    ]);
  });

  it.each<[string, unknown]>([
    ['for encryption', { kid: 'x', ...rsa, use: 'enc' }],
    ['for wrapping', { kid: 'x', ...rsa, key_ops: ['wrapKey'] }],
    ['of another algorithm', { kid: 'x', ...rsa, alg: 'RS512' }],
    ['of an algorithm of other keys', { kid: 'x', ...rsa, alg: 'HS256' }],
    ['without a kid', ec],
    ['with a number for a kid', { kid: 1, ...ec }],
    ['that are shared secrets', { kid: 'x', kty: 'oct', k: 'c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0' }],
    ['that are weak', { kid: 'x', ...jwkOf(generateKeyPairSync('rsa', { modulusLength: 1024 })) }],
    ['on other curves', { kid: 'x', ...jwkOf(generateKeyPairSync('ec', { namedCurve: 'P-384' })) }],
    ['off their curve', { kid: 'x', ...ec, y: (ec as { x: string }).x }],
    ['that are private', { kid: 'x', ...generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }) }],
    ['of kinds to come', { kid: 'x', kty: 'AKP', alg: 'ML-DSA-44', pub: 'AAAA' }],
    ['that are none', null],
    ['that are lists', [ec]],
  ])('may have keys %s, which are passed over', (_, key) => {
    expect(read(key, { kid: 'good', ...okp })).toEqual([['good', ['EdDSA']]]);
  });

  it('may be empty', () => {
    expect(read()).toEqual([]);
  });

  it('has no two keys of one kid that could both be meant', () => {
    expect(() => read({ kid: 'x', ...rsa }, { kid: 'x', ...ec })).toThrow('the answer has two keys of one kid');
    expect(read({ kid: 'x', ...rsa, use: 'enc' }, { kid: 'x', ...ec })).toEqual([['x', ['ES256']]]);
  });

  it.each([
    '',
    'null',
    '[]',
    '"keys"',
    '{}',
    '{"keys":null}',
    '{"keys":{"0":{}}}',
    '{"keys":[],"keys":[]}',
    '{"keys":[',
    '[{"keys":[]}]',
    '<html>',
  ])('is not %s', (text) => {
    expect(() => readKeySet(text)).toThrow('the answer is no key set');
  });

  it('is not so deep that nobody could read it', () => {
    expect(() => readKeySet(`{"keys":${'['.repeat(60_000)}${']'.repeat(60_000)}}`)).toThrow('the answer is no key set');
  });
});

describe('the way to an issuer', () => {
  let folder: string;
  let issuer: TokenIssuer;
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'jwks-'));
    issuer = await TokenIssuer.start();
  });
  afterEach(async () => {
    await issuer.stop();
    rmSync(folder, { recursive: true });
  });

  const kids = async (more: object = {}, { jwks } = issuer): Promise<string[]> => [
    ...(await fetchKeySet({ root: new URL(jwks), ...more })).keys(),
  ];

  it('leads to its keys', async () => {
    expect(await kids()).toEqual(['key-1']);
    expect(issuer.asked[0]).not.toHaveProperty('authorization');
  });

  it('is by TLS, with the authorities of the system or those that are given', async () => {
    const secured = await TokenIssuer.start({ tls: true });
    try {
      await expect(kids({}, secured)).rejects.toThrow('SELF_SIGNED');
      expect(await kids({ ca: CERTIFICATE }, secured)).toEqual(['key-1']);
    } finally {
      await secured.stop();
    }
  });

  it('is by the proxy, if there is one', async () => {
    const asked: (string | undefined)[] = [];
    const proxy = createServer().on('connect', ({ url }, socket) => {
      asked.push(url);
      socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const { port } = proxy.address() as AddressInfo;
    const way = { root: new URL('https://id.example/keys'), proxy: new URL(`http://127.0.0.1:${port}`) };
    await expect(kids(way)).rejects.toThrow('HTTP status 502');
    expect(asked).toEqual(['id.example:443']);
    proxy.close();
  });

  it('shows the token of a file as it is at that moment', async () => {
    const tokenFile = join(folder, 'token');
    for (const token of ['old', 'new']) {
      writeFileSync(tokenFile, `${token}\n`);
      await kids({ tokenFile });
    }
    expect(issuer.asked.map(({ authorization }) => authorization)).toEqual(['Bearer old', 'Bearer new']);
  });

  it.each([
    ['missing', undefined, /^its token: the file cannot be read \(ENOENT\)$/],
    ['blank', ' \n', /^its token: is blank$/],
    ['no header', 'a\r\nHost: b', /^ERR_INVALID_CHAR$/],
  ])('is not gone with a token that is %s', async (_, text, reason) => {
    const tokenFile = join(folder, 'token');
    if (text !== undefined) writeFileSync(tokenFile, text);
    await expect(kids({ tokenFile })).rejects.toThrow(reason);
    expect(issuer.asked).toEqual([]);
  });

  it.each<[string, (response: ServerResponse) => void, string]>([
    ['refuses', (response) => response.writeHead(401).end(), 'HTTP status 401'],
    ['breaks', (response) => response.writeHead(500).end('{"keys":[]}'), 'HTTP status 500'],
    ['has nothing', (response) => response.writeHead(204).end(), 'HTTP status 204'],
    ['says elsewhere', (response) => response.writeHead(302, { Location: '/openid/v1/jwks' }).end(), 'HTTP status 302'],
    ['answers garbage', (response) => response.end('<html>'), 'the answer is no key set'],
    ['answers more than 64 KiB', (response) => response.end(' '.repeat(65_537)), 'the answer is larger than 64 KiB'],
    ['answers without end', (response) => void flood(response), 'the answer is larger than 64 KiB'],
    ['hangs up', (response) => void response.destroy(), 'ECONNRESET'],
    [
      'hangs up halfway',
      (response) => response.writeHead(200, { 'Content-Length': '9' }).write('{"ke', () => response.destroy()),
      'ECONNRESET',
    ],
  ])('ends when the issuer %s, and nobody follows it further', async (_, answer, reason) => {
    issuer.answer = answer;
    await expect(kids()).rejects.toThrow(reason);
    expect(issuer.asked).toHaveLength(1);
  });

  it('may take 5 s in all, in silence or in drips', async () => {
    const dripping = await TokenIssuer.start();
    const drips: NodeJS.Timeout[] = [];
    dripping.answer = (response) => drips.push(setInterval(() => response.write(' '), 100));
    issuer.answer = () => undefined;
    const begin = performance.now();
    await Promise.all([
      expect(kids()).rejects.toThrow('no answer within 5 s'),
      expect(kids({}, dripping)).rejects.toThrow('no answer within 5 s'),
    ]);
    const took = performance.now() - begin;
    for (const drip of drips) clearInterval(drip);
    await dripping.stop();
    expect(took).toBeGreaterThan(4900);
    expect(took).toBeLessThan(7000);
  });

  it('is not there at all when nobody listens', async () => {
    await expect(kids({ root: new URL('http://127.0.0.1:1/') })).rejects.toThrow('ECONNREFUSED');
  });
});

/** Writes for as long as anybody reads. */
async function flood(response: ServerResponse): Promise<void> {
  while (!response.destroyed) await new Promise((resolve) => response.write(' '.repeat(16_384), resolve));
}
