import { isIPv4 } from 'node:net';
import { isTicketType, type Account } from './account.js';
import { bareAnswer, errorTexts, Refusal, wechatAnswer, type Answer, type Inquiry, type Reply } from './answer.js';
import { isTicket, type Credential, type Ledger } from './credential.js';
import type { Dice } from './dice.js';

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
type BearerHandler = (inquiry: Inquiry, account: Account) => Reply | Refusal;

const ok = { errcode: 0, errmsg: 'ok' } as const;

/** api.weixin.qq.com and its aliases: the server APIs of official accounts and mini programs. */
export class Wechat {
  readonly #accounts = new Map<string, Account>();
  readonly #incidents = new Map<string, Incident>();
  readonly #ledger: Ledger;
  readonly #dice: Dice;
  readonly #switches: () => WechatSwitches;

  constructor(ledger: Ledger, dice: Dice, switches: () => WechatSwitches) {
    this.#ledger = ledger;
    this.#dice = dice;
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
    const handler = this.#secretBearing[inquiry.path];
    if (!handler && !inquiry.path.startsWith('/cgi-bin/')) return bareAnswer(404);
    const reply = handler ? handler(inquiry) : this.#bearer(inquiry);
    return reply instanceof Refusal ? this.refuse(inquiry, reply) : wechatAnswer(reply, 0);
  }

  /** Dresses a refusal with the id under which it can be looked up later. */
  refuse(inquiry: Inquiry, { errcode, errmsg: words }: Refusal): Answer {
    const errmsg = words ?? (errcode === 40164 ? notListed(inquiry.ip) : errorTexts[errcode]) ?? 'error';
    const seconds = Math.floor(inquiry.now / 1000);
    const rid = `${seconds.toString(16).padStart(8, '0')}-${this.#dice.hex(8)}-${this.#dice.hex(8)}`;
    const answer = wechatAnswer({ errcode, errmsg: `${errmsg} rid: ${rid}` }, errcode);
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
  };

  /** The checks of an endpoint that takes the AppSecret, in WeChat's order; `grantType` is undefined where none is sent. */
  #bySecret(inquiry: Inquiry, appid: string, secret: string, grantType: string | undefined): Account | Refusal {
    if (appid === '') return new Refusal(41002);
    const account = this.#accounts.get(appid);
    if (!account) return new Refusal(40013);
    const refusal =
      (secret === '' ? new Refusal(41004) : undefined) ??
      (grantType !== undefined && grantType !== 'client_credential' ? new Refusal(40002) : undefined) ??
      (secret === account.settings.secret ? undefined : new Refusal(40125)) ??
      account.secretRefusal(inquiry.ip);
    if (refusal && account.settings.refusedCallsCount) account.count(inquiry.path);
    return refusal ?? account;
  }

  #bearer(inquiry: Inquiry): Reply | Refusal {
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

  readonly #bearing: Readonly<Record<string, BearerHandler>> = {
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

    '/cgi-bin/get_api_domain_ip': () => ({ ip_list: ['101.89.47.18', '101.91.34.103'] }),

    '/cgi-bin/getcallbackip': () => ({ ip_list: ['106.55.206.146', '106.55.206.211'] }),

    '/cgi-bin/user/get': () => ({
      total: 2,
      count: 2,
      data: { openid: ['oSimulatedReader000000000001', 'oSimulatedReader000000000002'] },
      next_openid: 'oSimulatedReader000000000002',
    }),

    '/cgi-bin/message/custom/send': (inquiry) => posted(inquiry) ?? ok,
  };

  #pathRefusal(inquiry: Inquiry): Refusal | undefined {
    const path = inquiry.field('cgi_path');
    if (path.startsWith('/sns/')) return new Refusal(76022);
    return path in this.#secretBearing || path in this.#bearing ? undefined : new Refusal(76021);
  }
}

function tokenReply(token: Credential, now: number): Reply {
  return { access_token: token.value, expires_in: token.remaining(now) };
}

/** The words from which an administrator learns the address to be listed. */
function notListed(ip: string): string {
  return `invalid ip ${isIPv4(ip) ? `${ip} ipv6 ::ffff:${ip}` : ip}, not in whitelist`;
}

/** Why the body of a POST is not even looked into. */
function posted(inquiry: Inquiry): Refusal | undefined {
  if (inquiry.method !== 'POST') return new Refusal(43002);
  if (inquiry.body === '') return new Refusal(44002);
  return Object.keys(inquiry.json).length === 0 && inquiry.body.trim() !== '{}' ? new Refusal(47001) : undefined;
}
