import { HeldCredential, type Held } from './held-credential.js';
import { HubApi, type JssdkConfig } from './hub-api.js';
import { refusalIn } from './refusal.js';
import type { Jwt } from './shared-key.js';

/** Where the hub is, who asks it, and for which app. */
export interface HubOptions {
  /** The address of the hub, as `http://hub:8567`. */
  readonly url: string;
  /** What shows who asks: a JWT, or what gives one for each request, as {@link sharedKey} and `jwtFile` do. */
  readonly jwt: string | Jwt;
  /** The name of the app in the hub; `default` unless told. */
  readonly app?: string;
  /** How requests are sent; `fetch` unless told. */
  readonly fetch?: typeof globalThis.fetch;
  /** Milliseconds of a clock that does not jump; `performance.now` unless told. */
  readonly now?: () => number;
}

/** A credential on loan from the hub. */
export interface Credential {
  /** The token, or the ticket. */
  readonly value: string;
  /** Larger for every new value. */
  readonly version: number;
  /** The appid of the account that it is for; for WeCom its corpid. */
  readonly appid: string;
  /** For how many seconds from now it may be used; after that it may be dead. */
  readonly expiresIn: number;
}

/**
 * The credentials of one app, from the hub. They are kept in memory for as long as the hub said, so that it may be asked for
 * one before every call to WeChat; make one of it for the life of the process.
 */
export class WechatHub {
  private readonly api: HubApi;
  private readonly now: () => number;
  private readonly token: HeldCredential;
  private readonly tickets = new Map<string, HeldCredential>();
  private reporting: Promise<Held> | undefined;

  /** @throws TypeError with every fault of the options. */
  constructor(options: HubOptions) {
    const { url, jwt, app = 'default' } = checked(options);
    // Looked up at each request, as those who stand in for it expect.
    const send: typeof globalThis.fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
    this.api = new HubApi(url, app, typeof jwt === 'function' ? jwt : () => jwt, send);
    this.now = options.now ?? (() => performance.now());
    this.token = new HeldCredential((held) => this.api.read({ kind: 'access-token' }, held), this.now);
  }

  /**
   * The access token.
   * @throws HubError when there is none in hand, and none to be had.
   */
  async accessToken(): Promise<Credential> {
    return this.lend(await this.token.get());
  }

  /**
   * A ticket, as `jsapi` or `wx_card`.
   * @throws HubError when there is none in hand, and none to be had.
   */
  async ticket(type: string): Promise<Credential> {
    let ticket = this.tickets.get(type);
    if (!ticket) {
      ticket = new HeldCredential((held) => this.api.read({ kind: 'ticket', type }, held), this.now);
      this.tickets.set(type, ticket);
    }
    return this.lend(await ticket.get());
  }

  /**
   * Lends the access token to a call to WeChat. When WeChat refuses it, in what the call throws or returns, the hub is told,
   * and the call is repeated with what the hub gives: once.
   */
  async withToken<Result>(call: (accessToken: string) => Result | Promise<Result>): Promise<Result> {
    const { value } = await this.token.get();
    let errcode: number | undefined;
    try {
      const result = await call(value);
      errcode = refusalIn(result);
      if (errcode === undefined) return result;
    } catch (error) {
      errcode = refusalIn(error);
      if (errcode === undefined) throw error;
    }
    return call((await this.refused(value, errcode)).value);
  }

  /**
   * Tells the hub that WeChat refused an access token, and gives what to go on with. The hub finds out whether it is really
   * dead, so a report too many does no harm. Takes the right `report`.
   *
   * @param errcode what WeChat said.
   * @throws HubError when the hub could not find out, or may not be told.
   */
  async refused(accessToken: string, errcode?: number): Promise<Credential> {
    const held = this.token.usable;
    if (held && held.value !== accessToken) return this.lend(held);
    this.reporting ??= this.report(accessToken, errcode).finally(() => (this.reporting = undefined));
    return this.lend(await this.reporting);
  }

  /**
   * Signs a page for the JS-SDK: what `wx.config` wants. Takes the right `sign`.
   * @param url the address of the page, as the browser shows it.
   */
  signPage(url: string): Promise<JssdkConfig> {
    return this.api.signPage(url);
  }

  private async report(accessToken: string, errcode?: number): Promise<Held> {
    const askedAt = this.now();
    return this.token.take(await this.api.report(accessToken, errcode), askedAt);
  }

  private lend({ value, version, appid, endsAt }: Held): Credential {
    return { value, version, appid, expiresIn: Math.floor((endsAt - this.now()) / 1000) };
  }
}

/** What may stand in `app`. */
export const APP_NAME = /^[a-z0-9][a-z0-9-]{0,39}$/;

/** What is wrong with the address of a hub, if anything is. */
export function flawOfUrl(url: unknown): string | undefined {
  if (typeof url !== 'string' || !URL.canParse(url)) return 'the address of the hub is wanted, as http://hub:8567';
  const { protocol, username, search, hash } = new URL(url);
  if (protocol !== 'http:' && protocol !== 'https:') return 'must begin with http: or https:';
  if (username || search || hash) return 'must have no user, no query and no fragment';
  return undefined;
}

/** Without types, too, a mistake shall be told at once and not at the first call. */
function checked(options: HubOptions): HubOptions {
  const { url, jwt, app, fetch, now } = Object(options) as Readonly<Record<string, unknown>>;
  const flaws = {
    url: flawOfUrl(url),
    jwt:
      typeof jwt === 'function' || (typeof jwt === 'string' && jwt.trim() !== '')
        ? undefined
        : 'a JWT, or what gives one, is wanted; sharedKey makes it of kid and secret',
    app:
      app === undefined || (typeof app === 'string' && APP_NAME.test(app))
        ? undefined
        : `must be like ${APP_NAME.source}`,
    fetch: fetch === undefined || typeof fetch === 'function' ? undefined : 'must be a function',
    now: now === undefined || typeof now === 'function' ? undefined : 'must be a function',
  };
  const faults = Object.entries(flaws).flatMap(([option, flaw]) => (flaw === undefined ? [] : [`${option}: ${flaw}`]));
  if (faults.length > 0) throw new TypeError(`WechatHub: ${faults.join('; ')}`);
  return options;
}
