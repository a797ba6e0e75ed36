import { type CryptoKey, SignJWT } from 'jose';
import { createHmac, createSecretKey, generateKeyPairSync, type KeyObject, sign as signBytes } from 'node:crypto';
import { PUBLIC_KEY_ALGORITHMS } from '../config/client-key.js';
import { isSignedForKey, isSignedWith } from './signature.js';

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const PAIRS = {
  RS256: rsa,
  PS256: rsa,
  ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  EdDSA: generateKeyPairSync('ed25519'),
};
/** Keys of the same kinds that have nothing to do with it. */
const STRANGERS = {
  RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey,
  PS256: generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey,
  ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey,
  EdDSA: generateKeyPairSync('ed25519').publicKey,
};
const SECRET = createSecretKey(Buffer.from('a shared secret of thirty-two bytes or more'));

const sign = (alg: string, key: CryptoKey | KeyObject | Uint8Array): Promise<string> =>
  new SignJWT({ aud: 'wechat-token-hub' }).setProtectedHeader({ alg, kid: 'web' }).sign(key);

const encode = (text: string): string => Buffer.from(text).toString('base64url');

/** Whether HS256 made it, whatever its header says. */
function isSigned(secret: KeyObject, token: string): boolean {
  const [header = ''] = token.split('.');
  const { alg } = JSON.parse(Buffer.from(header, 'base64url').toString()) as { alg: string };
  return isSignedWith(secret, { alg, token });
}

/** A token whose header says one thing and whose signature is an HMAC all the same. */
function hmacAs(alg: string, secret: string | Buffer | KeyObject): string {
  const text = `${encode(JSON.stringify({ alg, kid: 'web' }))}.${encode('{"aud":"wechat-token-hub"}')}`;
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}

/** The token with one bit of its signature changed. */
function bent(token: string): string {
  const [header = '', payload = '', signature = ''] = token.split('.');
  const bytes = Buffer.from(signature, 'base64url');
  bytes.writeUInt8(bytes.readUInt8(9) ^ 1, 9);
  return `${header}.${payload}.${bytes.toString('base64url')}`;
}

describe('HS256', () => {
  it('holds with the secret that signed, and with no other', async () => {
    const token = await sign('HS256', SECRET);
    expect(isSigned(SECRET, token)).toBe(true);
    expect(isSigned(createSecretKey(Buffer.from('another')), token)).toBe(false);
    expect(isSigned(SECRET, bent(token))).toBe(false);
    expect(isSigned(SECRET, token.replace(/[^.]+$/, ''))).toBe(false);
  });

  it('says nothing of the claims', async () => {
    const token = await new SignJWT({ exp: 1, nbf: 9e9 }).setProtectedHeader({ alg: 'HS256' }).sign(SECRET);
    expect(isSigned(SECRET, token)).toBe(true);
  });

  it.each(['none', 'HS384', 'HS512', 'RS256', 'hs256'])('is not %s', (alg) => {
    expect(isSigned(SECRET, hmacAs(alg, SECRET))).toBe(false);
  });

  it.each(PUBLIC_KEY_ALGORITHMS)('does not hold with a public key for %s in the place of the secret', (alg) => {
    const { publicKey } = PAIRS[alg];
    const known = [
      publicKey.export({ type: 'spki', format: 'pem' }),
      publicKey.export({ type: 'spki', format: 'der' }),
      Buffer.from(JSON.stringify(publicKey.export({ format: 'jwk' }))),
    ];
    for (const bytes of known) expect(isSigned(publicKey, hmacAs('HS256', bytes))).toBe(false);
  });
});

describe.each(PUBLIC_KEY_ALGORITHMS)('%s', (alg) => {
  const { publicKey, privateKey } = PAIRS[alg];

  it('holds with the key of the pair that signed, and with no other', async () => {
    const token = await sign(alg, privateKey);
    expect(await isSignedForKey(publicKey, alg, token)).toBe(true);
    expect(await isSignedForKey(publicKey, alg, bent(token))).toBe(false);
    expect(await isSignedForKey(publicKey, alg, token.replace(/[^.]+$/, ''))).toBe(false);
    const other = STRANGERS[alg];
    expect(await isSignedForKey(other, alg, token)).toBe(false);
  });

  it('is no other algorithm, whatever the token says', async () => {
    for (const other of PUBLIC_KEY_ALGORITHMS.filter((one) => one !== alg)) {
      const token = await sign(other, PAIRS[other].privateKey);
      expect(await isSignedForKey(publicKey, alg, token)).toBe(false);
      expect(await isSignedForKey(PAIRS[other].publicKey, alg, token)).toBe(false);
    }
  });

  it('does not hold for an HMAC with the public key, which everybody can make', async () => {
    for (const claimed of ['HS256', alg, 'none']) {
      const pem = publicKey.export({ type: 'spki', format: 'pem' });
      expect(await isSignedForKey(publicKey, alg, hmacAs(claimed, pem))).toBe(false);
    }
  });

  it('does not hold with a shared secret', async () => {
    expect(await isSignedForKey(SECRET, alg, hmacAs('HS256', SECRET))).toBe(false);
    expect(await isSignedForKey(SECRET, alg, hmacAs(alg, SECRET))).toBe(false);
  });
});

describe('ES256', () => {
  it('is R and S side by side, as RFC 7518 has it, and not the DER of X.509', async () => {
    const token = await sign('ES256', PAIRS.ES256.privateKey);
    const [header = '', payload = ''] = token.split('.');
    const der = signBytes('sha256', Buffer.from(`${header}.${payload}`), PAIRS.ES256.privateKey).toString('base64url');
    expect(await isSignedForKey(PAIRS.ES256.publicKey, 'ES256', `${header}.${payload}.${der}`)).toBe(false);
  });

  it.each(['00', 'ff'])('is not made of bytes %s alone', async (byte) => {
    const [header = '', payload = ''] = (await sign('ES256', PAIRS.ES256.privateKey)).split('.');
    const signature = Buffer.from(byte.repeat(64), 'hex').toString('base64url');
    expect(await isSignedForKey(PAIRS.ES256.publicKey, 'ES256', `${header}.${payload}.${signature}`)).toBe(false);
  });
});
