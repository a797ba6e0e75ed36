import { compactVerify } from 'jose';
import jwt from 'jsonwebtoken';
import type { KeyObject } from 'node:crypto';
import type { PublicKeyAlgorithm } from '../config/client-key.js';

/** Whether HS256 with this shared secret made the signature. Of the claims it says nothing. */
export function isSignedWith(secret: KeyObject, token: string): boolean {
  try {
    jwt.verify(token, secret, { algorithms: ['HS256'], ignoreExpiration: true, ignoreNotBefore: true });
    return true;
  } catch {
    return false;
  }
}

/** Whether the holder of the private key to this public one made the signature, by just this algorithm. */
export async function isSignedForKey(
  publicKey: KeyObject,
  algorithm: PublicKeyAlgorithm,
  token: string,
): Promise<boolean> {
  try {
    await compactVerify(token, publicKey, { algorithms: [algorithm] });
    return true;
  } catch {
    return false;
  }
}
