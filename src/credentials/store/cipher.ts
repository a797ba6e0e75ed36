import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createSecretKey,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { parseKeys } from '../../config/random-keys.js';
import type { Secret } from '../../config/secret.js';
import { StoreRefused } from './store.js';

const KEY_ID_BYTES = 4;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const FORMAT = 1;

/** Says that a sealed text was made with a key that is not at hand. */
export class UnknownKey extends Error {}

/**
 * Seals what the store keeps, with AES-256-GCM. The name of an entry is bound to it, so that no entry can stand in for
 * another. Each text carries the id of its key: the first key seals, every key opens, so keys can be changed in peace.
 */
export class Cipher {
  private readonly keys = new Map<string, KeyObject>();
  private readonly newest: string;

  /** @param keys 32 bytes each, the one to seal with first. */
  constructor(keys: readonly Buffer[]) {
    const ids = keys.map((key) => {
      const id = createHash('sha256').update('key id').update(key).digest().subarray(0, KEY_ID_BYTES).toString('hex');
      this.keys.set(id, createSecretKey(key));
      return id;
    });
    const [newest] = ids;
    if (newest === undefined) throw new Error('a cipher needs a key');
    this.newest = newest;
  }

  seal(name: string, text: string): Buffer {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.key(this.newest), nonce);
    cipher.setAAD(Buffer.from(name));
    const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
    return Buffer.concat([Buffer.of(FORMAT), Buffer.from(this.newest, 'hex'), nonce, cipher.getAuthTag(), sealed]);
  }

  /**
   * @throws UnknownKey when the key is not at hand, Error when the text was changed or belongs to another name.
   */
  open(name: string, sealed: Buffer): string {
    let at = 1;
    const next = (length: number): Buffer => sealed.subarray(at, (at += length));
    if (sealed[0] !== FORMAT) throw new Error('unknown format');
    const key = this.key(next(KEY_ID_BYTES).toString('hex'));
    const decipher = createDecipheriv('aes-256-gcm', key, next(NONCE_BYTES), { authTagLength: TAG_BYTES });
    decipher.setAAD(Buffer.from(name));
    decipher.setAuthTag(next(TAG_BYTES));
    return decipher.update(sealed.subarray(at), undefined, 'utf8') + decipher.final('utf8');
  }

  /** Whether a sealed text is under the key that seals today. */
  isCurrent(sealed: Buffer): boolean {
    return sealed.subarray(1, 1 + KEY_ID_BYTES).toString('hex') === this.newest;
  }

  private key(id: string): KeyObject {
    const key = this.keys.get(id);
    if (!key) throw new UnknownKey();
    return key;
  }
}

/** The keys that the operator gave. @throws StoreRefused when they are none. */
export function givenKeys(keys: Secret): Buffer[] {
  const parsed = parseKeys(keys.reveal());
  if (!parsed) throw new StoreRefused('STORE_KEY must be 32 random bytes in base64, or several such, newest first.');
  return parsed;
}
