import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { Secret } from '../src/config/secret.js';
import type { Entry } from '../src/credentials/store/store.js';
import { officialAccount } from '../src/wechat/platforms/official-account.js';
import type { App } from '../src/wechat/platforms/platform.js';

/** WeChat's access tokens have 136 characters, its tickets 86. */
const VALUE_BYTES = 102;
export const LIFE_MS = 7_200_000;

/** The kinds of which each account has one in the store when a hub is to have all that it needs. */
export const STORED_KINDS = ['access-token', 'ticket/jsapi'] as const;
/** Every kind that the hub can keep for an official account. */
export const ALL_KINDS = [...STORED_KINDS, 'ticket/wx_card', 'ticket/sdk'] as const;

/** How an account is written in the configuration file. */
export interface WrittenAccount {
  readonly platform: 'official-account';
  readonly appid: string;
  readonly secret: { readonly env: string };
}

/** So many official accounts with classic tokens, by the names of their apps, as they are written. */
export function writtenAccounts(count: number, secretVariable: string): ReadonlyMap<string, WrittenAccount> {
  return new Map(
    Array.from({ length: count }, (_, i) => {
      const serial = String(i).padStart(16, '0');
      return [`app-${i}`, { platform: 'official-account', appid: `wx${serial}`, secret: { env: secretVariable } }];
    }),
  );
}

/** The same as the hub makes of them. */
export function accounts(count: number): ReadonlyMap<string, App> {
  const schema = officialAccount.schema(z.unknown().transform(() => new Secret('no secret of anybody')));
  const written = writtenAccounts(count, '');
  return new Map([...written].map(([name, { appid, secret }]) => [name, schema.parse({ appid, secret })]));
}

/** What the store has of a credential that was minted just now. */
export function freshEntry(): Entry {
  const now = Date.now();
  const value = randomBytes(VALUE_BYTES).toString('base64url');
  return { credential: { value, issuedAt: now, expiresAt: now + LIFE_MS, version: Math.floor(now / 1000) } };
}
