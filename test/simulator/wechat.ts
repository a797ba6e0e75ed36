import { isIPv4 } from 'node:net';
import { isTicketType, type Account } from './account.js';
import {
  bareAnswer,
  downloadAnswer,
  errorTexts,
  ok,
  Refusal,
  wechatAnswer,
  type Answer,
  type Inquiry,
  type Reply,
} from './answer.js';
import { posted, wechatBusiness } from './business.js';
import { isTicket, type Credential, type Ledger } from './credential.js';
import type { Dice } from './dice.js';
import { Logins } from './logins.js';
import { Download, type MediaShelf } from './media.js';

const ridLife = 7 * 24 * 3_600_000;
const ridsRemembered = 1000;

/** How the hosts of official accounts and mini programs treat requests, whatever the account. */
export interface WechatSwitches {
  /** Whether a token endpoint insists on its verb (43001, 43002). */
  readonly strictMethods: boolean;
  /** Whether plain http is refused with 43003, and with a redirection in WeCom. */
  readonly requireHttps: boolean;
  /** Whether a POST without Content-Length is refused with HTTP 412. */
  readonly refuseChunked: boolean;
  /** Whether every answer is labelled text/plain. */
  readonly plainText: boolean;
}

/** The switches of the hosts as WeChat is believed to have them, save that http will do. */
export const wechatDefaults: WechatSwitches = {
  strictMethods: true,
  requireHttps: false,
  refuseChunked: true,
  plainText: false,
};

interface Incident {
  readonly at: number;
  readonly appid: string;
  readonly ip: string;
  readonly target: string;
  readonly response: string;
}

type Handler = (inquiry: Inquiry) => Reply | Refusal;

/** A call that carries an access token, once the token was found good. */
type BearerHandler = (inquiry: Inquiry, account: Account) => Reply | Refusal | Download;

/** Where paths begin that take an access token of the account. */
const bearing = /^\/(cgi-bin|wxa|card|datacube|customservice)\//;

/** Where JSON is labelled as text, success or not. */
const labelledText = /^\/sns\/|^\/cgi-bin\/media\/get$/;

/** api.weixin.qq.com and its aliases: the server APIs of official accounts and mini programs. */
export class Wechat {
  readonly #accounts = new Map<string, Account>();
  readonly #incidents = new Map<string, Incident>();
  readonly #ledger: Ledger;
  readonly #dice: Dice;
  readonly #logins: Logins;
  readonly #bearing: Readonly<Record<string, BearerHandler>>;
  readonly #switches: () => WechatSwitches;

  constructor(ledger: Ledger, dice: Dice, media: MediaShelf, switches: () => WechatSwitches) {
    this.#ledger = ledger;
    this.#dice = dice;
    this.#logins = new Logins(dice);
    this.#bearing = { ...wechatBusiness(media), ...this.#aboutTheAccount };
    this.#switches = switches;
  }

  add(account: Account): void {
    this.#accounts.set(account.settings.appid, account);
  }

  account(appid: string): Account | undefined {
    return this.#accounts.get(appid);
  }

  answer(inquiry: Inquiry): Answer {
    const switches = this.#switches();
    if (switches.requireHttps && !inquiry.secure) return this.refuse(inquiry, new Refusal(43003));
    const chunked = 'transfer-encoding' in inquiry.headers && !('content-length' in inquiry.headers);
    if (switches.refuseChunked && inquiry.method === 'POST' && chunked) return bareAnswer(412);
    const handler = this.#secretBearing[inquiry.path] ?? this.#logins.withoutSecret[inquiry.path];
    if (!handler && !bearing.test(inquiry.path)) return bareAnswer(404);
    const reply = handler ? handler(inquiry) : this.#bearer(inquiry);
    if (reply instanceof Download) return downloadAnswer(reply);
    return reply instanceof Refusal ? this.refuse(inquiry, reply) : answered(inquiry, reply, 0);
  }

  /** Dresses a refusal with the id under which it can be looked up later. */
  refuse(inquiry: Inquiry, { errcode, errmsg: words }: Refusal): Answer {
    const errmsg = words ?? (errcode === 40164 ? notListed(inquiry.ip) : errorTexts[errcode]) ?? 'error';
    const seconds = Math.floor(inquiry.now / 1000);
    const rid = `${seconds.toString(16).padStart(8, '0')}-${this.#dice.hex(8)}-${this.#dice.hex(8)}`;
    const comma = inquiry.path.startsWith('/sns/') ? ',' : '';
    const answer = answered(inquiry, { errcode, errmsg: `${errmsg}${comma} rid: ${rid}` }, errcode);
    this.#incidents.set(rid, {
      at: inquiry.now,
      appid: this.subject(inquiry),
      ip: inquiry.ip,
      target: inquiry.redacted,
      response: answer.body,
    });
    const [oldest] = this.#incidents.keys();
    if (oldest !== undefined && this.#incidents.size > ridsRemembered) this.#incidents.delete(oldest);
    return answer;
  }

  /** The appid that a request is about, as far as it tells. */
  subject(inquiry: Inquiry): string {
    return (
      this.#ledger.find(inquiry.param('access_token'))?.holder.appid ??
      this.#logins.appidOf(inquiry.param('access_token')) ??
      (inquiry.param('appid') || (inquiry.method === 'POST' ? inquiry.field('appid') : ''))
    );
  }

  readonly #secretBearing: Readonly<Record<string, Handler>> = {
    '/cgi-bin/token': (inquiry) => {
      if (this.#switches().strictMethods && inquiry.method !== 'GET') return new Refusal(43001);
      const read = (name: string) => inquiry.param(name) || inquiry.field(name);
      const account = this.#bySecret(inquiry, read('appid'), read('secret'), read('grant_type'));
      if (account instanceof Refusal) return account;
      const refusal = account.spend(inquiry.path);
      if (refusal) return refusal;
      return tokenReply(account.mintClassic(), inquiry.now);
    },

    '/cgi-bin/stable_token': (inquiry) => {
      if (this.#switches().strictMethods && inquiry.method !== 'POST') return new Refusal(43002);
      const read = (name: string) => inquiry.field(name);
      const account = this.#bySecret(inquiry, read('appid'), read('secret'), read('grant_type'));
      if (account instanceof Refusal) return account;
      const refusal = account.spend(inquiry.path);
      if (refusal) return refusal;
      const token = account.stableToken(inquiry.json['force_refresh'] === true);
      return token instanceof Refusal ? token : tokenReply(token, inquiry.now);
    },

    '/cgi-bin/clear_quota/v2': (inquiry) => {
      if (inquiry.method !== 'POST') return new Refusal(43002);
      const read = (name: string) => inquiry.field(name) || inquiry.param(name);
      const account = this.#bySecret(inquiry, read('appid'), read('appsecret'), undefined);
      if (account instanceof Refusal) return account;
      return account.clearQuota() ?? ok;
    },

    '/sns/oauth2/access_token': (inquiry) => this.#loginRefusal(inquiry) ?? this.#logins.token(inquiry),

    '/sns/jscode2session': (inquiry) => this.#loginRefusal(inquiry) ?? this.#logins.session(inquiry),
  };

  /** The checks of an endpoint that takes the AppSecret, in WeChat's order; `grantType` is undefined where none is sent. */
  #bySecret(inquiry: Inquiry, appid: string, secret: string, grantType: string | undefined): Account | Refusal {
    const account = this.#named(appid);
    if (account instanceof Refusal) return account;
    const refusal =
      mismatch(account, secret, grantType === undefined || grantType === 'client_credential') ??
      account.secretRefusal(inquiry.ip);
    if (refusal && account.settings.refusedCallsCount) account.count(inquiry.path);
    return refusal ?? account;
  }

  /** The same for people's logins, from whatever address and as often as they like. */
  #loginRefusal(inquiry: Inquiry): Refusal | undefined {
    const account = this.#named(inquiry.param('appid'));
    if (account instanceof Refusal) return account;
    return mismatch(account, inquiry.param('secret'), inquiry.param('grant_type') === 'authorization_code');
  }

  #named(appid: string): Account | Refusal {
    if (appid === '') return new Refusal(41002);
    return this.#accounts.get(appid) ?? new Refusal(40013);
  }

  #bearer(inquiry: Inquiry): Reply | Refusal | Download {
    const value = inquiry.param('access_token');
    if (value === '') return new Refusal(41001);
    const token = this.#ledger.find(value);
    const account = token && !isTicket(token.holder.kind) ? this.#accounts.get(token.holder.appid) : undefined;
    if (!token || !account) return new Refusal(40001);
    const refusal = this.#bearerRefusal(inquiry, token, account);
    if (refusal) {
      if (account.settings.refusedCallsCount) account.count(inquiry.path);
      return refusal;
    }
    const handler = this.#bearing[inquiry.path];
    return account.spend(inquiry.path) ?? (handler ? handler(inquiry, account) : ok);
  }

  #bearerRefusal(inquiry: Inquiry, token: Credential, account: Account): Refusal | undefined {
    const errcode = token.errcode(inquiry.now);
    if (errcode !== 0) return new Refusal(errcode);
    // Only official accounts hold the bearers of tokens to the whitelist, mini programs just those of the secret.
    return account.settings.kind === 'official-account' ? account.addressRefusal(inquiry.ip) : undefined;
  }

  readonly #aboutTheAccount: Readonly<Record<string, BearerHandler>> = {
    '/cgi-bin/ticket/getticket': (inquiry, account) => {
      const type = inquiry.param('type');
      if (!isTicketType(type)) return new Refusal(account.settings.badTicketTypeCode);
      return account.ticketReply(account.ticket(type));
    },

    '/cgi-bin/clear_quota': (inquiry, account) =>
      posted(inquiry) ??
      (inquiry.field('appid') === account.settings.appid ? undefined : new Refusal(40013)) ??
      account.clearQuota() ??
      ok,

    '/cgi-bin/openapi/quota/clear': (inquiry, account) =>
      posted(inquiry) ?? this.#pathRefusal(inquiry) ?? account.clearQuota(inquiry.field('cgi_path')) ?? ok,

    '/cgi-bin/openapi/quota/get': (inquiry, account) => {
      const refusal = posted(inquiry) ?? this.#pathRefusal(inquiry);
      if (refusal) return refusal;
      const path = inquiry.field('cgi_path');
      const limit = account.settings.callsPerDay[path] ?? 0;
      const used = account.used(path);
      const perMinute = path === '/cgi-bin/stable_token' ? account.settings.stablePerMinute : 0;
      return {
        ...ok,
        quota: { daily_limit: limit, used, remain: Math.max(0, limit - used) },
        rate_limit: { call_count: perMinute, refresh_second: perMinute > 0 ? 60 : 0 },
        component_rate_limit: { call_count: 0, refresh_second: 0 },
      };
    },

    '/cgi-bin/openapi/rid/get': (inquiry, account) => {
      const refusal = posted(inquiry);
      if (refusal) return refusal;
      const rid = inquiry.field('rid');
      if (!/^[0-9a-f]{8}(-[0-9a-f]{8}){2}$/.test(rid)) return new Refusal(76002);
      const incident = this.#incidents.get(rid);
      if (!incident) return new Refusal(76001);
      if (incident.appid !== account.settings.appid) return new Refusal(76003);
      if (inquiry.now - incident.at >= ridLife) return new Refusal(76004);
      return {
        ...ok,
        request: {
          invoke_time: Math.floor(incident.at / 1000),
          cost_in_ms: 1,
          request_url: incident.target,
          request_body: '',
          response_body: incident.response,
          client_ip: incident.ip,
        },
      };
    },
  };

  #pathRefusal(inquiry: Inquiry): Refusal | undefined {
    const path = inquiry.field('cgi_path');
    if (path.startsWith('/sns/')) return new Refusal(76022);
    return path in this.#secretBearing || path in this.#bearing ? undefined : new Refusal(76021);
  }
}

function mismatch({ settings }: Account, secret: string, grantIsRight: boolean): Refusal | undefined {
  if (secret === '') return new Refusal(41004);
  if (!grantIsRight) return new Refusal(40002);
  return secret === settings.secret ? undefined : new Refusal(40125);
}

function answered({ path }: Inquiry, reply: Reply, errcode: number): Answer {
  const answer = wechatAnswer(reply, errcode);
  return labelledText.test(path) ? { ...answer, headers: { 'content-type': 'text/plain' } } : answer;
}

function tokenReply(token: Credential, now: number): Reply {
  return { access_token: token.value, expires_in: token.remaining(now) };
}

/** The words from which an administrator learns the address to be listed. */
function notListed(ip: string): string {
  return `invalid ip ${isIPv4(ip) ? `${ip} ipv6 ::ffff:${ip}` : ip}, not in whitelist`;
}
