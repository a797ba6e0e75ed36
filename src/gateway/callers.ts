import type { Client } from '../config/clients.js';
import type { IssuedSecrets } from '../auth/issued-secrets.js';
import type { CredentialsService } from '../credentials/credentials.service.js';
import type { HostedApp } from '../credentials/hosted-app.js';
import type { Credential } from '../credentials/policy.js';
import type { Dialect } from '../wechat/wechat.error.js';
import { Saying } from './saying.js';
import type { VirtualTokens } from './virtual-tokens.js';

/** A client that speaks WeChat's dialect, and the app that it speaks for. */
export interface Caller {
  /** Absent where a token of WeChat's own is shown of which this hub does not remember to whom it was given. */
  readonly client?: Client;
  /** The app, by its name in the configuration. */
  readonly name: string;
  readonly app: HostedApp;
}

/** One that is known by its secret. */
export interface SecretCaller extends Caller {
  readonly client: Client;
  readonly digest: string;
}

/** Who shows a token, as far as that is known. */
interface Bearer {
  readonly client?: Client;
  readonly app: string;
}

/** To whom a token of WeChat's own was given. */
interface Given {
  /** The client, and the secret that it showed, by its digest; absent where several were given it: nobody can tell who shows it. */
  readonly to?: { readonly client: string; readonly digest: string };
  readonly app: string;
  readonly endsAt: number;
}

/** What somebody who wants a token says of himself. */
export interface Introduction {
  readonly appid: string | undefined;
  readonly secret: string | undefined;
  /** What makes the question one for a token; absent where nothing of that kind is asked for. */
  readonly grant?: { readonly type: string | undefined; readonly expected: string };
}

const OWNERS_GOOD_FOR_MS = 1000;

/** Tells who shows a secret or a token, in the order in which WeChat finds fault. */
export class Callers {
  /** WeChat's own tokens that clients were given, with the end of their lives; in that order, nearly. */
  private readonly given = new Map<string, Given>();

  /** The apps by their tokens, as they were a moment ago. */
  private owners: { readonly at: number; readonly byToken: ReadonlyMap<string, Bearer> } = {
    at: -Infinity,
    byToken: new Map(),
  };

  constructor(
    private readonly credentials: Pick<CredentialsService, 'app' | 'all' | 'clock'>,
    private readonly secrets: IssuedSecrets,
    private readonly virtualTokens: VirtualTokens,
  ) {}

  /** @throws Saying when the two do not belong together, or the secret is nobody's. */
  bySecret(dialect: Dialect, { appid, secret, grant }: Introduction): SecretCaller {
    if (!appid) throw new Saying(dialect, 'noAppid');
    if (!this.isKnown(dialect, appid)) throw new Saying(dialect, 'unknownAppid');
    if (!secret) throw new Saying(dialect, 'noSecret');
    if (grant && grant.type !== grant.expected) throw new Saying(dialect, 'wrongGrant');
    const holder = this.secrets.holderOf(secret);
    const app = holder && this.credentials.app(holder.app);
    const isHis = app?.appid === appid && app.dialect === dialect;
    if (!holder || !isHis) throw new Saying(dialect, 'wrongSecret');
    return { client: holder.client, name: holder.app, app, digest: holder.digest };
  }

  /** @throws Saying when the token is missing, unknown, or not good any more. */
  byToken(dialect: Dialect, token: string | undefined): Caller & { readonly isVirtual: boolean } {
    if (!token) throw new Saying(dialect, 'noToken');
    const holder = this.virtualTokens.read(token);
    if (holder === 'expired') throw new Saying(dialect, 'expiredToken');
    const known = holder ?? this.givenTo(token) ?? this.ownerOf(token);
    const app = known && this.credentials.app(known.app);
    if (!app) throw new Saying(dialect, 'unknownToken');
    return {
      ...(known.client && { client: known.client }),
      name: known.app,
      app,
      isVirtual: holder !== undefined,
    };
  }

  /** The virtual token of a client for an app. */
  virtualTokenOf({ client, name, digest, app }: SecretCaller): string {
    const token = this.virtualTokens.issue({ client, app: name, digest });
    if (token === undefined) throw new Saying(app.dialect, 'unknownAppid');
    return token;
  }

  /** Remembers who was given a token of WeChat's own, as long as it lives. */
  remember({ client: { name: client }, digest, name }: SecretCaller, { value, expiresAt: endsAt }: Credential): void {
    const now = this.credentials.clock.now();
    for (const [old, { endsAt: oldEndsAt }] of this.given) {
      if (oldEndsAt > now) break;
      this.given.delete(old);
    }
    const before = this.given.get(value);
    const isHis = before === undefined || before.to?.client === client;
    this.given.set(value, { ...(isHis && { to: { client, digest } }), app: name, endsAt });
  }

  /** Who was given a token, as he is configured now; if the secret that he showed is revoked, he is nobody in particular. */
  private givenTo(token: string): Bearer | undefined {
    const given = this.given.get(token);
    if (!given) return undefined;
    const holder = given.to && this.secrets.withDigest(given.to.digest);
    return { ...(holder && { client: holder.client }), app: given.app };
  }

  private isKnown(dialect: Dialect, appid: string): boolean {
    for (const [, app] of this.credentials.all) if (app.appid === appid && app.dialect === dialect) return true;
    return false;
  }

  /** The app whose present token it is. Of ten thousand apps, strangers must not have each looked at every time. */
  private ownerOf(token: string): Bearer | undefined {
    const now = this.credentials.clock.now();
    if (now >= this.owners.at + OWNERS_GOOD_FOR_MS) {
      const byToken = new Map<string, Bearer>();
      for (const [app, { accessToken }] of this.credentials.all) {
        if (accessToken.current) byToken.set(accessToken.current.value, { app });
      }
      this.owners = { at: now, byToken };
    }
    return this.owners.byToken.get(token);
  }
}
