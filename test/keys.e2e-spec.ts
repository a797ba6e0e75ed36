import type { LoggerService } from '@nestjs/common';
import { type JWTPayload, SignJWT } from 'jose';
import { execFileSync } from 'node:child_process';
import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Hub } from '../src/hub.js';
import { ask, type Reply, Stage, tokenFor, WEB_KEY } from './hub.fixture.js';
import { CERTIFICATE, TokenIssuer } from './issuer.fixture.js';

const REFUSAL = '{"type":"/problems/unauthenticated","title":"No valid token came with the request","status":401}';

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const ed25519 = generateKeyPairSync('ed25519');
const spki = ({ publicKey }: { publicKey: KeyObject }): string =>
  publicKey.export({ type: 'spki', format: 'pem' }) as string;

/** A token as a client with a private key makes it. */
const sign = (kid: string, alg: string, key: KeyObject, claims: JWTPayload = {}): Promise<string> =>
  new SignJWT({ aud: 'wechat-token-hub', ...claims }).setProtectedHeader({ alg, kid }).sign(key);

const encode = (text: string): string => Buffer.from(text).toString('base64url');

/** A token whose HMAC anybody can make who knows these bytes. */
function hmacWith(bytes: string | Buffer, header: object): string {
  const text = `${encode(JSON.stringify(header))}.${encode('{"aud":"wechat-token-hub"}')}`;
  return `${text}.${createHmac('sha256', bytes).update(text).digest('base64url')}`;
}

let stage: Stage;
let issuer: TokenIssuer;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'keys-'));
  issuer = await TokenIssuer.start({ tls: true });
  stage = await Stage.set();
});
afterAll(async () => {
  await stage.strike();
  await issuer.stop();
  rmSync(folder, { recursive: true });
});

const file = (name: string, content: string): void => writeFileSync(join(folder, name), content);
const clients = (written: Readonly<Record<string, object>>): void =>
  file(
    'hub.json',
    JSON.stringify({
      clients: Object.fromEntries(Object.entries(written).map(([name, keys]) => [name, { ...keys, apps: '*' }])),
    }),
  );
const read = (token: string): Promise<Reply> => stage.ask('/access-token', { token });
const statusOf = async (token: string): Promise<number> => (await read(token)).status;

async function expectRefused(token: string): Promise<void> {
  const reply = await read(token);
  expect([reply.status, reply.text]).toEqual([401, REFUSAL]);
  expect(reply.headers.get('www-authenticate')).toBe('Bearer error="invalid_token"');
}

/** Waits until the hub has taken over what was just written. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 5000;
  while (!(await isSo())) if (Date.now() > end) throw new Error('the hub did not follow its configuration');
}

describe('a client with a key pair', () => {
  beforeAll(async () => {
    file('rsa.pem', spki(rsa));
    file('p256.json', JSON.stringify(p256.publicKey.export({ format: 'jwk' })));
    file('ed25519.pem', spki(ed25519));
    clients({
      rsa: { key: { publicKey: { file: 'rsa.pem' } } },
      p256: { key: { publicKey: { file: 'p256.json' } } },
      ed25519: { key: { publicKey: { env: 'ED25519' } } },
    });
    await stage.restart({ HUB_CONFIG: join(folder, 'hub.json'), ED25519_FILE: join(folder, 'ed25519.pem') });
  });

  it.each<[string, string, KeyObject]>([
    ['rsa', 'RS256', rsa.privateKey],
    ['rsa', 'PS256', rsa.privateKey],
    ['p256', 'ES256', p256.privateKey],
    ['ed25519', 'EdDSA', ed25519.privateKey],
  ])('%s reads with %s', async (kid, alg, key) => {
    const reply = await read(await sign(kid, alg, key));
    expect(reply.status).toBe(200);
    expect(stage.simulator.world.verdict(reply.text).accepted).toBe(true);
  });

  it.each<[string, () => string | Promise<string>]>([
    ['the key of another', () => sign('ed25519', 'EdDSA', generateKeyPairSync('ed25519').privateKey)],
    ['the kid of another', () => sign('rsa', 'EdDSA', ed25519.privateKey)],
    ['the kid of a client with a secret', () => sign('web', 'EdDSA', ed25519.privateKey)],
    ['a kid that nobody has', () => sign('nobody', 'RS256', rsa.privateKey)],
    ['a longer hash', () => sign('rsa', 'RS512', rsa.privateKey)],
    ['the other name of EdDSA', () => sign('ed25519', 'Ed25519', ed25519.privateKey)],
    ['an HMAC with its PEM', () => hmacWith(spki(rsa), { alg: 'HS256', kid: 'rsa' })],
    ['an HMAC with its PEM, called RS256', () => hmacWith(spki(rsa), { alg: 'RS256', kid: 'rsa' })],
    [
      'an HMAC with its DER',
      () => hmacWith(rsa.publicKey.export({ type: 'spki', format: 'der' }), { alg: 'HS256', kid: 'rsa' }),
    ],
    ['an HMAC with the secret of another', () => hmacWith(WEB_KEY, { alg: 'HS256', kid: 'rsa' })],
    ['no signature', () => `${encode('{"alg":"none","kid":"rsa"}')}.${encode('{"aud":"wechat-token-hub"}')}.`],
    ['another audience', () => sign('rsa', 'RS256', rsa.privateKey, { aud: 'other' })],
    ['an end that is past', () => sign('rsa', 'RS256', rsa.privateKey, { exp: 1 })],
    ['a beginning to come', () => sign('rsa', 'RS256', rsa.privateKey, { nbf: 4e9 })],
    ['a birth to come', () => sign('rsa', 'RS256', rsa.privateKey, { iat: 4e9 })],
    ['an end that is none', () => sign('rsa', 'RS256', rsa.privateKey, { exp: '4000000000' as unknown as number })],
  ])('is not let in with %s', async (_, token) => {
    await expectRefused(await token());
  });

  it('gets a token for a try from the script', async () => {
    file('ed25519.key', ed25519.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string);
    const asked = ['scripts/jwt.mjs', '--kid', 'ed25519', '--key', join(folder, 'ed25519.key')];
    expect(await statusOf(execFileSync('node', asked, { encoding: 'utf8' }).trim())).toBe(200);
  });

  it('is as good as its file: another key there takes the place of the old one', async () => {
    const next = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const [before, after] = [await sign('rsa', 'RS256', rsa.privateKey), await sign('rsa', 'RS256', next.privateKey)];
    file('rsa.pem', spki(next));
    await until(async () => (await statusOf(after)) === 200);
    await expectRefused(before);
  });

  it('is told apart from others that come at the same time', async () => {
    const tokens = [
      await sign('p256', 'ES256', p256.privateKey),
      tokenFor(),
      await sign('ed25519', 'EdDSA', ed25519.privateKey),
      await sign('p256', 'ES256', generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey),
    ];
    const statuses = await Promise.all(Array.from({ length: 40 }, (_, i) => statusOf(tokens[i % 4] ?? '')));
    expect(statuses).toEqual(statuses.map((_, i) => (i % 4 === 3 ? 401 : 200)));
  });
});

describe('a client that changes its key', () => {
  const [OLD, NEW] = ['old-key-5b8e1c4a7d0f3b6e9c2a5d8f1b4e7a0c', 'new-key-0c7a4e1b8f5d2a9c6e3b0f7d4a1c8e5b'];

  it('is let in with both while both are there, and with one alone before and after', async () => {
    clients({ shop: { key: { env: 'OLD' } } });
    await stage.restart({ HUB_CONFIG: join(folder, 'hub.json'), OLD, NEW });
    const [old, young] = [tokenFor('shop', OLD), tokenFor('shop', NEW)];
    expect([await statusOf(old), await statusOf(young)]).toEqual([200, 401]);
    clients({ shop: { keys: [{ env: 'NEW' }, { env: 'OLD' }] } });
    await until(async () => (await statusOf(young)) === 200);
    expect(await statusOf(old)).toBe(200);
    await expectRefused(tokenFor('shop', 'a third key that is long enough for all that'));
    clients({ shop: { key: { env: 'NEW' } } });
    await until(async () => (await statusOf(old)) === 401);
    expect(await statusOf(young)).toBe(200);
  });

  it('may go from a shared secret to a key pair', async () => {
    file('ed25519.pem', spki(ed25519));
    clients({ shop: { keys: [{ publicKey: { file: 'ed25519.pem' } }, { env: 'OLD' }] } });
    await stage.restart({ HUB_CONFIG: join(folder, 'hub.json'), OLD });
    expect(await statusOf(tokenFor('shop', OLD))).toBe(200);
    expect(await statusOf(await sign('shop', 'EdDSA', ed25519.privateKey))).toBe(200);
    await expectRefused(hmacWith(spki(ed25519), { alg: 'HS256', kid: 'shop' }));
  });
});

describe('a pod with a projected token', () => {
  const ISS = 'https://kubernetes.default.svc.cluster.local';
  const SUB = 'system:serviceaccount:shop:web';
  /** What the API server writes into such a token. */
  const POD = {
    iss: ISS,
    sub: SUB,
    jti: '0f2ad2a3-4b5b-4b0a-9c52-0ab4d1f7d6a1',
    'kubernetes.io': {
      namespace: 'shop',
      node: { name: 'node-1', uid: '5f7c1c0e-2f0b-4f37-9a59-5b0ad0a9d7e1' },
      pod: { name: 'web-6d4cf56db6-x2x7k', uid: '7a3e1d6c-8a57-4c0e-a1f9-2f9d3a6b1c0d' },
      serviceaccount: { name: 'web', uid: '1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed' },
    },
  };
  const issued = (more: object = {}): object => ({
    key: { jwks: issuer.jwks, issuer: ISS, subject: SUB, ca: { file: 'ca.pem' }, token: { file: 'token' }, ...more },
  });

  beforeEach(async () => {
    issuer.asked.length = 0;
    issuer.answer = undefined;
    file('ca.pem', CERTIFICATE);
    file('token', 'token-of-the-hub');
    clients({ shop: issued(), other: issued({ subject: 'system:serviceaccount:shop:other' }) });
    await stage.restart({ HUB_CONFIG: join(folder, 'hub.json') });
  });

  it('reads, and the hub asks for the keys once, with its own token', async () => {
    const now = Math.floor(Date.now() / 1000);
    const token = await issuer.sign({ ...POD, aud: ['wechat-token-hub'], iat: now, nbf: now, exp: now + 3607 });
    expect(issuer.asked).toEqual([]);
    const replies = await Promise.all(Array.from({ length: 20 }, () => statusOf(token)));
    expect(new Set(replies)).toEqual(new Set([200]));
    expect(issuer.asked.map(({ authorization }) => authorization)).toEqual(['Bearer token-of-the-hub']);
  });

  it('reads when its key is called by a hash that begins with a hyphen', async () => {
    const kid = '-gN4yJqkVtTq0hSgSx1nyfN_s4ItvxsKGkDwSYoYUj8';
    issuer.add(kid);
    expect(await statusOf(await issuer.sign(POD, kid))).toBe(200);
  });

  it.each<[string, object]>([
    ['another subject', { sub: 'system:serviceaccount:shop:db' }],
    ['no subject', { sub: undefined }],
    ['another issuer', { iss: 'https://kubernetes.default.svc' }],
    ['no issuer', { iss: undefined }],
    ['another audience', { aud: ['https://kubernetes.default.svc.cluster.local'] }],
    ['no end', { exp: undefined }],
    ['an end that is past', { exp: 1_700_000_000 }],
  ])('is not let in with %s', async (_, claims) => {
    await expectRefused(await issuer.sign({ ...POD, ...claims }));
    expect(await statusOf(await issuer.sign(POD))).toBe(200);
  });

  it('is not let in by a kid of the configuration, nor does it get in as such a client', async () => {
    issuer.add('web');
    const reply = await stage.ask('/apps', { token: await issuer.sign(POD, 'web') });
    expect(reply.status).toBe(200);
    await expectRefused(tokenFor('web', WEB_KEY, { iss: ISS, sub: SUB }));
    await expectRefused(await issuer.sign({}, 'web'));
    await expectRefused(await issuer.sign({}, 'shop'));
  });

  it('is not let in by a flood of made-up kids, which costs the issuer one question', async () => {
    const made = Array.from({ length: 100 }, (_, i) => issuer.sign(POD, `made-up-${i}`));
    const statuses = await Promise.all((await Promise.all(made)).map(statusOf));
    expect(new Set(statuses)).toEqual(new Set([401]));
    expect(issuer.asked).toHaveLength(1);
  });

  it('is let in while the issuer is away, if its keys are known', async () => {
    const token = await issuer.sign(POD);
    expect(await statusOf(token)).toBe(200);
    issuer.answer = (response) => response.writeHead(503).end();
    expect(await statusOf(token)).toBe(200);
  });

  it('is out at once when its client is', async () => {
    const token = await issuer.sign(POD);
    expect(await statusOf(token)).toBe(200);
    clients({ other: issued({ subject: 'system:serviceaccount:shop:other' }) });
    await until(async () => (await statusOf(token)) === 401);
  });

  const seen = async (): Promise<[status: unknown, issuers: unknown, metrics: string[]]> => {
    const { json } = await stage.ask('/health/ready', { token: null });
    const { text } = await stage.ask('/metrics', { token: null });
    const metrics = text.match(/^wechat_token_hub_issuer_keys.*/gm) ?? [];
    return [json['status'], (json['details'] as Record<string, unknown>)['issuers'], metrics];
  };

  it('is seen in readiness and metrics, with what to do if the keys cannot be had', async () => {
    clients({ shop: issued() });
    await stage.restart({ HUB_CONFIG: join(folder, 'hub.json') });
    expect(await seen()).toEqual(['ok', undefined, []]);
    issuer.answer = (response) => response.writeHead(403).end();
    await expectRefused(await issuer.sign(POD));
    expect(await seen()).toEqual([
      'degraded',
      {
        status: 'degraded',
        clients: [
          {
            client: 'shop',
            state: 'unusable',
            keys: 0,
            error: {
              advice: expect.stringMatching(/could not be fetched: HTTP status 403\. Until they are there/) as string,
              seconds: 0,
            },
          },
        ],
      },
      ['wechat_token_hub_issuer_keys{client="shop"} 0', 'wechat_token_hub_issuer_keys_up{client="shop"} 0'],
    ]);
  });

  it('is seen to be well once the keys are there', async () => {
    expect(await statusOf(await issuer.sign(POD))).toBe(200);
    const keys = (JSON.parse(issuer.keySet()) as { keys: unknown[] }).keys.length;
    const [status, issuers, metrics] = await seen();
    expect([status, issuers]).toEqual([
      'ok',
      { status: 'up', clients: ['shop', 'other'].map((client) => ({ client, state: 'good', keys })) },
    ]);
    expect(metrics).toContain('wechat_token_hub_issuer_keys_up{client="other"} 1');
  });

  it('is refused like anybody when the keys cannot be had, and the log says why', async () => {
    issuer.answer = (response) => response.writeHead(403).end();
    const lines: string[] = [];
    const take = (message: unknown): void => void lines.push(JSON.stringify(message));
    const logger: LoggerService = { log: take, warn: take, error: take };
    const dataDir = mkdtempSync(join(tmpdir(), 'hub-'));
    const hub = await Hub.start(
      { ...stage.environment, DATA_DIR: dataDir, HUB_CONFIG: join(folder, 'hub.json') },
      logger,
    );
    try {
      const reply = await ask(`http://127.0.0.1:${hub.port}/access-token`, { token: await issuer.sign(POD, 'key-1') });
      expect([reply.status, reply.text]).toEqual([401, REFUSAL]);
    } finally {
      await hub.stop();
      rmSync(dataDir, { recursive: true });
    }
    const log = lines.join('\n');
    expect(log).toContain(`The keys of the issuer ${ISS} could not be fetched: HTTP status 403.`);
    expect(log).toContain('of the kid key-1: the keys of its issuer cannot be had (HTTP status 403).');
    expect(log).not.toMatch(/eyJ|token-of-the-hub/);
  });
});
