import { covers } from './account.js';
import {
  bareAnswer,
  downloadAnswer,
  errorTexts,
  ok,
  Refusal,
  wecomAnswer,
  type Answer,
  type Inquiry,
  type Reply,
} from './answer.js';
import { posted, wecomBusiness } from './business.js';
import type { AgentSettings, Corp } from './corp.js';
import type { Credential, Ledger } from './credential.js';
import type { Dice } from './dice.js';
import { Download, type MediaShelf } from './media.js';
import { Throttle } from './quota.js';

/** How WeCom's host treats requests, whatever the corp. */
export interface WecomSwitches {
  /** So many wrong secrets within an hour shut the caller's address out for an hour. */
  readonly wrongSecretsPerHour: number;
  readonly requireHttps: boolean;
}

/** The paths that only WeCom has, by which a request tells its service. */
export const wecomPaths: ReadonlySet<string> = new Set([
  '/cgi-bin/gettoken',
  '/cgi-bin/get_jsapi_ticket',
  '/cgi-bin/ticket/get',
  '/cgi-bin/agent/get',
  '/cgi-bin/agent/list',
  '/cgi-bin/message/send',
  '/cgi-bin/user/list',
  '/cgi-bin/user/simplelist',
  '/cgi-bin/department/list',
]);

/** Replies that WeCom sends along with an error too, emptied. */
const emptyFields: Readonly<Record<string, Reply>> = {
  '/cgi-bin/get_api_domain_ip': { ip_list: [] },
  '/cgi-bin/getcallbackip': { ip_list: [] },
  '/cgi-bin/user/list': { userlist: [] },
  '/cgi-bin/user/simplelist': { userlist: [] },
  '/cgi-bin/department/list': { department: [] },
  '/cgi-bin/agent/list': { agentlist: [] },
};

/** WeCom puts some refusals into other words than the official accounts' hosts. */
const texts: Readonly<Record<number, string>> = {
  40001: 'invalid credential',
  40013: 'invalid corpid',
  41004: 'corpsecret missing',
  45009: 'api freq out of limit',
};

interface Bearer {
  readonly corp: Corp;
  readonly agent: AgentSettings;
}

/** A call that carries an access token, once the token was found good. */
type BearerHandler = (inquiry: Inquiry, bearer: Bearer) => Reply | Refusal | Download;

/** qyapi.weixin.qq.com: the server APIs of WeCom. */
export class Wecom {
  readonly #corps = new Map<string, Corp>();
  readonly #wrongSecrets = new Map<string, Throttle>();
  readonly #ledger: Ledger;
  readonly #dice: Dice;
  readonly #bearing: Readonly<Record<string, BearerHandler>>;
  readonly #switches: () => WecomSwitches;

  constructor(ledger: Ledger, dice: Dice, media: MediaShelf, switches: () => WecomSwitches) {
    this.#ledger = ledger;
    this.#dice = dice;
    this.#bearing = { ...wecomBusiness(media), ...this.#aboutTheApplication };
    this.#switches = switches;
  }

  add(corp: Corp): void {
    this.#corps.set(corp.settings.corpid, corp);
  }

  corp(corpid: string): Corp | undefined {
    return this.#corps.get(corpid);
  }

  answer(inquiry: Inquiry): Answer {
    if (this.#switches().requireHttps && !inquiry.secure) {
      const location = `https://${inquiry.host || 'qyapi.weixin.qq.com'}${inquiry.request.target}`;
      return bareAnswer(301, '', { location, 'content-type': 'text/html' });
    }
    if (!inquiry.path.startsWith('/cgi-bin/')) return bareAnswer(404);
    const reply = inquiry.path === '/cgi-bin/gettoken' ? this.#gettoken(inquiry) : this.#business(inquiry);
    if (reply instanceof Download) return downloadAnswer(reply);
    return reply instanceof Refusal ? this.refuse(inquiry, reply) : wecomAnswer(reply, 0, 'ok');
  }

  /** Dresses a refusal with hint, address and link, between the fields that the API would have filled. */
  refuse(inquiry: Inquiry, { errcode, errmsg: words }: Refusal): Answer {
    const text = words ?? texts[errcode] ?? errorTexts[errcode] ?? 'error';
    const hint = `${Math.floor(inquiry.now / 1000)}_${this.#dice.between(1, 99)}_${this.#dice.hex(32)}`;
    const link = `https://open.work.weixin.qq.com/devtool/query?e=${errcode}`;
    const errmsg = `${text}, hint: [${hint}], from ip: ${inquiry.ip}, more info at ${link}`;
    return wecomAnswer({ ...emptyFields[inquiry.path], errcode, errmsg }, errcode, errmsg);
  }

  /** The corpid that a request is about, as far as it tells. */
  subject(inquiry: Inquiry): string {
    return this.#ledger.find(inquiry.param('access_token'))?.holder.appid ?? inquiry.param('corpid');
  }

  #gettoken(inquiry: Inquiry): Reply | Refusal {
    const { now, ip } = inquiry;
    if (this.#shutOut(ip, now)) return new Refusal(45009);
    const secret = inquiry.param('corpsecret');
    if (secret === '') return new Refusal(41004);
    const corp = this.#corps.get(inquiry.param('corpid'));
    if (!corp) return new Refusal(40013);
    const agent = corp.agentOf(secret);
    if (!agent || agent.disabled === true) {
      let throttle = this.#wrongSecrets.get(ip);
      if (!throttle) this.#wrongSecrets.set(ip, (throttle = new Throttle('hour')));
      // The wrong secret that fills the measure is still called wrong; what comes after it is shut out.
      throttle.take(now, this.#switches().wrongSecretsPerHour - 1);
      return new Refusal(40001);
    }
    if (!corp.admitsCall(inquiry.path)) return new Refusal(45009);
    const token = corp.token(agent.agentid);
    const { expiresIn, life } = corp.settings;
    return { ...ok, access_token: token.value, expires_in: expiresIn === 'full' ? life : token.remaining(now) };
  }

  #shutOut(ip: string, now: number): boolean {
    return this.#wrongSecrets.get(ip)?.blocked(now) === true;
  }

  #business(inquiry: Inquiry): Reply | Refusal | Download {
    if (this.#shutOut(inquiry.ip, inquiry.now)) return new Refusal(45009);
    const bearer = this.#bearer(inquiry);
    if (bearer instanceof Refusal) return bearer;
    if (!bearer.corp.admitsCall(inquiry.path)) return new Refusal(45009);
    const handler = this.#bearing[inquiry.path];
    return handler ? handler(inquiry, bearer) : ok;
  }

  #bearer(inquiry: Inquiry): Bearer | Refusal {
    const value = inquiry.param('access_token');
    if (value === '') return new Refusal(41001);
    const token = this.#ledger.find(value);
    const corp = token?.holder.kind === 'wecom' ? this.#corps.get(token.holder.appid) : undefined;
    if (!token || !corp) return new Refusal(40014);
    const trusted = corp.trustedIps;
    if (trusted !== null && !trusted.some((entry) => covers(entry, inquiry.ip))) return new Refusal(60020);
    const errcode = token.errcode(inquiry.now);
    if (errcode !== 0) return new Refusal(errcode);
    const agent = corp.agent(token.holder.agentid);
    if (!agent) return new Refusal(40014);
    return agent.disabled === true ? new Refusal(50003) : { corp, agent };
  }

  readonly #aboutTheApplication: Readonly<Record<string, BearerHandler>> = {
    '/cgi-bin/get_jsapi_ticket': (inquiry, bearer) => this.#ticket(inquiry, bearer, 'jsapi'),

    '/cgi-bin/ticket/get': (inquiry, bearer) =>
      inquiry.param('type') === 'agent_config' ? this.#ticket(inquiry, bearer, 'agent_config') : new Refusal(40097),

    '/cgi-bin/agent/get': (inquiry, bearer) =>
      agentRefusal(inquiry.param('agentid'), bearer) ?? {
        ...ok,
        agentid: bearer.agent.agentid,
        name: `simulated application ${bearer.agent.agentid}`,
        close: 0,
      },

    '/cgi-bin/message/send': (inquiry, bearer) => {
      const agentid = inquiry.json['agentid'];
      const named = typeof agentid === 'number' || typeof agentid === 'string' ? `${agentid}` : '';
      return posted(inquiry) ?? agentRefusal(named, bearer) ?? { ...ok, msgid: this.#dice.urlSafe(32) };
    },

    '/cgi-bin/agent/list': (_inquiry, { corp }) => ({
      ...ok,
      agentlist: corp.settings.agents.map(({ agentid }) => ({ agentid, name: `simulated application ${agentid}` })),
    }),
  };

  #ticket({ path, now }: Inquiry, { corp, agent }: Bearer, kind: 'jsapi' | 'agent_config'): Reply | Refusal {
    if (!corp.admitsTicket(path, agent.agentid)) return new Refusal(45009);
    const ticket: Credential = corp.ticket(kind, agent.agentid);
    const { ticketExpiresIn, ticketLife } = corp.settings;
    const expiresIn = ticketExpiresIn === 'full' ? ticketLife : ticket.remaining(now);
    return { ...ok, ticket: ticket.value, expires_in: expiresIn };
  }
}

function agentRefusal(agentid: string, { agent }: Bearer): Refusal | undefined {
  if (agent.purpose === 'contacts') return new Refusal(48002);
  return agentid === `${agent.agentid}` ? undefined : new Refusal(301002);
}
