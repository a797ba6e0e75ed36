import { createHmac, createSecretKey, hkdfSync, type KeyObject, timingSafeEqual } from 'node:crypto';
import { parseKeys } from '../config/random-keys.js';
import type { Secret } from '../config/secret.js';

/** Half of the hash is more than anybody can search, and what is left over of it fits into a line. */
const MARK_BYTES = 16;
/** Values come again and again; so many are remembered with their fingerprints, then all are forgotten. */
const REMEMBERED = 1000;

/**
 * The keys of the audit: one to sign lines, another to tell values apart without showing them. Both are derived from
 * what the operator gave, so that the key of the store can be that, and nobody who has these has it. The newest key
 * writes, all of them read.
 */
export class AuditKeys {
  private readonly signing: readonly KeyObject[];
  private readonly marking: readonly KeyObject[];
  private readonly known = new Map<string, string>();

  /** @param secret keys as in {@link parseKeys}. */
  constructor(secret: Secret) {
    const keys = parseKeys(secret.reveal());
    if (!keys) throw new Error('the keys of the audit are checked when they are read');
    this.signing = keys.map((key) => derived(key, 'signature'));
    this.marking = keys.map((key) => derived(key, 'fingerprint'));
  }

  /** What stands for a value in the audit: the same for the same value and key, and no way back. */
  fingerprint(value: string): string {
    const known = this.known.get(value);
    if (known !== undefined) return known;
    const [fingerprint = ''] = this.fingerprints(value);
    if (this.known.size >= REMEMBERED) this.known.clear();
    this.known.set(value, fingerprint);
    return fingerprint;
  }

  /** The same under each key, for records from before a change of keys. */
  fingerprints(value: string): string[] {
    // In hexadecimal, which no search takes for an option or an expression.
    return this.marking.map((key) => mark(key, value).toString('hex'));
  }

  /** Signs a text. */
  sign(text: string): string {
    return mark(this.signing[0], text).toString('base64url');
  }

  /** Whether it was one of these keys that signed. */
  hasSigned(text: Buffer, signature: string): boolean {
    const shown = Buffer.from(signature, 'base64url');
    return this.signing.some((key) => timingSafeEqual(mark(key, text), shown));
  }
}

function derived(key: Buffer, purpose: string): KeyObject {
  return createSecretKey(Buffer.from(hkdfSync('sha256', key, '', `wechat-token-hub audit ${purpose}`, 32)));
}

function mark(key: KeyObject | undefined, text: string | Buffer): Buffer {
  if (!key) throw new Error('there is always a key');
  return createHmac('sha256', key).update(text).digest().subarray(0, MARK_BYTES);
}
