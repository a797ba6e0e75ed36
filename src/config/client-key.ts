import { createPublicKey, createSecretKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import type { Secret } from './secret.js';
import { parseStrictJson } from './strict-json.js';

/** How clients' tokens may be signed: with a shared secret, or with a private key that the hub never sees. */
export type Algorithm = 'HS256' | PublicKeyAlgorithm;

/** The algorithms whose tokens a public key verifies (RFC 7518 §3.3 to 3.5, RFC 8037 §3.1). */
export const PUBLIC_KEY_ALGORITHMS = ['RS256', 'PS256', 'ES256', 'EdDSA'] as const;

/** One of those. */
export type PublicKeyAlgorithm = (typeof PUBLIC_KEY_ALGORITHMS)[number];

/** A key that verifies tokens, and the only algorithms by which it does. */
export interface ClientKey {
  readonly key: KeyObject;
  readonly algorithms: readonly Algorithm[];
}

/** Tells why a text or a JWK is no key that the hub would use, in words that hold nothing of it. */
export class UnusableKey extends Error {}

/** RFC 7518 §3.2: an HS256 key shorter than the hash can be guessed offline from one token. */
export const STRONG_KEY_BYTES = 32;
/** RFC 7518 §3.3. */
const RSA_BITS = 2048;

/**
 * Makes a client's HS256 key.
 * @throws UnusableKey for a public key or a certificate taken for a shared secret: it would let everybody who knows it,
 *   which is everybody, sign tokens.
 */
export function sharedKey(secret: Secret): ClientKey {
  const text = secret.reveal();
  const mistaken = mistakenFor(text);
  if (mistaken) throw new UnusableKey(`looks like ${mistaken}; an HS256 key is a random shared secret`);
  return { key: createSecretKey(Buffer.from(text, 'utf8')), algorithms: ['HS256'] };
}

/** Whether it is a shared secret that could be guessed. */
export function isShort({ key }: ClientKey): boolean {
  return key.type === 'secret' && (key.symmetricKeySize ?? 0) < STRONG_KEY_BYTES;
}

/**
 * Makes a client's public key of PEM, of a certificate in PEM, of which nothing but the key counts, or of a JWK.
 * @throws UnusableKey for anything else, a private key above all.
 */
export function publicKey(text: string): ClientKey {
  if (text.trimStart().startsWith('{')) return keyOfJwk(parseJwk(text));
  const labels = [...text.matchAll(/-----BEGIN ([^-\n]+)-----/g)].map(([, label = '']) => label);
  if (labels.some((label) => label.includes('PRIVATE KEY'))) throw privateKey();
  if (labels.length !== 1 || !/^(PUBLIC KEY|CERTIFICATE)$/.test(labels[0] ?? '')) {
    throw new UnusableKey('must be one public key (SPKI) or one certificate in PEM, or one JWK');
  }
  return verifying(() => createPublicKey(text));
}

/**
 * Makes a public key of a JWK (RFC 7517), and takes it at its word as to what it is for.
 * @throws UnusableKey for a private or a shared key, one that is not for signatures, and one that is weak or unknown here.
 */
export function keyOfJwk(jwk: Readonly<Record<string, unknown>>): ClientKey {
  const { use, key_ops: operations, alg } = jwk;
  if (Object.hasOwn(jwk, 'keys')) throw new UnusableKey('is a set of keys, where one is wanted');
  if (Object.hasOwn(jwk, 'k')) throw new UnusableKey('is a shared secret in the place of a public key');
  if (PRIVATE_MEMBERS.some((member) => Object.hasOwn(jwk, member))) throw privateKey();
  if (use !== undefined && use !== 'sig') throw new UnusableKey('is not for signatures, by its use');
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) {
    throw new UnusableKey('is not for verifying, by its key_ops');
  }
  const key = verifying(() => createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' }));
  if (alg === undefined) return key;
  const algorithms = key.algorithms.filter((algorithm) => algorithm === alg);
  if (algorithms.length === 0) throw new UnusableKey(`is for another algorithm than ${key.algorithms.join(' or ')}`);
  return { ...key, algorithms };
}

const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth'];

function privateKey(): UnusableKey {
  return new UnusableKey(
    'is a private key, which the hub must not have; give it the public one (openssl pkey -pubout)',
  );
}

function parseJwk(text: string): Readonly<Record<string, unknown>> {
  try {
    return parseStrictJson(text) as Readonly<Record<string, unknown>>;
  } catch {
    throw new UnusableKey('is not valid JSON');
  }
}

/** The key, with the algorithms that its kind allows. */
function verifying(create: () => KeyObject): ClientKey {
  let key: KeyObject;
  try {
    key = create();
  } catch {
    // The library's words might quote the key.
    throw new UnusableKey('cannot be read as a public key');
  }
  const { asymmetricKeyType: kind, asymmetricKeyDetails: details = {} } = key;
  if (kind === 'rsa') {
    const { modulusLength = 0, publicExponent = 0n } = details;
    if (modulusLength < RSA_BITS) throw new UnusableKey(`is an RSA key of less than ${RSA_BITS} bits`);
    // With 1 for an exponent, anybody can sign.
    if (publicExponent < 3n) throw new UnusableKey('is an RSA key with an exponent below 3');
    return { key, algorithms: ['RS256', 'PS256'] };
  }
  if (kind === 'ec' && details.namedCurve === 'prime256v1') return { key, algorithms: ['ES256'] };
  if (kind === 'ed25519') return { key, algorithms: ['EdDSA'] };
  throw new UnusableKey('must be RSA, EC on the curve P-256, or Ed25519');
}

function mistakenFor(text: string): string | undefined {
  const start = text.trimStart();
  if (start.includes('-----BEGIN') || start.startsWith('LS0tLS1CRUdJTi')) return 'a PEM key or certificate';
  if (/^(ssh-(rsa|dss|ed25519)|ecdsa-sha2-|sk-(ssh|ecdsa))/.test(start)) return 'an ssh key';
  if (/^\{[\s\S]*"(kty|keys)"/.test(start)) return 'a JWK';
  return undefined;
}
