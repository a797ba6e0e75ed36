import { type Remedy, WechatError } from '../wechat/wechat.error.js';

/** How long to wait after the first, second, … failure in a row, in seconds; the last one repeats. */
const WAITS: Readonly<Record<Remedy, readonly number[]>> = {
  passing: [1, 2, 4, 8, 15, 30],
  credential: [1, 2, 4, 8, 15, 30],
  quota: [300, 900, 1800, 3600],
  person: [60, 120, 300, 600],
};

/** Replacing the token did not help: the next try would cost another token, so it comes late. */
const FUTILE_WAITS = [300, 900, 1800];

/** What WeChat refuses with one token and with the next alike: the token is not to blame. */
export class NotTheCredential extends Error {
  constructor(override readonly cause: WechatError) {
    super('WeChat refused the access token and the new one alike');
    this.name = 'NotTheCredential';
  }
}

/**
 * How many milliseconds to wait before WeChat is asked again, after `count` failures in a row. Jittered by up to a
 * fifth, later only; `luck` is from 0 to 1.
 */
export function waitAfter(error: unknown, count: number, luck: number): number {
  const waits =
    error instanceof NotTheCredential ? FUTILE_WAITS : WAITS[error instanceof WechatError ? error.remedy : 'passing'];
  const seconds = waits[Math.min(count, waits.length) - 1] ?? 30;
  const pause = error instanceof WechatError ? (error.pause ?? 0) : 0;
  return Math.max(seconds, pause) * 1000 * (1 + 0.2 * luck);
}
