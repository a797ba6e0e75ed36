import { Account, accountDefaults, type AccountSettings, type AccountSwitches } from './account.js';
import { bareAnswer, Inquiry, Refusal, type Answer, type Request, type Service } from './answer.js';
import type { Clock } from './clock.js';
import { Corp, corpDefaults, type CorpSettings, type CorpSwitches } from './corp.js';
import { isTicket, Ledger, type Credential, type CredentialKind } from './credential.js';
import { Dice } from './dice.js';
import { MediaShelf } from './media.js';
import { Faults, spoil, type Effect } from './faults.js';
import type { Received } from './received.js';
import { cardSignature, pageSignature, scanLoginSignature } from './signature.js';
import { Wechat, wechatDefaults, type WechatSwitches } from './wechat.js';
import { Wecom, wecomPaths, type WecomSwitches } from './wecom.js';

/** The truth about a value, which the hub under test cannot know. Instants are epoch milliseconds. */
export interface Verdict {
  readonly accepted: boolean;
  /** Until when it is, or was, accepted, as things stand; 0 for a value that was never issued. */
  readonly until: number;
  /** What a call that carries it would be answered; 0 when it is accepted. */
  readonly errcode: number;
  readonly kind: CredentialKind | 'unknown';
  /** Appid or corpid, empty for an unknown value. */
  readonly appid: string;
  readonly agentid?: number;
  /** Whether it is the last one issued of its kind to its holder. */
  readonly current: boolean;
  readonly issuedAt: number;
}

/** One line of the call log. It holds no secret, token or ticket. */
export interface LoggedCall {
  readonly at: number;
  readonly service: Service;
  readonly method: string;
  readonly path: string;
  /** Appid or corpid, empty where the request named none that could be read. */
  readonly appid: string;
  readonly ip: string;
  readonly host: string;
  /** Whether it asked the stable endpoint to force a refresh. */
  readonly forced: boolean;
  readonly status: number;
  /** What the answer said; `null` where there was no answer or no JSON of WeChat's. */
  readonly errcode: number | null;
  /** What was posted along with an access token. */
  readonly received?: Received;
  /** The kind of fault that struck it. */
  readonly fault?: Effect['kind'] | 'outage';
}

/** What can be switched for the whole world; `logged` is the number of calls that are kept. */
export interface WorldSwitches extends WechatSwitches, WecomSwitches {
  readonly logged: number;
}

/** The switches of the world as WeChat and WeCom are believed to have them, save that http will do. */
export const worldDefaults: WorldSwitches = { ...wechatDefaults, wrongSecretsPerHour: 2000, logged: 10_000 };

/** How a signature was made, for `World.verifySignature`. */
export type SignatureClaim =
  | {
      readonly appid: string;
      readonly ticketType?: 'jsapi' | 'agent_config';
      readonly noncestr: string;
      readonly timestamp: string | number;
      readonly url: string;
      readonly signature: string;
    }
  | {
      readonly appid: string;
      readonly ticketType: '2';
      readonly noncestr: string;
      readonly timestamp: string | number;
      readonly signature: string;
    }
  /** `values` are the signed values apart from the ticket. */
  | {
      readonly appid: string;
      readonly ticketType: 'wx_card';
      readonly values: readonly string[];
      readonly signature: string;
    };

/** An appid account to add: what it is, and the switches that differ from `accountDefaults`. */
export type NewAccount = Pick<AccountSettings, 'appid' | 'secret' | 'kind'> & Partial<AccountSwitches>;

/** A corp to add: what it is, and the switches that differ from `corpDefaults`. */
export type NewCorp = Pick<CorpSettings, 'corpid' | 'agents'> & Partial<CorpSwitches>;

const credentialsRemembered = 100_000;

/**
 * WeChat and WeCom as a model: requests in, answers out, at once, without I/O, timers or chance. The clock is the only thing that
 * makes time pass, and one seed always yields the same tokens.
 */
export class World {
  readonly clock: Clock;
  readonly faults = new Faults();
  readonly media: MediaShelf;
  #switches: WorldSwitches;
  readonly #dice: Dice;
  readonly #ledger = new Ledger(credentialsRemembered);
  readonly #wechat: Wechat;
  readonly #wecom: Wecom;
  readonly #hostsDown = new Set<string>();
  readonly #calls: LoggedCall[] = [];
  readonly #counts = new Map<string, number>();

  constructor(settings: { readonly clock: Clock; readonly seed?: number } & Partial<WorldSwitches>) {
    const { clock, seed, ...switches } = settings;
    this.clock = clock;
    this.#switches = { ...worldDefaults, ...switches };
    this.#dice = new Dice(seed ?? 1);
    this.media = new MediaShelf(this.#dice);
    this.#wechat = new Wechat(this.#ledger, this.#dice, this.media, () => this.#switches);
    this.#wecom = new Wecom(this.#ledger, this.#dice, this.media, () => this.#switches);
  }

  get switches(): WorldSwitches {
    return this.#switches;
  }

  reconfigure(patch: Partial<WorldSwitches>): void {
    this.#switches = { ...this.#switches, ...patch };
  }

  /** Adds an official account or mini program, in the place of one with the same appid. */
  account(settings: NewAccount): Account {
    const callsPerDay = { ...accountDefaults.callsPerDay, ...settings.callsPerDay };
    const account = new Account({ ...accountDefaults, ...settings, callsPerDay }, this.#surroundings);
    this.#wechat.add(account);
    return account;
  }

  /** Adds a WeCom corp, in the place of one with the same corpid. */
  corp(settings: NewCorp): Corp {
    const corp = new Corp({ ...corpDefaults, ...settings }, this.#surroundings);
    this.#wecom.add(corp);
    return corp;
  }

  /** The account or corp of that id, for reconfiguring it later. */
  find(id: string): Account | Corp | undefined {
    return this.#wechat.account(id) ?? this.#wecom.corp(id);
  }

  answer(request: Request): Answer {
    const inquiry = new Inquiry(request, this.clock.now());
    const service = this.#serviceOf(inquiry);
    const side = service === 'wecom' ? this.#wecom : this.#wechat;
    const appid = side.subject(inquiry);
    if (this.#hostsDown.has(inquiry.host)) {
      const answer: Answer = { ...bareAnswer(0), transport: { kind: 'reset', executed: false } };
      this.#log(inquiry, service, appid, answer, 'outage');
      return answer;
    }
    const fault = this.faults.strike(inquiry.path, appid, inquiry.host);
    const execute = () => this.#labelled(side.answer(inquiry));
    const answer = fault
      ? spoil(fault, execute, (errcode, errmsg) => side.refuse(inquiry, new Refusal(errcode, errmsg)))
      : execute();
    this.#log(inquiry, service, appid, answer, fault?.kind);
    return answer;
  }

  /** Takes a host name off the net or brings it back, to see a client change over to another alias. */
  outage(host: string, down: boolean): void {
    if (down) this.#hostsDown.add(host.toLowerCase());
    else this.#hostsDown.delete(host.toLowerCase());
  }

  /** Whether an access token or ticket is accepted right now, and until when. */
  verdict(value: string): Verdict {
    const now = this.clock.now();
    const credential = this.#ledger.find(value);
    if (!credential) {
      return { accepted: false, until: 0, errcode: 40001, kind: 'unknown', appid: '', current: false, issuedAt: 0 };
    }
    const { holder, endsAt, current, issuedAt } = credential;
    return {
      accepted: credential.accepted(now),
      until: endsAt,
      errcode: credential.errcode(now),
      ...holder,
      current,
      issuedAt,
    };
  }

  /**
   * Lets a token or ticket die at once. With `issuerUnaware` the stable endpoint and WeCom go on handing it out, so that only a forced
   * refresh helps. Tells whether there was such a value.
   */
  kill(value: string, errcode = 40001, { issuerUnaware = false } = {}): boolean {
    const credential = this.#ledger.find(value);
    if (!credential) return false;
    this.#end(credential, errcode, issuerUnaware);
    return true;
  }

  /** Lets all access tokens of an account or corp die at once, or all its credentials of one kind; returns how many. */
  killAll(appid: string, errcode = 40001, kind?: CredentialKind): number {
    const doomed = this.#ledger
      .accepted(appid, this.clock.now())
      .filter(({ holder }) => (kind === undefined ? !isTicket(holder.kind) : kind === holder.kind));
    for (const credential of doomed) this.#end(credential, errcode, false);
    return doomed.length;
  }

  /** Somebody beside the hub asks the classic endpoint for a token, which supersedes the hub's; returns theirs. */
  mintElsewhere(appid: string): string {
    const account = this.#wechat.account(appid);
    if (!account) throw new Error(`no account ${appid}`);
    account.count('/cgi-bin/token');
    return account.mintClassic().value;
  }

  /** How many credentials were issued to an account or corp, by whichever way, of one kind or of all. */
  mints(appid: string, kind?: CredentialKind): number {
    return this.#ledger.mints(appid, kind);
  }

  /** The latest calls, oldest first. */
  get calls(): readonly LoggedCall[] {
    return this.#calls.slice(-this.#switches.logged);
  }

  /** How many calls of a path there were, of one account or corp or of all. */
  count(path: string, appid?: string): number {
    return this.#counts.get(appid === undefined ? path : `${path} ${appid}`) ?? 0;
  }

  /** Forgets the calls so far, log and counts. */
  clearCalls(): void {
    this.#calls.length = 0;
    this.#counts.clear();
  }

  /** What a WeChat client does with a page's or card's signature: it compares, and never says what was wrong. */
  verifySignature(claim: SignatureClaim): { readonly ok: true } | { readonly ok: false; readonly error: string } {
    const kind = claim.ticketType ?? 'jsapi';
    const tickets = this.#ledger.accepted(claim.appid, this.clock.now()).filter(({ holder }) => holder.kind === kind);
    const valid = tickets.some(({ value }) => expectedSignature(value, claim) === claim.signature);
    return valid ? { ok: true } : { ok: false, error: 'invalid signature' };
  }

  get #surroundings(): { clock: Clock; dice: Dice; ledger: Ledger } {
    return { clock: this.clock, dice: this.#dice, ledger: this.#ledger };
  }

  #end(credential: Credential, errcode: number, issuerUnaware: boolean): void {
    credential.endBy(this.clock.now(), errcode);
    credential.issuerUnaware = issuerUnaware;
  }

  #serviceOf(inquiry: Inquiry): Service {
    if (inquiry.service) return inquiry.service;
    if (inquiry.host === 'qyapi.weixin.qq.com') return 'wecom';
    if (inquiry.host.endsWith('api.weixin.qq.com') || inquiry.host === 'api2.weixin.qq.com') return 'wechat';
    if (wecomPaths.has(inquiry.path)) return 'wecom';
    return this.#ledger.find(inquiry.param('access_token'))?.holder.kind === 'wecom' ? 'wecom' : 'wechat';
  }

  #labelled(answer: Answer): Answer {
    if (!this.#switches.plainText || answer.errcode === null) return answer;
    return { ...answer, headers: { ...answer.headers, 'content-type': 'text/plain' } };
  }

  #log(inquiry: Inquiry, service: Service, appid: string, answer: Answer, fault: LoggedCall['fault']): void {
    const { now: at, method, path, ip, host } = inquiry;
    const forced = path === '/cgi-bin/stable_token' && inquiry.json['force_refresh'] === true;
    const { status, errcode } = answer;
    const posted = method === 'POST' && inquiry.query.has('access_token');
    this.#calls.push({
      ...{ at, service, method, path, appid, ip, host, forced, status, errcode },
      ...(posted ? { received: inquiry.received } : {}),
      ...(fault === undefined ? {} : { fault }),
    });
    // Cut now and then rather than shift every time, which would cost more than the call.
    if (this.#calls.length > 2 * this.#switches.logged)
      this.#calls.splice(0, this.#calls.length - this.#switches.logged);
    for (const key of [path, `${path} ${appid}`]) this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
  }
}

function expectedSignature(ticket: string, claim: SignatureClaim): string {
  switch (claim.ticketType) {
    case 'wx_card':
      return cardSignature(ticket, claim.values);
    case '2':
      return scanLoginSignature(ticket, claim.appid, claim.noncestr, claim.timestamp);
    default:
      return pageSignature(ticket, claim);
  }
}
