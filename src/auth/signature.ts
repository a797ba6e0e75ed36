import jwt from 'jsonwebtoken';
import type { KeyObject } from 'node:crypto';
import type { PublicKeyAlgorithm } from '../config/client-key.js';

/**
 * Whether HS256 with this shared secret made the signature.
 * @param token one that `partsOf` takes apart: the library reads base64url loosely. Of its claims nothing is said.
 */
export function isSignedWith(secret: KeyObject, token: string): boolean {
  try {
    jwt.verify(token, secret, { algorithms: ['HS256'], ignoreExpiration: true, ignoreNotBefore: true });
    return true;
  } catch {
    return false;
  }
}

/**
 * Whether the holder of the private key to this public one made the signature, by just this algorithm.
 * @param token as above.
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
