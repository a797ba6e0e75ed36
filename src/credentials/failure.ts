import { type ErrorNote, type Remedy, WechatError, wechatErrorOf } from '../wechat/wechat.error.js';
import { AllowanceSpent } from './allowance.js';

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

/** Something of our own went wrong, in this hub or another; the log of that one says what. */
export class Unforeseen extends Error {
  constructor() {
    super('The hub failed in a way that nobody foresaw.');
    this.name = 'Unforeseen';
  }
}

/** Why asking WeChat gave nothing, written down so that other hubs, and the next start, can go by it. */
type Reason =
  | { readonly wechat: ErrorNote; readonly futile?: true }
  | { readonly allowanceSpent: true }
  | { readonly unforeseen: true };

/** A link in the one chain of tries that serves everybody who wants the credential. Instants are epoch milliseconds. */
export interface Failure {
  readonly reason: Reason;
  /** How many failures in a row there were. */
  readonly count: number;
  readonly at: number;
  /** When WeChat is asked again. */
  readonly retryAt: number;
  /** The replica that met it; hubs of earlier versions did not say. */
  readonly by?: string;
}

/**
 * Writes down that asking failed once more.
 * @param before the failure before this one, if the last asking failed too.
 * @param luck from 0 to 1: the wait is jittered by it.
 */
export function failureOf(error: unknown, before: Failure | undefined, at: number, luck: number): Failure {
  const count = (before?.count ?? 0) + 1;
  return { reason: reasonOf(error), count, at, retryAt: at + waitAfter(error, count, luck) };
}

/** The error that a failure was made of, as far as it was written down. */
export function errorOf({ reason, retryAt }: Failure): Error {
  if ('wechat' in reason) {
    const error = wechatErrorOf(reason.wechat);
    return reason.futile ? new NotTheCredential(error) : error;
  }
  return 'allowanceSpent' in reason ? new AllowanceSpent(retryAt) : new Unforeseen();
}

/** Whether a failure goes away by itself; the others may be over as soon as somebody has changed something. */
export function isPassing(failure: Failure): boolean {
  const error = errorOf(failure);
  return !(error instanceof WechatError) || error.remedy === 'passing';
}

/** Whether a person has to mend it: then it may be wrong at the hub alone that met it, as its secret or its way out. */
export function isForPerson(failure: Failure): boolean {
  const error = errorOf(failure);
  return error instanceof WechatError && error.remedy === 'person';
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

function reasonOf(error: unknown): Reason {
  if (error instanceof NotTheCredential) return { wechat: error.cause.note, futile: true };
  if (error instanceof WechatError) return { wechat: error.note };
  return error instanceof AllowanceSpent ? { allowanceSpent: true } : { unforeseen: true };
}
