import { createHmac, type KeyObject, timingSafeEqual } from 'node:crypto';
import type { PublicKeyAlgorithm } from '../config/client-key.js';
import type { Bearer } from './bearer.js';

/**
 * Whether HS256 with this shared secret made the signature. Written with Node's own HMAC: a token that was never seen is
 * verified in a third of the time that jsonwebtoken takes.
 * @param bearer one that was read strictly. Of its claims nothing is said.
 */
export function isSignedWith(secret: KeyObject, { alg, token }: Pick<Bearer, 'alg' | 'token'>): boolean {
  if (alg !== 'HS256' || secret.type !== 'secret') return false;
  const end = token.lastIndexOf('.');
  const made = Buffer.from(createHmac('sha256', secret).update(token.slice(0, end)).digest('base64url'));
  // There is one way to write a signature, so what is written can be compared.
  const shown = Buffer.from(token.slice(end + 1));
  return shown.length === made.length && timingSafeEqual(shown, made);
}

/**
 * Whether the holder of the private key to this public one made the signature, by just this algorithm.
 * @param token one that was read strictly.
 */
export async function isSignedForKey(
  publicKey: KeyObject,
  algorithm: PublicKeyAlgorithm,
  token: string,
): Promise<boolean> {
  // Most hubs have no such client, and start without it.
  const { compactVerify } = await import('jose');
  try {
    await compactVerify(token, publicKey, { algorithms: [algorithm] });
    return true;
  } catch {
    return false;
  }
}
