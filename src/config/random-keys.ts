import { randomBytes } from 'node:crypto';

const KEY_BYTES = 32;

/** Makes a new key, in the form in which it is written down. */
export function newKey(): string {
  return randomBytes(KEY_BYTES).toString('base64');
}

/**
 * Reads keys as they are written down: base64 of 32 bytes, several separated by commas or white space.
 * @returns undefined when a part is no key.
 */
export function parseKeys(text: string): Buffer[] | undefined {
  const keys = text
    .split(/[\s,]+/)
    .filter((part) => part !== '')
    .map((part) => (/^[A-Za-z0-9+/_-]{43}=?$/.test(part) ? Buffer.from(part, 'base64') : Buffer.alloc(0)));
  return keys.length > 0 && keys.every((key) => key.length === KEY_BYTES) ? keys : undefined;
}
