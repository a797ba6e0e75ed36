import { createHash, randomBytes } from 'node:crypto';

/** What scanners for leaked secrets can know one by; nothing else of ours begins so. */
export const ISSUED_SECRET_PREFIX = 'wths_';

/** A digest as it stands in the configuration: of a secret itself nothing is kept. */
export const SECRET_DIGEST = /^sha256:[0-9a-f]{64}$/;

/** Makes a secret that an SDK shows the hub where it would show WeChat an AppSecret. */
export function issueSecret(): string {
  return ISSUED_SECRET_PREFIX + randomBytes(24).toString('hex');
}

/** What is kept of an issued secret. It is random enough for a plain hash: nobody finds it by guessing. */
export function digestOf(secret: string): string {
  return `sha256:${createHash('sha256').update(secret).digest('hex')}`;
}
