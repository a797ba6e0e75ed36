import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { CERTIFICATE } from '../../test/issuer.fixture.js';
import { keyOfJwk, publicKey, sharedKey, UnusableKey } from './client-key.js';
import { Secret } from './secret.js';

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const weakRsa = generateKeyPairSync('rsa', { modulusLength: 2047 });
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' });
const ed25519 = generateKeyPairSync('ed25519');
const spki = (key: KeyObject): string => key.export({ type: 'spki', format: 'pem' }) as string;
const pkcs8 = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }) as string;
const jwk = (key: KeyObject): Record<string, unknown> => ({ ...key.export({ format: 'jwk' }) });

/** What is wrong with a key: errors of any other kind come through. */
function faultOf(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    if (error instanceof UnusableKey) return error.message;
    throw error;
  }
  return 'none';
}

describe('a public key', () => {
  it.each([
    ['RSA', rsa, ['RS256', 'PS256']],
    ['EC P-256', p256, ['ES256']],
    ['Ed25519', ed25519, ['EdDSA']],
  ])('may be %s, in PEM or as a JWK, and verifies its own algorithms alone', (_, pair, algorithms) => {
    for (const text of [
      spki(pair.publicKey),
      `# web\n${spki(pair.publicKey)}\n`,
      JSON.stringify(jwk(pair.publicKey)),
    ]) {
      const read = publicKey(text);
      expect(read.algorithms).toEqual(algorithms);
      expect(read.key.type).toBe('public');
      expect(read.key.equals(pair.publicKey)).toBe(true);
    }
  });

  it('may be that of a certificate', () => {
    expect(publicKey(CERTIFICATE)).toMatchObject({ algorithms: ['ES256'], key: { type: 'public' } });
  });

  it('verifies one algorithm alone, if its JWK says so', () => {
    expect(keyOfJwk({ ...jwk(rsa.publicKey), alg: 'PS256' }).algorithms).toEqual(['PS256']);
    expect(faultOf(() => keyOfJwk({ ...jwk(rsa.publicKey), alg: 'ES256' }))).toMatch(/for another algorithm/);
  });

  it.each([
    ['RSA', pkcs8(rsa.privateKey)],
    ['RSA as OpenSSL had it', rsa.privateKey.export({ type: 'pkcs1', format: 'pem' }) as string],
    ['EC', pkcs8(p256.privateKey)],
    ['EC as OpenSSL had it', p256.privateKey.export({ type: 'sec1', format: 'pem' }) as string],
    ['Ed25519', pkcs8(ed25519.privateKey)],
    ['Ed25519 beside its certificate', CERTIFICATE + pkcs8(ed25519.privateKey)],
    ['RSA, as a JWK', JSON.stringify(jwk(rsa.privateKey))],
    ['EC, as a JWK', JSON.stringify(jwk(p256.privateKey))],
    ['Ed25519, as a JWK', JSON.stringify(jwk(ed25519.privateKey))],
    [
      'encrypted',
      ed25519.privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' }) as string,
    ],
  ])('is not private: %s', (_, text) => {
    expect(faultOf(() => publicKey(text))).toMatch(/^is a private key, which the hub must not have/);
  });

  it.each([
    ['RSA of less than 2,048 bits', spki(weakRsa.publicKey), 'is an RSA key of less than 2048 bits'],
    [
      'RSA of less than 2,048 bits, as a JWK',
      JSON.stringify(jwk(weakRsa.publicKey)),
      'is an RSA key of less than 2048 bits',
    ],
    [
      'RSA with an exponent of 1',
      JSON.stringify({ ...jwk(rsa.publicKey), e: 'AQ' }),
      'is an RSA key with an exponent below 3',
    ],
    ['on another curve', spki(p384.publicKey), 'must be RSA, EC on the curve P-256, or Ed25519'],
    ['for agreement', spki(generateKeyPairSync('x25519').publicKey), 'must be RSA, EC on the curve P-256, or Ed25519'],
    [
      'for RSA-PSS alone, which few know',
      spki(generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).publicKey),
      'must be RSA, EC on the curve P-256, or Ed25519',
    ],
    ['a shared secret', '{"kty":"oct","k":"AAAA"}', 'is a shared secret in the place of a public key'],
    ['a set', JSON.stringify({ keys: [jwk(rsa.publicKey)] }), 'is a set of keys, where one is wanted'],
    ['for encryption', JSON.stringify({ ...jwk(rsa.publicKey), use: 'enc' }), 'is not for signatures, by its use'],
    ['no longer JSON', '{"kty":', 'is not valid JSON'],
    ['two keys in one', '{"kty":"OKP","kty":"RSA"}', 'is not valid JSON'],
    ['half a JWK', '{"kty":"RSA","e":"AQAB"}', 'cannot be read as a public key'],
    ['a chain', CERTIFICATE + CERTIFICATE, 'must be one public key (SPKI) or one certificate in PEM, or one JWK'],
    ['a random text', 'k'.repeat(64), 'must be one public key (SPKI) or one certificate in PEM, or one JWK'],
    ['cut short', spki(rsa.publicKey).replace(/\n.{64}\n/, '\n'), 'cannot be read as a public key'],
  ])('is not %s', (_, text, fault) => {
    expect(faultOf(() => publicKey(text))).toBe(fault);
  });

  it('is no shared secret: everybody could sign with it', () => {
    const texts = [spki(rsa.publicKey), CERTIFICATE, JSON.stringify(jwk(p256.publicKey))];
    for (const text of texts) expect(faultOf(() => sharedKey(new Secret(text)))).toMatch(/^looks like /);
  });
});
