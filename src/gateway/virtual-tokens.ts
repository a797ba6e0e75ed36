import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import type { IssuedSecrets, SecretHolder } from '../auth/issued-secrets.js';
import type { Secret } from '../config/secret.js';

/** What scanners for leaked secrets can know one by. WeChat's own tokens begin with a number. */
const PREFIX = 'wtv_';
/** What an SDK is told of the life of a virtual token, always; seconds. */
export const VIRTUAL_LIFE_S = 7200;
/** SDKs count a life from when they have its answer, and what they send last takes a while to get here. */
const GRACE_S = 300;
const FORM = /^wtv_([0-9a-z]{1,8})_([0-9a-f]{64})_([\w-]{43})$/;

/** Where virtual tokens find what they are made of. */
export interface Mould {
  readonly secrets: Pick<IssuedSecrets, 'withDigest'>;
  /** What the app shows WeChat; nothing if there is no such app. */
  appSecret(app: string): Secret | undefined;
  /** Epoch milliseconds. */
  now(): number;
}

/**
 * Tokens that look like WeChat's to an SDK, and are worth nothing there: each stands for one client and one app, as long as
 * the secret that it was given for is not revoked. Nothing of them is stored. Every hub that knows the AppSecret can make
 * them, and tell a true one; each is good from one to two of its lives, so that none is told of more life than it has.
 */
export class VirtualTokens {
  constructor(private readonly mould: Mould) {}

  /** The token for whoever holds a secret. */
  issue({ app, digest }: SecretHolder): string | undefined {
    const age = this.age;
    const seal = this.seal(app, digest, age);
    return seal && `${PREFIX}${age.toString(36)}_${digest.slice('sha256:'.length)}_${seal}`;
  }

  /** Whom a token stands for; `expired` if it did, `undefined` if it is none of ours, or its secret is revoked. */
  read(token: string): SecretHolder | 'expired' | undefined {
    const [, written = '', digest = '', seal = ''] = FORM.exec(token) ?? [];
    const holder = this.mould.secrets.withDigest(`sha256:${digest}`);
    const age = parseInt(written, 36);
    const expected = holder && this.seal(holder.app, holder.digest, age);
    if (!expected || !timingSafeEqual(Buffer.from(seal), Buffer.from(expected))) return undefined;
    return this.mould.now() / 1000 > (age + 2) * VIRTUAL_LIFE_S + GRACE_S ? 'expired' : holder;
  }

  /** Time in lives of a token, so that all hubs make the same one for a while. */
  private get age(): number {
    return Math.floor(this.mould.now() / 1000 / VIRTUAL_LIFE_S);
  }

  private seal(app: string, digest: string, age: number): string | undefined {
    const secret = this.mould.appSecret(app);
    if (!secret) return undefined;
    const key = hkdfSync('sha256', secret.reveal(), '', 'wechat-token-hub virtual token', 32);
    return createHmac('sha256', Buffer.from(key)).update(`${app}\0${digest}\0${age}`).digest('base64url');
  }
}
