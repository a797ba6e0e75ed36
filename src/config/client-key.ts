import { createSecretKey, type KeyObject } from 'node:crypto';
import type { Secret } from './secret.js';

/** RFC 7518 §3.2: an HS256 key shorter than the hash can be guessed offline from one token. */
export const STRONG_KEY_BYTES = 32;

/** An HS256 key, ready for use, and whether it is long enough to be trusted under `AUTH_STRICT`. */
export interface ClientKey {
  readonly key: KeyObject;
  readonly strong: boolean;
}

/**
 * Makes a client's HS256 key, or says why the text is none: a public key or a certificate taken for a shared secret
 * would let everybody who knows it, which is everybody, sign tokens.
 */
export function clientKey(secret: Secret): ClientKey | string {
  const text = secret.reveal();
  const mistaken = mistakenFor(text);
  if (mistaken) return `looks like ${mistaken}; an HS256 key is a random shared secret`;
  const bytes = Buffer.from(text, 'utf8');
  return { key: createSecretKey(bytes), strong: bytes.length >= STRONG_KEY_BYTES };
}

function mistakenFor(text: string): string | undefined {
  const start = text.trimStart();
  if (start.includes('-----BEGIN') || start.startsWith('LS0tLS1CRUdJTi')) return 'a PEM key or certificate';
  if (/^(ssh-(rsa|dss|ed25519)|ecdsa-sha2-|sk-(ssh|ecdsa))/.test(start)) return 'an ssh key';
  if (/^\{[\s\S]*"(kty|keys)"/.test(start)) return 'a JWK';
  return undefined;
}
