import { createHash, createHmac, generateKeyPairSync, sign as signWithKey } from 'node:crypto';
import { APPID, APPSECRET, tokenFor, WEB_KEY } from './hub.fixture.js';

/** The key of the client `other`, whom the hub of these rows knows as well as `web`. */
export const OTHER_KEY = 'other-key-7d1e5b9f3a6c0d4e8f2b7a1c5d9e3f6b';

/** The body of every refusal of a token, whatever is wrong with it. */
export const REFUSAL =
  '{"type":"/problems/unauthenticated","title":"No valid token came with the request","status":401}';

const HEADER = '{"alg":"HS256","typ":"JWT","kid":"web"}';
const PAYLOAD = '{"aud":"wechat-token-hub"}';

const encode = (bytes: string | Buffer): string => Buffer.from(bytes).toString('base64url');
const hmac = (text: string, key = WEB_KEY, hash = 'sha256'): string =>
  createHmac(hash, key).update(text).digest('base64url');

/** A token over these very bytes, with a signature that holds: whatever is wrong with it, it is not that. */
function signed(header: string | Buffer, payload: string | Buffer, key?: string, hash?: string): string {
  const text = `${encode(header)}.${encode(payload)}`;
  return `${text}.${hmac(text, key, hash)}`;
}

/** A token of this header, signed. */
const withHeader = (header: string | Buffer, key?: string): string => signed(header, PAYLOAD, key);
/** A token with these members in its header, or without those that are `undefined`. */
export const withMembers = (members: object, key?: string): string =>
  withHeader(JSON.stringify({ alg: 'HS256', typ: 'JWT', kid: 'web', ...members }), key);
const withPayload = (payload: string | Buffer): string => signed(HEADER, payload);
/** A token with these claims, or without those that are `undefined`. */
export const withClaims = (claims: object): string =>
  withPayload(JSON.stringify({ aud: 'wechat-token-hub', ...claims }));
/** The plainest token that is good, always the same. */
export const good = (): string => signed(HEADER, PAYLOAD);
/** How a token is sent. */
export const bearer = (token: string): string[] => [`Authorization: Bearer ${token}`];
/** Epoch seconds, as claims have them. */
export const seconds = (): number => Math.floor(Date.now() / 1000);

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ed25519 = generateKeyPairSync('ed25519');
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });

function signedBy(header: object, key: Parameters<typeof signWithKey>[2], hash: string | null): string {
  const text = `${encode(JSON.stringify({ typ: 'JWT', kid: 'web', ...header }))}.${encode(PAYLOAD)}`;
  return `${text}.${signWithKey(hash, Buffer.from(text), key).toString('base64url')}`;
}

function unsigned(alg: unknown): string {
  return `${encode(JSON.stringify({ alg, kid: 'web' }))}.${encode(PAYLOAD)}.`;
}

/** A good token with another signature, made of the right one. */
function withSignature(change: (bytes: Buffer, text: string) => Uint8Array): string {
  const text = `${encode(HEADER)}.${encode(PAYLOAD)}`;
  const bytes = createHmac('sha256', WEB_KEY).update(text).digest();
  return `${text}.${Buffer.from(change(bytes, text)).toString('base64url')}`;
}

function flipped(bit: number): string {
  return withSignature((bytes) => bytes.map((byte, i) => (i === bit >> 3 ? byte ^ (0x80 >> (bit & 7)) : byte)));
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

/** A header with these bytes in a text. */
function odd(hex: string): Buffer {
  const [before = '', behind = ''] = HEADER.split('JWT');
  return Buffer.concat([Buffer.from(before), Buffer.from(hex, 'hex'), Buffer.from(behind)]);
}

/** A name whose first letter is written as an escape. */
function escaped(name: string): string {
  return `\\u00${name.charCodeAt(0).toString(16)}${name.slice(1)}`;
}

function ofLength(length: number): string {
  for (let rest = 2700; rest < 3000; rest += 1) {
    for (const space of ['', ' ', '  ']) {
      const token = signed(HEADER + space, JSON.stringify({ aud: 'wechat-token-hub', filler: 'x'.repeat(rest) }));
      if (token.length === length) return token;
    }
  }
  throw new Error('there is no token of that length');
}

/** What comes in the way of Authorization header lines, one fault each, and the status of the answer. */
export const ROWS: readonly (readonly [what: string, status: 200 | 400 | 401 | 431, lines: () => string[]])[] = [
  // The header as such
  ['no header', 401, () => []],
  ['an empty header', 401, () => ['Authorization:']],
  ['a header of white space', 401, () => ['Authorization:  \t ']],
  ['the scheme alone', 401, () => ['Authorization: Bearer']],
  ['the scheme and spaces', 401, () => ['Authorization: Bearer    ']],
  ['the token alone', 401, () => [`Authorization: ${good()}`]],
  ['Basic', 401, () => [`Authorization: Basic ${encode('web:x')}`]],
  ['Basic with the token', 401, () => [`Authorization: Basic ${good()}`]],
  ['Digest', 401, () => ['Authorization: Digest username="web"']],
  ['a scheme that begins so', 401, () => [`Authorization: Bearerx ${good()}`]],
  ['a tab for the space', 401, () => [`Authorization: Bearer\t${good()}`]],
  ['a tab and a space', 401, () => [`Authorization: Bearer \t${good()}`]],
  ['no space', 401, () => [`Authorization: Bearer${good()}`]],
  ['a colon', 401, () => [`Authorization: Bearer: ${good()}`]],
  ['an equals sign', 401, () => [`Authorization: Bearer=${good()}`]],
  ['quotes', 401, () => [`Authorization: Bearer "${good()}"`]],
  ['a comma behind', 401, () => [`Authorization: Bearer ${good()},`]],
  ['a list of two', 401, () => [`Authorization: Bearer ${good()}, Bearer ${good()}`]],
  ['two tokens', 401, () => [`Authorization: Bearer ${good()} ${good()}`]],
  ['a space within', 401, () => [`Authorization: Bearer ${good().replace('.', ' .')}`]],
  ['the same header twice', 401, () => [...bearer(good()), ...bearer(good())]],
  ['a second header of another scheme', 401, () => [...bearer(good()), 'authorization: Basic eDp5']],
  ['a second header that is empty', 401, () => [...bearer(good()), 'Authorization:']],
  ['the token in a header of another name', 401, () => [`X-Authorization: Bearer ${good()}`]],
  ['the token for a proxy', 401, () => [`Proxy-Authorization: Bearer ${good()}`]],
  ['the token in a cookie', 401, () => [`Cookie: Authorization=Bearer ${good()}; jwt=${good()}`]],
  ['bytes beyond ASCII', 401, () => [`Authorization: Bearer ${good()}\xff\xfe`]],
  ['a no-break space', 401, () => [`Authorization: Bearer\xa0${good()}`]],
  ['a quarter of all that a header may be', 401, () => bearer('A'.repeat(4000))],
  ['a long and empty token', 401, () => bearer('.'.repeat(4000))],
  ['JWT for a scheme', 401, () => [`Authorization: JWT ${good()}`]],
  ['Token for a scheme', 401, () => [`Authorization: Token ${good()}`]],
  ['the scheme twice', 401, () => [`Authorization: Bearer Bearer ${good()}`]],
  ['the scheme behind', 401, () => [`Authorization: ${good()} Bearer`]],
  ['a parameter before', 401, () => [`Authorization: Bearer token=${good()}`]],
  ['a parameter behind', 401, () => [`Authorization: Bearer ${good()}; charset=utf-8`]],
  ['Basic in a list', 401, () => [`Authorization: Basic eDp5, Bearer ${good()}`]],
  ['the same header twice, in another case', 401, () => [...bearer(good()), `AUTHORIZATION: Bearer ${good()}`]],
  ['a first header that is empty', 401, () => ['Authorization: ', ...bearer(good())]],
  ['one of three that is good', 401, () => [...bearer('a.b.c'), ...bearer(good()), ...bearer('a.b.c')]],
  ['an underline in the name', 401, () => [`Authorization_: Bearer ${good()}`]],
  ['the token in the name', 401, () => [`Bearer-${good().slice(0, 40)}: Authorization`]],
  ['a DEL behind', 400, () => [`Authorization: Bearer ${good()}\x7f`]],
  ['a soft hyphen', 401, () => [`Authorization: Bearer\xad ${good()}`]],
  ['UTF-8 in the token', 401, () => [`Authorization: Bearer ${good()}\xc3\xa9`]],
  ['percent-encoding', 401, () => [`Authorization: Bearer ${good().replaceAll('.', '%2E')}`]],
  ['a NUL behind', 400, () => [`Authorization: Bearer ${good()}\0`]],
  ['a NUL for the space', 400, () => [`Authorization: Bearer\0${good()}`]],
  ['a NUL before', 400, () => [`Authorization: \0Bearer ${good()}`]],
  ['a bare carriage return within', 400, () => [`Authorization: Bearer\r${good()}`]],
  ['a carriage return more behind', 400, () => [`Authorization: Bearer ${good()}\r`]],
  ['a line folded before the token', 400, () => ['Authorization: Bearer', ` ${good()}`]],
  ['a line folded before the scheme', 400, () => ['Authorization:', `\tBearer ${good()}`]],
  [
    'a line folded within the token',
    400,
    () => [`Authorization: Bearer ${good().slice(0, 30)}`, ` ${good().slice(30)}`],
  ],
  ['a space before the colon', 400, () => [`Authorization : Bearer ${good()}`]],
  ['a tab before the colon', 400, () => [`Authorization\t: Bearer ${good()}`]],
  ['no colon', 400, () => [`Authorization Bearer ${good()}`]],
  ['a name that begins with a space', 400, () => [` Authorization: Bearer ${good()}`]],
  ['a name beyond ASCII', 400, () => [`Auth\xf6rization: Bearer ${good()}`]],
  ['an escape character', 400, () => [`Authorization: Bearer \x1b[2J${good()}`]],
  ['a backspace', 400, () => [`Authorization: Bearer ${good()}A\b`]],
  ['a vertical tab for the space', 400, () => [`Authorization: Bearer\v${good()}`]],
  ['more than all that a header may be', 431, () => bearer('A'.repeat(20_000))],
  ['a good one behind too many others', 431, () => [`X: ${'x'.repeat(17_000)}`, ...bearer(good())]],
  // The three parts
  ['one part', 401, () => bearer(encode(HEADER))],
  ['two parts', 401, () => bearer(good().split('.').slice(0, 2).join('.'))],
  ['four parts', 401, () => bearer(`${good()}.${encode('more')}`)],
  ['five parts, as of a JWE', 401, () => bearer(`${good()}.AAAA.AAAA`)],
  ['two dots', 401, () => bearer('..')],
  ['no signature', 401, () => bearer(good().replace(/[^.]+$/, ''))],
  ['no payload', 401, () => bearer(`${encode(HEADER)}..${hmac(`${encode(HEADER)}.`)}`)],
  ['no header part', 401, () => bearer(`.${encode(PAYLOAD)}.${hmac(`.${encode(PAYLOAD)}`)}`)],
  ['padding', 401, () => bearer(`${good()}=`)],
  ['the other alphabet', 401, () => bearer(`${good().slice(0, -2)}+/`)],
  ['trailing bits of the header', 401, () => bearer(signedLoosely('header'))],
  ['trailing bits of the payload', 401, () => bearer(signedLoosely('payload'))],
  ['trailing bits of the signature', 401, () => bearer(good().replace(/[^.]+$/, loosened))],
  ['one character more', 401, () => bearer(`${good()}A`)],
  ['one character less', 401, () => bearer(good().slice(0, -1))],
  ['over 4,096 characters', 401, () => bearer(withClaims({ filler: 'x'.repeat(3000) }))],
  ['three dots', 401, () => bearer('...')],
  ['one dot', 401, () => bearer('.')],
  ['a dot before', 401, () => bearer(`.${good()}`)],
  ['a dot behind', 401, () => bearer(`${good()}.`)],
  ['two dots for one', 401, () => bearer(good().replace('.', '..'))],
  ['six parts', 401, () => bearer(`${good()}.${good()}`)],
  ['parts in another order', 401, () => bearer(good().split('.').reverse().join('.'))],
  ['padding of the header', 401, () => bearer(good().replace('.', '=.'))],
  ['padding of the payload', 401, () => bearer(good().replace(/\.([^.]*)$/, '==.$1'))],
  ['a plus in the header', 401, () => bearer(`+${good().slice(1)}`)],
  ['a slash in the payload', 401, () => bearer(good().replace('.', './'))],
  ['a payload of 4n + 1 characters', 401, () => bearer(`${encode(HEADER)}.AAAAA.${hmac(`${encode(HEADER)}.AAAAA`)}`)],
  ['a header of one character', 401, () => bearer(`A.${encode(PAYLOAD)}.${hmac(`A.${encode(PAYLOAD)}`)}`)],
  ['one character for a signature', 401, () => bearer(good().replace(/[^.]+$/, 'A'))],
  ['4,097 characters', 401, () => bearer(ofLength(4097))],
  [
    'the token in JSON',
    401,
    () => [`Authorization: Bearer ${JSON.stringify({ payload: encode(PAYLOAD), protected: encode(HEADER) })}`],
  ],
  // The signature
  [
    'the signature of another payload',
    401,
    () => bearer(good().replace(/\.[^.]+\./, `.${encode('{"aud":["wechat-token-hub"]}')}.`)),
  ],
  ['another key', 401, () => bearer(withHeader(HEADER, 'another key altogether, of enough length'))],
  ['the empty key', 401, () => bearer(withHeader(HEADER, ''))],
  ['the key of another client', 401, () => bearer(withHeader(HEADER, OTHER_KEY))],
  ['the name of another client', 401, () => bearer(withMembers({ kid: 'other' }))],
  ['the AppSecret for a key', 401, () => bearer(withHeader(HEADER, APPSECRET))],
  ['the appid for a key', 401, () => bearer(withHeader(HEADER, APPID))],
  ['the kid for a key', 401, () => bearer(withHeader(HEADER, 'web'))],
  ['the first bit of the signature', 401, () => bearer(flipped(0))],
  ['a bit in the middle of the signature', 401, () => bearer(flipped(128))],
  ['the last bit of the signature', 401, () => bearer(flipped(255))],
  ['a signature backwards', 401, () => bearer(withSignature((bytes) => bytes.reverse()))],
  ['all bits of the signature', 401, () => bearer(withSignature((bytes) => bytes.map((byte) => ~byte)))],
  ['a signature of zeros', 401, () => bearer(withSignature((bytes) => bytes.fill(0)))],
  ['a signature cut to 31 bytes', 401, () => bearer(withSignature((bytes) => bytes.subarray(0, 31)))],
  ['a signature cut to 16 bytes', 401, () => bearer(withSignature((bytes) => bytes.subarray(0, 16)))],
  ['a signature cut to a byte', 401, () => bearer(withSignature((bytes) => bytes.subarray(0, 1)))],
  ['a byte behind the signature', 401, () => bearer(withSignature((bytes) => Buffer.concat([bytes, Buffer.of(0)])))],
  ['the signature twice', 401, () => bearer(withSignature((bytes) => Buffer.concat([bytes, bytes])))],
  ['the signature in hexadecimal', 401, () => bearer(withSignature((bytes) => Buffer.from(bytes.toString('hex'))))],
  [
    'the signature of another header',
    401,
    () => bearer(good().replace(/^[^.]+/, encode('{"alg":"HS256","kid":"web"}'))),
  ],
  [
    'the signature of the payload alone',
    401,
    () => bearer(`${encode(HEADER)}.${encode(PAYLOAD)}.${hmac(encode(PAYLOAD))}`),
  ],
  [
    'the signature of what is not encoded',
    401,
    () => bearer(`${encode(HEADER)}.${encode(PAYLOAD)}.${hmac(`${HEADER}.${PAYLOAD}`)}`),
  ],
  ['a hash without a key', 401, () => bearer(withSignature((_, text) => createHash('sha256').update(text).digest()))],
  ['the key in hexadecimal', 401, () => bearer(withHeader(HEADER, Buffer.from(WEB_KEY).toString('hex')))],
  ['the key in base64', 401, () => bearer(withHeader(HEADER, Buffer.from(WEB_KEY).toString('base64')))],
  ['the key with a newline', 401, () => bearer(withHeader(HEADER, `${WEB_KEY}\n`))],
  ['the key for a signature', 401, () => bearer(withSignature(() => Buffer.from(WEB_KEY)))],
  // The algorithm
  ['none', 401, () => bearer(`${encode('{"alg":"none","kid":"web"}')}.${encode(PAYLOAD)}.`)],
  ['none with a signature', 401, () => bearer(withMembers({ alg: 'none' }))],
  ['None', 401, () => bearer(withMembers({ alg: 'None' }))],
  ['nOnE without a signature', 401, () => bearer(`${encode('{"alg":"nOnE","kid":"web"}')}.${encode(PAYLOAD)}.`)],
  ['HS384 with the same key', 401, () => bearer(signed(HEADER.replace('256', '384'), PAYLOAD, WEB_KEY, 'sha384'))],
  ['HS512 with the same key', 401, () => bearer(signed(HEADER.replace('256', '512'), PAYLOAD, WEB_KEY, 'sha512'))],
  ['HS256 signed as HS512', 401, () => bearer(signed(HEADER, PAYLOAD, WEB_KEY, 'sha512'))],
  ['HS1', 401, () => bearer(signed(HEADER.replace('256', '1'), PAYLOAD, WEB_KEY, 'sha1'))],
  ['hs256', 401, () => bearer(withMembers({ alg: 'hs256' }))],
  ['RS256 that is HS256', 401, () => bearer(withMembers({ alg: 'RS256' }))],
  ['RS256 of a key pair', 401, () => bearer(signedBy({ alg: 'RS256' }, rsa.privateKey, 'sha256'))],
  [
    'ES256 of a key pair',
    401,
    () => bearer(signedBy({ alg: 'ES256' }, { key: ec.privateKey, dsaEncoding: 'ieee-p1363' }, 'sha256')),
  ],
  ['EdDSA of a key pair', 401, () => bearer(signedBy({ alg: 'EdDSA' }, ed25519.privateKey, null))],
  [
    'RS256 with the key pair in jwk',
    401,
    () => bearer(signedBy({ alg: 'RS256', jwk: rsa.publicKey.export({ format: 'jwk' }) }, rsa.privateKey, 'sha256')),
  ],
  ['no alg', 401, () => bearer(withMembers({ alg: undefined }))],
  ['an array for alg', 401, () => bearer(withMembers({ alg: ['HS256'] }))],
  ['a number for alg', 401, () => bearer(withMembers({ alg: 256 }))],
  ['null for alg', 401, () => bearer(withMembers({ alg: null }))],
  ['an empty alg', 401, () => bearer(withMembers({ alg: '' }))],
  ['NONE', 401, () => bearer(unsigned('NONE'))],
  ['none with a space', 401, () => bearer(unsigned('none '))],
  ['an empty alg without a signature', 401, () => bearer(unsigned(''))],
  ['none in an array', 401, () => bearer(unsigned(['none']))],
  ['none with one character for a signature', 401, () => bearer(`${unsigned('none')}A`)],
  ['none in escapes', 401, () => bearer(signed('{"alg":"\\u006eone","kid":"web"}', PAYLOAD))],
  ['HS256 with a space', 401, () => bearer(withMembers({ alg: 'HS256 ' }))],
  ['HS256 with a NUL', 401, () => bearer(withMembers({ alg: 'HS256\0' }))],
  ['HS256 with a letter that looks the same', 401, () => bearer(withMembers({ alg: 'H\u0405256' }))],
  ['Hs256', 401, () => bearer(withMembers({ alg: 'Hs256' }))],
  ['HS257', 401, () => bearer(withMembers({ alg: 'HS257' }))],
  ['HMAC-SHA256', 401, () => bearer(withMembers({ alg: 'HMAC-SHA256' }))],
  ['PS256 that is HS256', 401, () => bearer(withMembers({ alg: 'PS256' }))],
  ['ES256 that is HS256', 401, () => bearer(withMembers({ alg: 'ES256' }))],
  ['EdDSA that is HS256', 401, () => bearer(withMembers({ alg: 'EdDSA' }))],
  ['dir', 401, () => bearer(withMembers({ alg: 'dir', enc: 'A256GCM' }))],
  ['an object for alg', 401, () => bearer(withMembers({ alg: { name: 'HS256' } }))],
  ['true for alg', 401, () => bearer(withMembers({ alg: true }))],
  ['ALG', 401, () => bearer(withHeader('{"ALG":"HS256","kid":"web"}'))],
  ['constructor for alg', 401, () => bearer(withMembers({ alg: 'constructor' }))],
  ['__proto__ for alg', 401, () => bearer(withMembers({ alg: '__proto__' }))],
  // The kid
  ['no kid', 401, () => bearer(withMembers({ kid: undefined }))],
  ['an unknown kid', 401, () => bearer(withMembers({ kid: 'nobody-knows' }))],
  ['a kid in capitals', 401, () => bearer(withMembers({ kid: 'WEB' }))],
  ['an empty kid', 401, () => bearer(withMembers({ kid: '' }))],
  ['an array for kid', 401, () => bearer(withMembers({ kid: ['web'] }))],
  ['an object for kid', 401, () => bearer(withMembers({ kid: { web: 1 } }))],
  ['a number for kid', 401, () => bearer(withMembers({ kid: 0 }))],
  ['null for kid', 401, () => bearer(withMembers({ kid: null }))],
  ['a long kid', 401, () => bearer(withMembers({ kid: 'web'.repeat(200) }))],
  ['__proto__ for kid', 401, () => bearer(withMembers({ kid: '__proto__' }))],
  ['constructor for kid', 401, () => bearer(withMembers({ kid: 'constructor' }))],
  ['a path for kid', 401, () => bearer(withMembers({ kid: '../../../../dev/null' }))],
  ['a variable for kid', 401, () => bearer(withMembers({ kid: 'JWT_KEY_web' }))],
  ['a line feed in kid', 401, () => bearer(withMembers({ kid: 'web\nroot' }))],
  ['a NUL in kid', 401, () => bearer(withMembers({ kid: 'web\0' }))],
  ['a kid of 64 characters that nobody has', 401, () => bearer(withMembers({ kid: 'k'.repeat(64) }))],
  ['a kid of 65 characters', 401, () => bearer(withMembers({ kid: 'k'.repeat(65) }))],
  ['a kid with a Cyrillic letter', 401, () => bearer(withMembers({ kid: 'w\u0435b' }))],
  ['a kid in full width', 401, () => bearer(withMembers({ kid: '\uff57\uff45\uff42' }))],
  ['a kid with a zero-width space', 401, () => bearer(withMembers({ kid: 'web\u200b' }))],
  ['a kid with a space', 401, () => bearer(withMembers({ kid: 'web ' }))],
  ['a kid that is a lone surrogate', 401, () => bearer(withHeader('{"alg":"HS256","kid":"\\ud800"}'))],
  ['toString for kid', 401, () => bearer(withMembers({ kid: 'toString' }))],
  ['hasOwnProperty for kid', 401, () => bearer(withMembers({ kid: 'hasOwnProperty' }))],
  ['true for kid', 401, () => bearer(withMembers({ kid: true }))],
  ['an SQL expression for kid', 401, () => bearer(withMembers({ kid: "x' UNION SELECT 'key" }))],
  ['an address for kid', 401, () => bearer(withMembers({ kid: 'https://evil.example/key' }))],
  ['KID', 401, () => bearer(withHeader('{"alg":"HS256","KID":"web"}'))],
  ['the kid in the payload', 401, () => bearer(signed('{"alg":"HS256"}', '{"aud":"wechat-token-hub","kid":"web"}'))],
  ['the kid in a prototype', 401, () => bearer(withHeader('{"alg":"HS256","__proto__":{"kid":"web"}}'))],
  // Other members of the header
  ...['crit', 'b64', 'zip', 'jku', 'jwk', 'x5u', 'x5c', 'cty'].map(
    (member) => [member, 401, () => bearer(withMembers({ [member]: ['exp'] }))] as const,
  ),
  ['a false b64', 401, () => bearer(withMembers({ b64: false }))],
  ['a number for typ', 401, () => bearer(withMembers({ typ: 1 }))],
  ...['crit', 'b64', 'zip', 'jku', 'jwk', 'x5u', 'x5c', 'cty'].map(
    (member) =>
      [
        `${member} in escapes`,
        401,
        () => bearer(withHeader(HEADER.replace('}', `,"${escaped(member)}":null}`))),
      ] as const,
  ),
  ['an empty crit', 401, () => bearer(withMembers({ crit: [] }))],
  ['a crit that is understood', 401, () => bearer(withMembers({ crit: ['b64'], b64: true }))],
  ['a zip of DEFLATE', 401, () => bearer(withMembers({ zip: 'DEF' }))],
  ['a jku of this machine', 401, () => bearer(withMembers({ jku: 'http://127.0.0.1/jwks' }))],
  ['a jwk with the key', 401, () => bearer(withMembers({ jwk: { kty: 'oct', k: encode(WEB_KEY) } }))],
  ['a cty of JWT', 401, () => bearer(withMembers({ cty: 'JWT' }))],
  ['null for typ', 401, () => bearer(withMembers({ typ: null }))],
  ['an array for typ', 401, () => bearer(withMembers({ typ: ['JWT'] }))],
  ['an object for typ', 401, () => bearer(withMembers({ typ: {} }))],
  ['true for typ', 401, () => bearer(withMembers({ typ: true }))],
  // The JSON of the header
  ['two kids', 401, () => bearer(withHeader('{"alg":"HS256","kid":"other","kid":"web"}'))],
  ['two kids, one in escapes', 401, () => bearer(withHeader('{"alg":"HS256","\\u006bid":"reader","kid":"web"}'))],
  ['two algs', 401, () => bearer(withHeader('{"alg":"none","kid":"web","alg":"HS256"}'))],
  ['a duplicate deep in the header', 401, () => bearer(withHeader('{"alg":"HS256","kid":"web","x":[{"y":1,"y":2}]}'))],
  ['an array for the header', 401, () => bearer(withHeader(`[${HEADER}]`))],
  ['a text for the header', 401, () => bearer(withHeader('"web"'))],
  ['null for the header', 401, () => bearer(withHeader('null'))],
  ['no JSON for the header', 401, () => bearer(withHeader('web'))],
  ['a BOM before the header', 401, () => bearer(withHeader(`\ufeff${HEADER}`))],
  ['a comma too many in the header', 401, () => bearer(withHeader(HEADER.replace('}', ',}')))],
  [
    'bytes that are no UTF-8 in the header',
    401,
    () => bearer(withHeader(Buffer.from(HEADER.replace('JWT', '\xff'), 'latin1'))),
  ],
  ['a header too deep', 401, () => bearer(withMembers({ x: JSON.parse(deep(8)) as unknown }))],
  ['a header as deep as can be', 401, () => bearer(withHeader(HEADER.replace('}', `,"x":${deep(1200)}}`)))],
  ['an empty object for the header', 401, () => bearer(withHeader('{}'))],
  ['two typs', 401, () => bearer(withHeader(HEADER.replace('}', ',"typ":"JWT"}')))],
  ['two of the same kid', 401, () => bearer(withHeader(HEADER.replace('}', ',"kid":"web"}')))],
  ['two of __proto__', 401, () => bearer(withHeader(HEADER.replace('}', ',"__proto__":1,"__proto__":2}')))],
  ['two of the empty name', 401, () => bearer(withHeader(HEADER.replace('}', ',"":1,"":2}')))],
  ['two headers', 401, () => bearer(withHeader(HEADER + HEADER))],
  ['a NUL behind the header', 401, () => bearer(withHeader(`${HEADER}\0`))],
  ['a comment in the header', 401, () => bearer(withHeader(`/* */${HEADER}`))],
  ['single quotes in the header', 401, () => bearer(withHeader(HEADER.replaceAll('"', "'")))],
  ['NaN in the header', 401, () => bearer(withHeader(HEADER.replace('}', ',"x":NaN}')))],
  ['a header cut short', 401, () => bearer(withHeader(HEADER.slice(0, -1)))],
  ['a raw line feed in a text of the header', 401, () => bearer(withHeader(HEADER.replace('JWT', 'J\nWT')))],
  ['an overlong NUL in the header', 401, () => bearer(withHeader(odd('c080')))],
  ['an overlong slash in the header', 401, () => bearer(withHeader(odd('c0af')))],
  ['a surrogate in UTF-8 in the header', 401, () => bearer(withHeader(odd('eda080')))],
  ['a truncated sequence in the header', 401, () => bearer(withHeader(odd('e282')))],
  ['beyond Unicode in the header', 401, () => bearer(withHeader(odd('f4908080')))],
  ['a header in UTF-16', 401, () => bearer(withHeader(Buffer.from(HEADER, 'utf16le')))],
  [
    'objects too deep in the header',
    401,
    () => bearer(withHeader(HEADER.replace('}', `,"x":${'{"y":'.repeat(8)}1${'}'.repeat(8)}}`))),
  ],
  // The JSON of the payload
  ['two auds', 401, () => bearer(withPayload('{"aud":"other","aud":"wechat-token-hub"}'))],
  [
    'two exps, one in escapes',
    401,
    () => bearer(withPayload('{"aud":"wechat-token-hub","exp":1,"\\u0065xp":4000000000}')),
  ],
  [
    'a duplicate deep in the payload',
    401,
    () => bearer(withPayload('{"aud":"wechat-token-hub","x":{"y":[{"z":1,"z":1}]}}')),
  ],
  ['an array for the payload', 401, () => bearer(withPayload(`[${PAYLOAD}]`))],
  ['a text for the payload', 401, () => bearer(withPayload('"wechat-token-hub"'))],
  ['null for the payload', 401, () => bearer(withPayload('null'))],
  ['a number for the payload', 401, () => bearer(withPayload('1'))],
  ['no JSON for the payload', 401, () => bearer(withPayload('aud=wechat-token-hub'))],
  ['a BOM before the payload', 401, () => bearer(withPayload(`\ufeff${PAYLOAD}`))],
  [
    'bytes that are no UTF-8 in the payload',
    401,
    () => bearer(withPayload(Buffer.from('{"aud":"wechat-token-hub","x":"\xe9"}', 'latin1'))),
  ],
  ['UTF-16 in the payload', 401, () => bearer(withPayload(Buffer.from(PAYLOAD, 'utf16le')))],
  ['a payload too deep', 401, () => bearer(withClaims({ x: JSON.parse(deep(8)) as unknown }))],
  ['a payload as deep as can be', 401, () => bearer(withPayload(PAYLOAD.replace('}', `,"x":${deep(1200)}}`)))],
  ['two of the same aud', 401, () => bearer(withPayload('{"aud":"wechat-token-hub","aud":"wechat-token-hub"}'))],
  [
    'two of __proto__ in the payload',
    401,
    () => bearer(withPayload('{"aud":"wechat-token-hub","__proto__":1,"__proto__":2}')),
  ],
  [
    'two of constructor in the payload',
    401,
    () => bearer(withPayload('{"aud":"wechat-token-hub","constructor":1,"constructor":2}')),
  ],
  ['more behind the payload', 401, () => bearer(withPayload(`${PAYLOAD}x`))],
  ['two payloads', 401, () => bearer(withPayload(PAYLOAD + PAYLOAD))],
  ['a NUL behind the payload', 401, () => bearer(withPayload(`${PAYLOAD}\0`))],
  ['a comment in the payload', 401, () => bearer(withPayload(`${PAYLOAD}//`))],
  ['a comma too many in the payload', 401, () => bearer(withPayload(PAYLOAD.replace('}', ',}')))],
  ['NaN in the payload', 401, () => bearer(withPayload(PAYLOAD.replace('}', ',"exp":NaN}')))],
  ['Infinity in the payload', 401, () => bearer(withPayload(PAYLOAD.replace('}', ',"exp":Infinity}')))],
  ['a hexadecimal exp', 401, () => bearer(withPayload(PAYLOAD.replace('}', ',"exp":0xffffffff}')))],
  ['an exp with a leading zero', 401, () => bearer(withPayload(PAYLOAD.replace('}', ',"exp":04000000000}')))],
  ['an exp with a plus', 401, () => bearer(withPayload(PAYLOAD.replace('}', ',"exp":+4000000000}')))],
  ['true for the payload', 401, () => bearer(withPayload('true'))],
  ['white space for the payload', 401, () => bearer(withPayload(' '))],
  ['a token for the payload', 401, () => bearer(withPayload(good()))],
  [
    'an overlong slash in the payload',
    401,
    () =>
      bearer(
        withPayload(
          Buffer.concat([
            Buffer.from('{"aud":"wechat-token-hub","x":"'),
            Buffer.from('c0af', 'hex'),
            Buffer.from('"}'),
          ]),
        ),
      ),
  ],
  ['the claims in a prototype', 401, () => bearer(withPayload('{"__proto__":{"aud":"wechat-token-hub"}}'))],
  // The claims
  ['no claims', 401, () => bearer(withPayload('{}'))],
  ['no aud', 401, () => bearer(withClaims({ aud: undefined }))],
  ['another aud', 401, () => bearer(withClaims({ aud: 'wechat-token-hub-2' }))],
  ['an aud in capitals', 401, () => bearer(withClaims({ aud: 'Wechat-Token-Hub' }))],
  ['an empty array of auds', 401, () => bearer(withClaims({ aud: [] }))],
  ['an array of other auds', 401, () => bearer(withClaims({ aud: ['a', 'b'] }))],
  ['a number among the auds', 401, () => bearer(withClaims({ aud: ['wechat-token-hub', 1] }))],
  ['an array in the array of auds', 401, () => bearer(withClaims({ aud: [['wechat-token-hub']] }))],
  ['an object for aud', 401, () => bearer(withClaims({ aud: { 'wechat-token-hub': true } }))],
  ['null for aud', 401, () => bearer(withClaims({ aud: null }))],
  ['an exp of long ago', 401, () => bearer(withClaims({ exp: 1 }))],
  ['an exp before the leeway', 401, () => bearer(withClaims({ exp: seconds() - 31 }))],
  ['an exp below zero', 401, () => bearer(withClaims({ exp: -1 }))],
  ['an exp of zero', 401, () => bearer(withClaims({ exp: 0 }))],
  ['a text for exp', 401, () => bearer(withClaims({ exp: '4000000000' }))],
  ['null for exp', 401, () => bearer(withClaims({ exp: null }))],
  ['an array for exp', 401, () => bearer(withClaims({ exp: [4_000_000_000] }))],
  ['true for exp', 401, () => bearer(withClaims({ exp: true }))],
  ['an infinite exp', 401, () => bearer(withPayload('{"aud":"wechat-token-hub","exp":1e999}'))],
  ['an infinite nbf', 401, () => bearer(withPayload('{"aud":"wechat-token-hub","nbf":-1e999}'))],
  ['an infinite iat', 401, () => bearer(withPayload('{"aud":"wechat-token-hub","iat":-1e999}'))],
  ['an nbf beyond the leeway', 401, () => bearer(withClaims({ nbf: seconds() + 40 }))],
  ['a text for nbf', 401, () => bearer(withClaims({ nbf: '0' }))],
  ['null for nbf', 401, () => bearer(withClaims({ nbf: null }))],
  ['an iat beyond the leeway', 401, () => bearer(withClaims({ iat: seconds() + 40 }))],
  ['a text for iat', 401, () => bearer(withClaims({ iat: 'now' }))],
  ['null for iat', 401, () => bearer(withClaims({ iat: null }))],
  ['times in milliseconds', 401, () => bearer(withClaims({ iat: Date.now(), exp: Date.now() + 300_000 }))],
  ['an empty aud', 401, () => bearer(withClaims({ aud: '' }))],
  ['an aud with a space', 401, () => bearer(withClaims({ aud: 'wechat-token-hub ' }))],
  ['an aud with a NUL', 401, () => bearer(withClaims({ aud: 'wechat-token-hub\0' }))],
  ['a list in the text of aud', 401, () => bearer(withClaims({ aud: 'other wechat-token-hub' }))],
  ['an aud with a letter that looks the same', 401, () => bearer(withClaims({ aud: 'we\u0441hat-token-hub' }))],
  ['a number for aud', 401, () => bearer(withClaims({ aud: 1 }))],
  ['true for aud', 401, () => bearer(withClaims({ aud: true }))],
  ['null among the auds', 401, () => bearer(withClaims({ aud: ['wechat-token-hub', null] }))],
  ['an object among the auds', 401, () => bearer(withClaims({ aud: ['wechat-token-hub', {}] }))],
  ['an array in a text for aud', 401, () => bearer(withClaims({ aud: '["wechat-token-hub"]' }))],
  ['AUD', 401, () => bearer(withPayload('{"AUD":"wechat-token-hub"}'))],
  ['an exp of 30 s ago', 401, () => bearer(withClaims({ exp: seconds() - 30 }))],
  ['an exp of 31 s ago', 401, () => bearer(withClaims({ exp: seconds() - 31 }))],
  ['an nbf in 31 s', 401, () => bearer(withClaims({ nbf: seconds() + 31 }))],
  ['an iat in 31 s', 401, () => bearer(withClaims({ iat: seconds() + 31 }))],
  ['an exp of minus infinity', 401, () => bearer(withPayload('{"aud":"wechat-token-hub","exp":-1e999}'))],
  ['an nbf of infinity', 401, () => bearer(withPayload('{"aud":"wechat-token-hub","nbf":1e999}'))],
  ['an iat of infinity', 401, () => bearer(withPayload('{"aud":"wechat-token-hub","iat":1e999}'))],
  [
    'an infinite exp of many digits',
    401,
    () => bearer(withPayload(`{"aud":"wechat-token-hub","exp":${'9'.repeat(400)}}`)),
  ],
  ['an object for exp', 401, () => bearer(withClaims({ exp: {} }))],
  ['an empty text for exp', 401, () => bearer(withClaims({ exp: '' }))],
  ['a date for exp', 401, () => bearer(withClaims({ exp: '2099-01-01T00:00:00Z' }))],
  ['an exp of minus zero', 401, () => bearer(withPayload('{"aud":"wechat-token-hub","exp":-0}'))],
  ['an array for nbf', 401, () => bearer(withClaims({ nbf: [0] }))],
  ['true for nbf', 401, () => bearer(withClaims({ nbf: true }))],
  ['an array for iat', 401, () => bearer(withClaims({ iat: [0] }))],
  ['an object for iat', 401, () => bearer(withClaims({ iat: {} }))],
  [
    'an exp that is over and an nbf that is to come',
    401,
    () => bearer(withClaims({ exp: seconds() - 100, nbf: seconds() + 100 })),
  ],
  // What opens the door
  ['the plainest token', 200, () => bearer(good())],
  ['one as libraries make it', 200, () => bearer(tokenFor())],
  ['bearer', 200, () => [`Authorization: bearer ${good()}`]],
  ['BEARER', 200, () => [`Authorization: BEARER ${good()}`]],
  ['a header name in capitals', 200, () => [`AUTHORIZATION: Bearer ${good()}`]],
  ['a header name in small letters', 200, () => [`authorization: Bearer ${good()}`]],
  ['several spaces', 200, () => [`Authorization:   Bearer   ${good()}`]],
  ['white space around the value, which is no part of it', 200, () => [`Authorization: \tBearer ${good()} \t`]],
  ['no typ', 200, () => bearer(withMembers({ typ: undefined }))],
  ['an array of auds', 200, () => bearer(withClaims({ aud: ['other', 'wechat-token-hub'] }))],
  ['no exp', 200, () => bearer(withClaims({}))],
  ['an exp within the leeway', 200, () => bearer(withClaims({ exp: seconds() - 20 }))],
  ['an exp with a fraction', 200, () => bearer(withClaims({ exp: seconds() + 60.5 }))],
  ['an exp in a thousand years', 200, () => bearer(withClaims({ exp: 32_000_000_000 }))],
  ['an nbf within the leeway', 200, () => bearer(withClaims({ nbf: seconds() + 20 }))],
  ['an iat within the leeway', 200, () => bearer(withClaims({ iat: seconds() + 20 }))],
  ['an iat of long ago', 200, () => bearer(withClaims({ iat: 0 }))],
  ['claims of others', 200, () => bearer(withClaims({ sub: 'x', roles: [{ name: 'admin' }], 名: '令牌' }))],
  ['white space in the JSON', 200, () => bearer(signed(` ${HEADER}\n`, `\t${PAYLOAD} `))],
  ['other headers of the header', 200, () => bearer(withMembers({ x5t: 'abc' }))],
  ['just 4,096 characters', 200, () => bearer(ofLength(4096))],
  ['as deep as allowed', 200, () => bearer(withClaims({ x: JSON.parse(deep(7)) as unknown }))],
  ['bEaReR', 200, () => [`Authorization: bEaReR ${good()}`]],
  ['a header name in mixed letters', 200, () => [`aUTHORIZATION: Bearer ${good()}`]],
  ['no space behind the colon', 200, () => [`Authorization:Bearer ${good()}`]],
  ['a hundred spaces', 200, () => [`Authorization: Bearer${' '.repeat(100)}${good()}`]],
  ['the key in another text too', 200, () => [...bearer(good()), `X-Authorization: Bearer a.b.c`]],
  ['a kid in escapes', 200, () => bearer(withHeader('{"alg":"HS256","k\\u0069d":"\\u0077eb"}'))],
  ['an alg in escapes', 200, () => bearer(withHeader('{"\\u0061lg":"\\u0048S256","kid":"web"}'))],
  ['members in another order', 200, () => bearer(withHeader('{"kid":"web","typ":"JWT","alg":"HS256"}'))],
  ['a typ in small letters', 200, () => bearer(withMembers({ typ: 'jwt' }))],
  ['a typ of access tokens', 200, () => bearer(withMembers({ typ: 'at+jwt' }))],
  ['a prototype of its own', 200, () => bearer(withHeader(HEADER.replace('}', ',"__proto__":{"alg":"none"}}')))],
  ['a prototype in the payload', 200, () => bearer(withPayload(PAYLOAD.replace('}', ',"__proto__":{"exp":1}}')))],
  ['names that differ in case', 200, () => bearer(withHeader(HEADER.replace('}', ',"KID":"other","ALG":"none"}')))],
  ['the other client by its own key', 200, () => bearer(withHeader('{"alg":"HS256","kid":"other"}', OTHER_KEY))],
  ['the audience twice', 200, () => bearer(withClaims({ aud: ['wechat-token-hub', 'wechat-token-hub'] }))],
  ['an exp of 29 s ago', 200, () => bearer(withClaims({ exp: seconds() - 29 }))],
  ['an nbf in 29 s', 200, () => bearer(withClaims({ nbf: seconds() + 29 }))],
  ['an nbf in 30 s', 200, () => bearer(withClaims({ nbf: seconds() + 30 }))],
  ['an iat in 29 s', 200, () => bearer(withClaims({ iat: seconds() + 29 }))],
  ['an iat in 30 s', 200, () => bearer(withClaims({ iat: seconds() + 30 }))],
  ['an exp in powers of ten', 200, () => bearer(withPayload('{"aud":"wechat-token-hub","exp":4e9}'))],
  ['an nbf below zero', 200, () => bearer(withClaims({ nbf: -1 }))],
  ['a huge number that is none of our business', 200, () => bearer(withPayload(PAYLOAD.replace('}', ',"x":1e999}')))],
  ['text beyond ASCII', 200, () => bearer(withHeader(HEADER.replace('}', ',"名":"令牌 😀"}')))],
];
