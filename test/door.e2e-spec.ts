import type { LoggerService } from '@nestjs/common';
import fc from 'fast-check';
import jwt from 'jsonwebtoken';
import { createHmac, generateKeyPairSync, sign as signWithKey } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Hub } from '../src/hub.js';
import { APPID, ask, type Reply, Stage, tokenFor, WEB_KEY } from './hub.fixture.js';
import { exchange, exchangeOne, type WireReply } from './wire.fixture.js';

const CLIENT_KEY = 'client-key-7d1e5b9f3a6c0d4e8f2b7a1c5d9e3f6b';
const SHOP = { appid: 'wxshop0123456789', secret: 'shop-secret-4e8f2b7a1c5d9e3f' };
const REFUSAL = '{"type":"/problems/unauthenticated","title":"No valid token came with the request","status":401}';

/** Clients that see the app `shop` alone, one for each right and one for each way to have none. */
const MAY = { reader: ['read'], rotator: ['rotate'], reporter: ['report'], signer: ['sign'], nobody: [] };
const folder = mkdtempSync(join(tmpdir(), 'door-'));
const hubFile = join(folder, 'hub.json');
const clients = Object.entries<string[] | undefined>({ ...MAY, usual: undefined }).map(
  ([kid, may]) => [kid, { key: { env: 'CLIENT_KEY' }, apps: ['shop'], ...(may && { may }) }] as const,
);
writeFileSync(
  hubFile,
  JSON.stringify({
    apps: { shop: { platform: 'official-account', appid: SHOP.appid, secret: { env: 'SHOP_SECRET' } } },
    clients: {
      ...Object.fromEntries(clients),
      blind: { key: { env: 'CLIENT_KEY' }, apps: [], may: ['read', 'rotate'] },
    },
  }),
);
const environment = { HUB_CONFIG: hubFile, CLIENT_KEY, SHOP_SECRET: SHOP.secret };

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.set(environment);
  stage.simulator.world.account({ ...SHOP, kind: 'official-account' });
});
afterAll(async () => {
  await stage.strike();
  rmSync(folder, { recursive: true });
});

const seconds = (): number => Math.floor(Date.now() / 1000);
const encode = (bytes: string | Buffer): string => Buffer.from(bytes).toString('base64url');
const hmac = (text: string, key = WEB_KEY, hash = 'sha256'): string =>
  createHmac(hash, key).update(text).digest('base64url');

/** A token over these very bytes, with a signature that holds: whatever is wrong with it, it is not that. */
function signed(header: string | Buffer, payload: string | Buffer, key?: string, hash?: string): string {
  const text = `${encode(header)}.${encode(payload)}`;
  return `${text}.${hmac(text, key, hash)}`;
}

const HEADER = '{"alg":"HS256","typ":"JWT","kid":"web"}';
const PAYLOAD = '{"aud":"wechat-token-hub"}';
const withHeader = (header: string | Buffer, key?: string): string => signed(header, PAYLOAD, key);
const withPayload = (payload: string | Buffer): string => signed(HEADER, payload);
const withClaims = (claims: object): string => withPayload(JSON.stringify({ aud: 'wechat-token-hub', ...claims }));
const withMembers = (members: object): string =>
  withHeader(JSON.stringify({ alg: 'HS256', typ: 'JWT', kid: 'web', ...members }));
const bearer = (token: string): string[] => [`Authorization: Bearer ${token}`];
const good = (): string => signed(HEADER, PAYLOAD);

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ed25519 = generateKeyPairSync('ed25519');
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });

function signedBy(header: object, key: Parameters<typeof signWithKey>[2], hash: string | null): string {
  const text = `${encode(JSON.stringify({ typ: 'JWT', kid: 'web', ...header }))}.${encode(PAYLOAD)}`;
  return `${text}.${signWithKey(hash, Buffer.from(text), key).toString('base64url')}`;
}

function reversed(token: string): string {
  const [header = '', payload = '', signature = ''] = token.split('.');
  return `${header}.${payload}.${Array.from(signature).reverse().join('')}`;
}

/** Changes bits that no byte is made of: a loose reader takes the part for the same. */
function loosened(part: string): string {
  if (part.length % 4 === 0) throw new Error('all bits of this part say something');
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  return part.slice(0, -1) + alphabet.charAt(alphabet.indexOf(part.slice(-1)) + 1);
}

/** A token whose header and payload have spare bits set, with a signature over just that. */
function signedLoosely(loosen: 'header' | 'payload'): string {
  const header = encode(`${HEADER} `);
  const payload = encode(`${PAYLOAD}  `);
  const text = loosen === 'header' ? `${loosened(header)}.${payload}` : `${header}.${loosened(payload)}`;
  return `${text}.${hmac(text)}`;
}

function deep(levels: number): string {
  return `${'['.repeat(levels)}1${']'.repeat(levels)}`;
}

/** What comes in the way of Authorization header lines, one fault each. */
const HOSTILE: readonly (readonly [fault: string, lines: () => string[]])[] = [
  // The header as such
  ['no header', () => []],
  ['an empty header', () => ['Authorization:']],
  ['a header of white space', () => ['Authorization:  \t ']],
  ['the scheme alone', () => ['Authorization: Bearer']],
  ['the scheme and spaces', () => ['Authorization: Bearer    ']],
  ['the token alone', () => [`Authorization: ${good()}`]],
  ['Basic', () => [`Authorization: Basic ${encode('web:x')}`]],
  ['Basic with the token', () => [`Authorization: Basic ${good()}`]],
  ['Digest', () => ['Authorization: Digest username="web"']],
  ['a scheme that begins so', () => [`Authorization: Bearerx ${good()}`]],
  ['a tab for the space', () => [`Authorization: Bearer\t${good()}`]],
  ['a tab and a space', () => [`Authorization: Bearer \t${good()}`]],
  ['no space', () => [`Authorization: Bearer${good()}`]],
  ['a colon', () => [`Authorization: Bearer: ${good()}`]],
  ['an equals sign', () => [`Authorization: Bearer=${good()}`]],
  ['quotes', () => [`Authorization: Bearer "${good()}"`]],
  ['a comma behind', () => [`Authorization: Bearer ${good()},`]],
  ['a list of two', () => [`Authorization: Bearer ${good()}, Bearer ${good()}`]],
  ['two tokens', () => [`Authorization: Bearer ${good()} ${good()}`]],
  ['a space within', () => [`Authorization: Bearer ${good().replace('.', ' .')}`]],
  ['the same header twice', () => [...bearer(good()), ...bearer(good())]],
  ['a second header of another scheme', () => [...bearer(good()), 'authorization: Basic eDp5']],
  ['a second header that is empty', () => [...bearer(good()), 'Authorization:']],
  ['the token in a header of another name', () => [`X-Authorization: Bearer ${good()}`]],
  ['the token for a proxy', () => [`Proxy-Authorization: Bearer ${good()}`]],
  ['the token in a cookie', () => [`Cookie: Authorization=Bearer ${good()}; jwt=${good()}`]],
  ['bytes beyond ASCII', () => [`Authorization: Bearer ${good()}\xff\xfe`]],
  ['a no-break space', () => [`Authorization: Bearer\xa0${good()}`]],
  ['a quarter of all that a header may be', () => bearer('A'.repeat(4000))],
  ['a long and empty token', () => bearer('.'.repeat(4000))],
  // The three parts
  ['one part', () => bearer(encode(HEADER))],
  ['two parts', () => bearer(good().split('.').slice(0, 2).join('.'))],
  ['four parts', () => bearer(`${good()}.${encode('more')}`)],
  ['five parts, as of a JWE', () => bearer(`${good()}.AAAA.AAAA`)],
  ['two dots', () => bearer('..')],
  ['no signature', () => bearer(good().replace(/[^.]+$/, ''))],
  ['no payload', () => bearer(`${encode(HEADER)}..${hmac(`${encode(HEADER)}.`)}`)],
  ['no header part', () => bearer(`.${encode(PAYLOAD)}.${hmac(`.${encode(PAYLOAD)}`)}`)],
  ['padding', () => bearer(`${good()}=`)],
  ['the other alphabet', () => bearer(`${good().slice(0, -2)}+/`)],
  ['trailing bits of the header', () => bearer(signedLoosely('header'))],
  ['trailing bits of the payload', () => bearer(signedLoosely('payload'))],
  ['trailing bits of the signature', () => bearer(good().replace(/[^.]+$/, loosened))],
  ['one character more', () => bearer(`${good()}A`)],
  ['one character less', () => bearer(good().slice(0, -1))],
  ['over 4,096 characters', () => bearer(withClaims({ filler: 'x'.repeat(3000) }))],
  // The signature
  [
    'the signature of another payload',
    () => bearer(good().replace(/\.[^.]+\./, `.${encode('{"aud":["wechat-token-hub"]}')}.`)),
  ],
  ['a signature backwards', () => bearer(reversed(good()))],
  ['another key', () => bearer(withHeader(HEADER, 'another key altogether, of enough length'))],
  ['the empty key', () => bearer(withHeader(HEADER, ''))],
  ['the key of another client', () => bearer(withHeader(HEADER, CLIENT_KEY))],
  ['the name of another client', () => bearer(withMembers({ kid: 'reader' }))],
  ['the AppSecret for a key', () => bearer(withHeader(HEADER, SHOP.secret))],
  ['the appid for a key', () => bearer(withHeader(HEADER, APPID))],
  ['the kid for a key', () => bearer(withHeader(HEADER, 'web'))],
  // The algorithm
  ['none', () => bearer(`${encode('{"alg":"none","kid":"web"}')}.${encode(PAYLOAD)}.`)],
  ['none with a signature', () => bearer(withMembers({ alg: 'none' }))],
  ['None', () => bearer(withMembers({ alg: 'None' }))],
  ['nOnE without a signature', () => bearer(`${encode('{"alg":"nOnE","kid":"web"}')}.${encode(PAYLOAD)}.`)],
  ['HS384 with the same key', () => bearer(signed(HEADER.replace('256', '384'), PAYLOAD, WEB_KEY, 'sha384'))],
  ['HS512 with the same key', () => bearer(signed(HEADER.replace('256', '512'), PAYLOAD, WEB_KEY, 'sha512'))],
  ['HS256 signed as HS512', () => bearer(signed(HEADER, PAYLOAD, WEB_KEY, 'sha512'))],
  ['HS1', () => bearer(signed(HEADER.replace('256', '1'), PAYLOAD, WEB_KEY, 'sha1'))],
  ['hs256', () => bearer(withMembers({ alg: 'hs256' }))],
  ['RS256 that is HS256', () => bearer(withMembers({ alg: 'RS256' }))],
  ['RS256 of a key pair', () => bearer(signedBy({ alg: 'RS256' }, rsa.privateKey, 'sha256'))],
  [
    'ES256 of a key pair',
    () => bearer(signedBy({ alg: 'ES256' }, { key: ec.privateKey, dsaEncoding: 'ieee-p1363' }, 'sha256')),
  ],
  ['EdDSA of a key pair', () => bearer(signedBy({ alg: 'EdDSA' }, ed25519.privateKey, null))],
  [
    'RS256 with the key pair in jwk',
    () => bearer(signedBy({ alg: 'RS256', jwk: rsa.publicKey.export({ format: 'jwk' }) }, rsa.privateKey, 'sha256')),
  ],
  ['no alg', () => bearer(withMembers({ alg: undefined }))],
  ['an array for alg', () => bearer(withMembers({ alg: ['HS256'] }))],
  ['a number for alg', () => bearer(withMembers({ alg: 256 }))],
  ['null for alg', () => bearer(withMembers({ alg: null }))],
  ['an empty alg', () => bearer(withMembers({ alg: '' }))],
  // The kid
  ['no kid', () => bearer(withMembers({ kid: undefined }))],
  ['an unknown kid', () => bearer(withMembers({ kid: 'nobody-knows' }))],
  ['a kid in capitals', () => bearer(withMembers({ kid: 'WEB' }))],
  ['an empty kid', () => bearer(withMembers({ kid: '' }))],
  ['an array for kid', () => bearer(withMembers({ kid: ['web'] }))],
  ['an object for kid', () => bearer(withMembers({ kid: { web: 1 } }))],
  ['a number for kid', () => bearer(withMembers({ kid: 0 }))],
  ['null for kid', () => bearer(withMembers({ kid: null }))],
  ['a long kid', () => bearer(withMembers({ kid: 'web'.repeat(200) }))],
  ['__proto__ for kid', () => bearer(withMembers({ kid: '__proto__' }))],
  ['constructor for kid', () => bearer(withMembers({ kid: 'constructor' }))],
  ['a path for kid', () => bearer(withMembers({ kid: '../../../../dev/null' }))],
  ['a variable for kid', () => bearer(withMembers({ kid: 'JWT_KEY_web' }))],
  ['a line feed in kid', () => bearer(withMembers({ kid: 'web\nroot' }))],
  ['a NUL in kid', () => bearer(withMembers({ kid: 'web\0' }))],
  // Other members of the header
  ...['crit', 'b64', 'zip', 'jku', 'jwk', 'x5u', 'x5c', 'cty'].map(
    (member) => [member, () => bearer(withMembers({ [member]: ['exp'] }))] as const,
  ),
  ['a false b64', () => bearer(withMembers({ b64: false }))],
  ['a number for typ', () => bearer(withMembers({ typ: 1 }))],
  // The JSON of the header
  ['two kids', () => bearer(withHeader('{"alg":"HS256","kid":"reader","kid":"web"}'))],
  ['two kids, one in escapes', () => bearer(withHeader('{"alg":"HS256","\\u006bid":"reader","kid":"web"}'))],
  ['two algs', () => bearer(withHeader('{"alg":"none","kid":"web","alg":"HS256"}'))],
  ['a duplicate deep in the header', () => bearer(withHeader('{"alg":"HS256","kid":"web","x":[{"y":1,"y":2}]}'))],
  ['an array for the header', () => bearer(withHeader(`[${HEADER}]`))],
  ['a text for the header', () => bearer(withHeader('"web"'))],
  ['null for the header', () => bearer(withHeader('null'))],
  ['no JSON for the header', () => bearer(withHeader('web'))],
  ['a BOM before the header', () => bearer(withHeader(`\ufeff${HEADER}`))],
  ['a comma too many in the header', () => bearer(withHeader(HEADER.replace('}', ',}')))],
  [
    'bytes that are no UTF-8 in the header',
    () => bearer(withHeader(Buffer.from(HEADER.replace('JWT', '\xff'), 'latin1'))),
  ],
  ['a header too deep', () => bearer(withMembers({ x: JSON.parse(deep(8)) as unknown }))],
  ['a header as deep as can be', () => bearer(withHeader(HEADER.replace('}', `,"x":${deep(1200)}}`)))],
  // The JSON of the payload
  ['two auds', () => bearer(withPayload('{"aud":"other","aud":"wechat-token-hub"}'))],
  ['two exps, one in escapes', () => bearer(withPayload('{"aud":"wechat-token-hub","exp":1,"\\u0065xp":4000000000}'))],
  [
    'a duplicate deep in the payload',
    () => bearer(withPayload('{"aud":"wechat-token-hub","x":{"y":[{"z":1,"z":1}]}}')),
  ],
  ['an array for the payload', () => bearer(withPayload(`[${PAYLOAD}]`))],
  ['a text for the payload', () => bearer(withPayload('"wechat-token-hub"'))],
  ['null for the payload', () => bearer(withPayload('null'))],
  ['a number for the payload', () => bearer(withPayload('1'))],
  ['no JSON for the payload', () => bearer(withPayload('aud=wechat-token-hub'))],
  ['a BOM before the payload', () => bearer(withPayload(`\ufeff${PAYLOAD}`))],
  [
    'bytes that are no UTF-8 in the payload',
    () => bearer(withPayload(Buffer.from('{"aud":"wechat-token-hub","x":"\xe9"}', 'latin1'))),
  ],
  ['UTF-16 in the payload', () => bearer(withPayload(Buffer.from(PAYLOAD, 'utf16le')))],
  ['a payload too deep', () => bearer(withClaims({ x: JSON.parse(deep(8)) as unknown }))],
  ['a payload as deep as can be', () => bearer(withPayload(PAYLOAD.replace('}', `,"x":${deep(1200)}}`)))],
  // The claims
  ['no claims', () => bearer(withPayload('{}'))],
  ['no aud', () => bearer(withClaims({ aud: undefined }))],
  ['another aud', () => bearer(withClaims({ aud: 'wechat-token-hub-2' }))],
  ['an aud in capitals', () => bearer(withClaims({ aud: 'Wechat-Token-Hub' }))],
  ['an empty array of auds', () => bearer(withClaims({ aud: [] }))],
  ['an array of other auds', () => bearer(withClaims({ aud: ['a', 'b'] }))],
  ['a number among the auds', () => bearer(withClaims({ aud: ['wechat-token-hub', 1] }))],
  ['an array in the array of auds', () => bearer(withClaims({ aud: [['wechat-token-hub']] }))],
  ['an object for aud', () => bearer(withClaims({ aud: { 'wechat-token-hub': true } }))],
  ['null for aud', () => bearer(withClaims({ aud: null }))],
  ['an exp of long ago', () => bearer(withClaims({ exp: 1 }))],
  ['an exp before the leeway', () => bearer(withClaims({ exp: seconds() - 31 }))],
  ['an exp below zero', () => bearer(withClaims({ exp: -1 }))],
  ['an exp of zero', () => bearer(withClaims({ exp: 0 }))],
  ['a text for exp', () => bearer(withClaims({ exp: '4000000000' }))],
  ['null for exp', () => bearer(withClaims({ exp: null }))],
  ['an array for exp', () => bearer(withClaims({ exp: [4_000_000_000] }))],
  ['true for exp', () => bearer(withClaims({ exp: true }))],
  ['an infinite exp', () => bearer(withPayload('{"aud":"wechat-token-hub","exp":1e999}'))],
  ['an infinite nbf', () => bearer(withPayload('{"aud":"wechat-token-hub","nbf":-1e999}'))],
  ['an infinite iat', () => bearer(withPayload('{"aud":"wechat-token-hub","iat":-1e999}'))],
  ['an nbf beyond the leeway', () => bearer(withClaims({ nbf: seconds() + 40 }))],
  ['a text for nbf', () => bearer(withClaims({ nbf: '0' }))],
  ['null for nbf', () => bearer(withClaims({ nbf: null }))],
  ['an iat beyond the leeway', () => bearer(withClaims({ iat: seconds() + 40 }))],
  ['a text for iat', () => bearer(withClaims({ iat: 'now' }))],
  ['null for iat', () => bearer(withClaims({ iat: null }))],
  ['times in milliseconds', () => bearer(withClaims({ iat: Date.now(), exp: Date.now() + 300_000 }))],
];

/** All that was sent back but for the time of day and the number of the request. */
function lasting({ raw }: WireReply): string {
  return raw.replace(/^(date|x-request-id): .*\r\n/gim, '');
}

describe('the door', () => {
  it('has a hostile corpus that is worth its name', () => {
    expect(HOSTILE.length).toBeGreaterThan(120);
    expect(new Set(HOSTILE.map(([fault]) => fault)).size).toBe(HOSTILE.length);
  });

  it.each(HOSTILE)('stays shut: %s', async (_, lines) => {
    const sent = lines();
    const reply = await exchangeOne(stage.url, 'GET /access-token HTTP/1.1', sent);
    const plain = await exchangeOne(stage.url, 'GET /access-token HTTP/1.1');
    expect(reply.status).toBe(401);
    expect(reply.body).toBe(REFUSAL);
    expect(reply.headers.get('www-authenticate')).toBe('Bearer error="invalid_token"');
    expect(reply.headers.get('content-type')).toBe('application/problem+json');
    expect(reply.headers.get('cache-control')).toBe('no-store');
    expect(lasting(reply)).toBe(lasting(plain));
  });

  it.each<[string, () => string[]]>([
    ['the plainest token', () => bearer(good())],
    ['one as libraries make it', () => bearer(tokenFor())],
    ['bearer', () => [`Authorization: bearer ${good()}`]],
    ['BEARER', () => [`Authorization: BEARER ${good()}`]],
    ['a header name in capitals', () => [`AUTHORIZATION: Bearer ${good()}`]],
    ['a header name in small letters', () => [`authorization: Bearer ${good()}`]],
    ['several spaces', () => [`Authorization:   Bearer   ${good()}`]],
    ['white space around the value, which is no part of it', () => [`Authorization: \tBearer ${good()} \t`]],
    ['no typ', () => bearer(withMembers({ typ: undefined }))],
    ['an array of auds', () => bearer(withClaims({ aud: ['other', 'wechat-token-hub'] }))],
    ['no exp', () => bearer(withClaims({}))],
    ['an exp within the leeway', () => bearer(withClaims({ exp: seconds() - 20 }))],
    ['an exp with a fraction', () => bearer(withClaims({ exp: seconds() + 60.5 }))],
    ['an exp in a thousand years', () => bearer(withClaims({ exp: 32_000_000_000 }))],
    ['an nbf within the leeway', () => bearer(withClaims({ nbf: seconds() + 20 }))],
    ['an iat within the leeway', () => bearer(withClaims({ iat: seconds() + 20 }))],
    ['an iat of long ago', () => bearer(withClaims({ iat: 0 }))],
    ['claims of others', () => bearer(withClaims({ sub: 'x', roles: [{ name: 'admin' }], 名: '令牌' }))],
    ['white space in the JSON', () => bearer(signed(` ${HEADER}\n`, `\t${PAYLOAD} `))],
    ['other headers of the header', () => bearer(withMembers({ x5t: 'abc' }))],
    ['just 4,096 characters', () => bearer(ofLength(4096))],
    ['as deep as allowed', () => bearer(withClaims({ x: JSON.parse(deep(7)) as unknown }))],
  ])('opens for %s', async (_, lines) => {
    const reply = await exchangeOne(stage.url, 'GET /access-token HTTP/1.1', lines());
    expect(reply.status).toBe(200);
    expect(stage.simulator.world.verdict(reply.body)).toMatchObject({ accepted: true, appid: APPID });
  });

  it('opens for a target in absolute form, as proxies send it', async () => {
    const reply = await exchangeOne(stage.url, `GET ${stage.url}/access-token HTTP/1.1`, bearer(good()));
    expect(reply.status).toBe(200);
  });

  it('stays shut when any one character of a good token is another', async () => {
    const token = good();
    const others = Array.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.');
    await fc.assert(
      fc.asyncProperty(fc.nat(token.length - 1), fc.constantFrom(...others), async (position, other) => {
        fc.pre(token[position] !== other);
        const changed = token.slice(0, position) + other + token.slice(position + 1);
        const reply = await stage.ask('/access-token', { token: changed });
        expect([reply.status, reply.text]).toEqual([401, REFUSAL]);
      }),
      { numRuns: 200 },
    );
  });

  it('stays shut for any header that can be sent', async () => {
    const printable = fc.string({ unit: 'grapheme-ascii' });
    await fc.assert(
      fc.asyncProperty(printable, fc.constantFrom('', 'Bearer ', 'Bearer a.'), async (value, start) => {
        const reply = await exchangeOne(stage.url, 'GET /access-token HTTP/1.1', [`Authorization: ${start}${value}`]);
        expect([reply.status, reply.body]).toEqual([401, REFUSAL]);
      }),
    );
  });

  it.each([
    ['GET', '/access-token'],
    ['GET', '/access_token'],
    ['GET', '/ticket?type=jsapi'],
    ['GET', '/ticket'],
    ['GET', '/apps'],
    ['GET', '/apps/shop/access-token'],
    ['GET', '/apps/shop/access-token?rotate_token=x'],
    ['GET', '/apps/shop/access-token?unknown=x'],
    ['GET', '/apps/no-such-app/access-token'],
    ['GET', '/apps/shop/ticket?type=jsapi'],
    ['POST', '/apps/shop/access-token/report'],
    ['POST', '/apps/shop/jssdk-config'],
  ])('is in front of %s %s', async (method, path) => {
    for (const token of [null, 'a.b.c', withHeader(HEADER, CLIENT_KEY)]) {
      const reply = await stage.ask(path, { method, token });
      expect([reply.status, reply.text]).toEqual([401, REFUSAL]);
      expect(reply.headers.get('www-authenticate')).toBe('Bearer error="invalid_token"');
    }
  });

  it('tells apart whose requests come at once on one connection, as proxies may send them', async () => {
    const keyed = (kid: string): string => signed(JSON.stringify({ alg: 'HS256', kid }), PAYLOAD, CLIENT_KEY);
    const asking: readonly (readonly [token: string, status: number])[] = [
      [good(), 200],
      [keyed('reader'), 200],
      [keyed('nobody'), 403],
      [keyed('blind'), 404],
      ['a.b.c', 401],
      [withMembers({ kid: 'reader' }), 401],
      [keyed('signer'), 403],
      [good(), 200],
    ];
    const shuffled = fc.shuffledSubarray([...asking], { minLength: 2 });
    await fc.assert(
      fc.asyncProperty(shuffled, async (requests) => {
        const lines = requests.map(
          ([token], i) =>
            `GET /apps/shop/access-token HTTP/1.1\r\nHost: hub\r\n${bearer(token).join('')}\r\n` +
            `Connection: ${i === requests.length - 1 ? 'close' : 'keep-alive'}\r\n\r\n`,
        );
        const replies = await exchange(stage.url, lines.join(''));
        expect(replies.map((reply) => reply.status)).toEqual(requests.map(([, status]) => status));
      }),
      { numRuns: 50 },
    );
  });

  it('does not take the token from the query or a body', async () => {
    const inQuery = await stage.ask(`/access-token?access_token=${good()}`, { token: null });
    const inBody = await stage.post('/apps/shop/jssdk-config', { access_token: good() }, { token: null });
    expect([inQuery.text, inBody.text]).toEqual([REFUSAL, REFUSAL]);
  });
});

function ofLength(length: number): string {
  const tokens = [0, 1, 2].map((more) => {
    const rest = Math.floor(((length - withClaims({ filler: '' }).length) * 3) / 4) - more;
    return withClaims({ filler: 'x'.repeat(rest) });
  });
  const token = tokens.find((candidate) => candidate.length === length);
  if (!token) throw new Error('there is no token of that length');
  return token;
}

describe('what a known client may', () => {
  const as = (kid: string): string => jwt.sign({ aud: 'wechat-token-hub' }, CLIENT_KEY, { keyid: kid, expiresIn: 60 });

  const ASKING: Readonly<Record<string, (app: string, token: string) => Promise<Reply>>> = {
    read: (app, token) => stage.ask(`/apps/${app}/access-token`, { token }),
    'read a ticket': (app, token) => stage.ask(`/apps/${app}/ticket?type=jsapi`, { token }),
    rotate: (app, token) => stage.ask(`/apps/${app}/access-token?rotate_token=of-old`, { token }),
    'rotate a ticket': (app, token) => stage.ask(`/apps/${app}/ticket?type=jsapi&rotate_ticket=of-old`, { token }),
    report: (app, token) => stage.post(`/apps/${app}/access-token/report`, { token: 'of-old' }, withToken(token)),
    sign: (app, token) => stage.post(`/apps/${app}/jssdk-config`, { url: 'https://shop.example/' }, withToken(token)),
  };
  const withToken = (token: string) => ({ token });

  it.each<[kid: string, able: string[]]>([
    ['reader', ['read', 'read a ticket']],
    ['rotator', ['rotate', 'rotate a ticket']],
    ['reporter', ['report']],
    ['signer', ['sign']],
    ['nobody', []],
    ['usual', ['read', 'read a ticket', 'report']],
  ])('%s: %j and nothing else', async (kid, able) => {
    for (const [action, asking] of Object.entries(ASKING)) {
      const reply = await asking('shop', as(kid));
      expect([action, reply.status]).toEqual([action, able.includes(action) ? 200 : 403]);
    }
  });

  it('a client of the environment may read, rotate, report and sign for every app', async () => {
    for (const asking of Object.values(ASKING)) {
      expect((await asking('shop', tokenFor())).status).toBe(200);
      expect((await asking('default', tokenFor())).status).toBe(200);
      expect((await asking('no-such-app', tokenFor())).status).toBe(404);
    }
  });

  it('403 is constant and says nothing of the request', async () => {
    const replies = await Promise.all(Object.values(ASKING).map((asking) => asking('shop', as('nobody'))));
    const body = '{"type":"/problems/forbidden","title":"This client may not do that","status":403}';
    expect(replies.map(({ text }) => text)).toEqual(replies.map(() => body));
  });

  it.each(['reader', 'rotator', 'reporter', 'signer', 'nobody', 'blind'])(
    'for %s an app of others is as one that does not exist',
    async (kid) => {
      const seen = ({ status, headers, text }: Reply): unknown => {
        const lasting = [...headers].filter(([name]) => name !== 'date' && name !== 'x-request-id');
        return { status, lasting, text };
      };
      const body = '{"type":"/problems/not-found","title":"There is nothing here","status":404}';
      for (const asking of Object.values(ASKING)) {
        const others = await asking('default', as(kid));
        expect(seen(others)).toEqual(seen(await asking('no-such-app', as(kid))));
        expect([others.status, others.text]).toEqual([404, body]);
      }
    },
  );

  it('the paths of the original are for the app default, which may not be there for a client', async () => {
    for (const path of ['/access-token', '/access_token', '/ticket?type=jsapi']) {
      expect((await stage.ask(path, { token: as('reader') })).status).toBe(404);
    }
  });

  it('the list of apps shows those that the client sees, and needs the right to read', async () => {
    const namesFor = async (token: string) =>
      ((await stage.ask('/apps', { token })).json['apps'] as { name: string }[]).map(({ name }) => name).sort();
    expect(await namesFor(as('reader'))).toEqual(['shop']);
    expect(await namesFor(as('blind'))).toEqual([]);
    expect(await namesFor(tokenFor())).toEqual(['default', 'shop']);
    for (const kid of ['rotator', 'reporter', 'signer', 'nobody']) {
      expect((await stage.ask('/apps', { token: as(kid) })).status).toBe(403);
    }
  });

  it('nothing of the token comes back, whatever the answer', async () => {
    for (const kid of ['reader', 'nobody', 'web', 'unknown']) {
      const token = kid === 'web' ? tokenFor() : as(kid);
      for (const asking of Object.values(ASKING)) {
        for (const app of ['shop', 'no-such-app']) {
          const { headers, text } = await asking(app, token);
          const answer = JSON.stringify([...headers]) + text;
          for (const part of token.split('.')) expect(answer).not.toContain(part.slice(0, 12));
        }
      }
    }
  });
});

describe('under AUTH_STRICT', () => {
  let strict: Stage;
  beforeAll(async () => (strict = await Stage.set({ AUTH_STRICT: 'true' })));
  afterAll(() => strict.strike());

  it.each<[string, () => object, number]>([
    ['no exp', () => ({}), 401],
    ['an exp in five minutes', () => ({ exp: seconds() + 300 }), 200],
    ['an exp within the leeway', () => ({ exp: seconds() - 20 }), 200],
    ['an exp before the leeway', () => ({ exp: seconds() - 31 }), 401],
    ['an exp in almost 366 days', () => ({ exp: seconds() + 366 * 86_400 - 60 }), 200],
    ['an exp in more than 366 days', () => ({ exp: seconds() + 366 * 86_400 + 60 }), 401],
    ['an exp in a thousand years', () => ({ exp: 32_000_000_000 }), 401],
    ['an exp that is a text', () => ({ exp: String(seconds() + 300) }), 401],
  ])('a token with %s', async (_, claims, status) => {
    const reply = await strict.ask('/access-token', { token: withClaims(claims()) });
    expect(reply.status).toBe(status);
    expect(reply.text === REFUSAL).toBe(status === 401);
  });
});

describe('the log', () => {
  /** Keeps every line in memory. */
  class Lines implements LoggerService {
    readonly all: string[] = [];
    readonly log = this.take.bind(this);
    readonly error = this.take.bind(this);
    readonly warn = this.take.bind(this);

    private take(...message: unknown[]): void {
      this.all.push(message.map((part) => (typeof part === 'string' ? part : JSON.stringify(part))).join(' '));
    }
  }

  it('says which check failed, with the kid where it is one, and nothing of the token', async () => {
    const lines = new Lines();
    const dataDir = mkdtempSync(join(tmpdir(), 'hub-'));
    const hub = await Hub.start({ ...stage.environment, DATA_DIR: dataDir }, lines);
    const longest = 'k'.repeat(64);
    const tokens = [
      'not.a.token',
      withMembers({ kid: longest }),
      withMembers({ kid: `${longest}k` }),
      withMembers({ kid: 'web\u001b[31m' }),
      withMembers({ alg: 'none' }),
      withHeader(HEADER, CLIENT_KEY),
      withClaims({ exp: 1 }),
      withClaims({ aud: 'other-audience-9f8e7d' }),
      withMembers({ jku: 'https://evil.example/' }),
    ];
    const before = lines.all.length;
    try {
      const url = `http://127.0.0.1:${hub.port}/access-token`;
      for (const token of tokens) expect((await ask(url, { token })).status).toBe(401);
    } finally {
      await hub.stop();
      rmSync(dataDir, { recursive: true });
    }
    const refusals = lines.all.slice(before).filter((line) => line.includes('refused a token'));
    expect(refusals).toHaveLength(tokens.length);
    const text = refusals.join('\n');
    for (const telling of [`kid ${longest}:`, 'of the kid web:', 'the kid is no kid', 'jku', 'expired', 'algorithm'])
      expect(text).toContain(telling);
    expect(text).not.toContain(`${longest}k`);
    for (const escape of ['\u001b', '\\u001b']) expect(text).not.toContain(escape);
    for (const token of tokens) for (const part of token.split('.').slice(1)) expect(text).not.toContain(part + '.');
    expect(lines.all.join('\n')).not.toMatch(/eyJ|other-audience-9f8e7d|evil\.example/);
    expect(lines.all.join('\n')).not.toContain(WEB_KEY);
    expect(lines.all.join('\n')).not.toContain(CLIENT_KEY);
  });
});
