import { isIPv4 } from 'node:net';
import { Refusal, type Reply } from './answer.js';
import type { Clock } from './clock.js';
import { Credential, type CredentialKind, type Holder, type Ledger } from './credential.js';
import type { Dice } from './dice.js';
import { Counter, daysAt, Delayed, minutes, monthsAt } from './quota.js';

/** What accounts and corps need of the world around them. */
export interface Surroundings {
  readonly clock: Clock;
  readonly dice: Dice;
  readonly ledger: Ledger;
}

/** The behaviour of an account that may differ or that nobody outside WeChat knows for sure. Durations are in seconds. */
export interface AccountSwitches {
  /** Life of an access token. */
  readonly life: number;
  /** How long a superseded token goes on working, at most until its own end. */
  readonly overlap: number;
  /** `all`: each superseded classic token has its overlap; `previous`: only the one before the current. */
  readonly overlapFor: 'all' | 'previous';
  /** The stable endpoint rotates when no more than this is left; `null` stands for 300, but at most a third of the life. */
  readonly rotationWindow: number | null;
  /** How long a forced refresh leaves the token before alive; `null` stands for `overlap`. */
  readonly forceOverlap: number | null;
  /** A forced refresh sooner after the last one changes nothing. */
  readonly forceSpacing: number;
  readonly forcedPerDay: number;
  readonly stablePerMinute: number;
  /** Daily quotas by path; a path without one is unlimited. */
  readonly callsPerDay: Readonly<Record<string, number>>;
  readonly clearsPerMonth: number;
  /** Whether calls that are refused use up quota too. */
  readonly refusedCallsCount: boolean;
  /** The hour's offset from Greenwich at whose midnight the daily quotas are renewed. */
  readonly quotaUtcOffset: number;
  /** What a token that has aged out is answered: 42001, 40014 or 40001. */
  readonly expiredCode: number;
  readonly ticketLife: number;
  /** A ticket with no more than this left is replaced by a new one. */
  readonly ticketRotationWindow: number;
  /** Whether `expires_in` of a ticket is always the full life or what is left of it. */
  readonly ticketExpiresIn: 'full' | 'remaining';
  /** What an unknown ticket type is answered. */
  readonly badTicketTypeCode: number;
  /** Addresses, CIDR ranges or patterns like `10.0.0.*`; `null` when the account keeps no whitelist. */
  readonly whitelist: readonly string[] | null;
  readonly whitelistDelay: number;
  /** Whether an address that spends the AppSecret must first be confirmed by the administrator. */
  readonly confirmsAddresses: boolean;
  readonly frozen: boolean;
  readonly freezeDelay: number;
  /** 50004 forbids the token endpoints, 50007 stands for a frozen account; `null` is normal. */
  readonly banCode: number | null;
  readonly secretResetKillsTokens: boolean;
}

/** An official account or a mini program as it is added to the world. */
export interface AccountSettings extends AccountSwitches {
  readonly appid: string;
  readonly secret: string;
  readonly kind: 'official-account' | 'mini-program';
}

/** The switches as WeChat is believed to have them. */
export const accountDefaults: AccountSwitches = {
  life: 7200,
  overlap: 300,
  overlapFor: 'all',
  rotationWindow: null,
  forceOverlap: null,
  forceSpacing: 30,
  forcedPerDay: 20,
  stablePerMinute: 10_000,
  callsPerDay: {
    '/cgi-bin/token': 2000,
    '/cgi-bin/stable_token': 500_000,
    '/cgi-bin/ticket/getticket': 2000,
  },
  clearsPerMonth: 10,
  refusedCallsCount: false,
  quotaUtcOffset: 8,
  expiredCode: 42001,
  ticketLife: 7200,
  ticketRotationWindow: 0,
  ticketExpiresIn: 'full',
  badTicketTypeCode: 40097,
  whitelist: null,
  whitelistDelay: 0,
  confirmsAddresses: false,
  frozen: false,
  freezeDelay: 600,
  banCode: null,
  secretResetKillsTokens: false,
};

/** The ticket types of `getticket`. */
export type TicketType = Extract<CredentialKind, 'jsapi' | 'wx_card' | '2'>;

/** Tells whether a text is a ticket type of `getticket`. */
export function isTicketType(type: string): type is TicketType {
  return type === 'jsapi' || type === 'wx_card' || type === '2';
}

/** How far the administrator has got with an address that wants to spend the AppSecret. */
interface Confirmation {
  readonly approved: boolean;
  readonly refusals: number;
  readonly refusedUntil: number;
}

/** One official account or mini program: its settings, its quotas, and the credentials it has been issued. */
export class Account {
  #settings: AccountSettings;
  readonly #world: Surroundings;
  readonly #whitelist: Delayed<readonly string[] | null>;
  readonly #frozen: Delayed<boolean>;
  readonly #confirmations = new Map<string, Confirmation>();
  readonly #calls = new Map<string, Counter>();
  readonly #forced: Counter;
  readonly #stableCalls = new Counter(minutes);
  readonly #clears: Counter;
  /** By kind, the last credential issued and the one before. */
  readonly #issued = new Map<
    CredentialKind,
    { readonly current: Credential; readonly previous: Credential | undefined }
  >();
  #lastForcedAt = Number.NEGATIVE_INFINITY;

  constructor(settings: AccountSettings, world: Surroundings) {
    this.#settings = settings;
    this.#world = world;
    this.#whitelist = new Delayed(settings.whitelist);
    this.#frozen = new Delayed(settings.frozen);
    this.#forced = new Counter((now) => this.#day(now));
    this.#clears = new Counter((now) => monthsAt(this.#settings.quotaUtcOffset)(now));
  }

  get settings(): AccountSettings {
    return this.#settings;
  }

  /**
   * Edits the account as its administrator or WeChat would: a new secret counts at once, whitelist and freeze after their delays;
   * daily quotas are added to those there are.
   */
  reconfigure(patch: Partial<Omit<AccountSettings, 'appid'>>): void {
    const now = this.#now;
    const before = this.#settings;
    this.#settings = { ...before, ...patch, callsPerDay: { ...before.callsPerDay, ...patch.callsPerDay } };
    if (patch.whitelist !== undefined) this.#whitelist.set(patch.whitelist, now, this.#settings.whitelistDelay);
    if (patch.frozen !== undefined) this.#frozen.set(patch.frozen, now, this.#settings.freezeDelay);
    if (this.#settings.secret !== before.secret && this.#settings.secretResetKillsTokens) {
      for (const kind of ['classic', 'stable'] as const) {
        const line = this.#issued.get(kind);
        line?.current.endBy(now, 40001);
        line?.previous?.endBy(now, 40001);
      }
    }
  }

  /** The administrator's answer to the question whether an address may spend the AppSecret. */
  confirmAddress(ip: string, approved: boolean): void {
    const refusals = (this.#confirmations.get(ip)?.refusals ?? 0) + (approved ? 0 : 1);
    const hours = refusals >= 2 ? 24 : 1;
    this.#confirmations.set(ip, { approved, refusals, refusedUntil: approved ? 0 : this.#now + hours * 3_600_000 });
  }

  /** Why the secret may not be spent from this address, judged after the request itself was found in order. */
  secretRefusal(ip: string): Refusal | undefined {
    if (this.#frozen.at(this.#now)) return new Refusal(40243);
    if (this.#settings.banCode !== null) return new Refusal(this.#settings.banCode);
    return this.addressRefusal(ip) ?? this.#confirmationRefusal(ip);
  }

  /** Why this address may not call at all. */
  addressRefusal(ip: string): Refusal | undefined {
    const whitelist = this.#whitelist.at(this.#now);
    if (whitelist === null || whitelist.some((entry) => covers(entry, ip))) return undefined;
    return new Refusal(40164);
  }

  #confirmationRefusal(ip: string): Refusal | undefined {
    if (!this.#settings.confirmsAddresses) return undefined;
    const confirmation = this.#confirmations.get(ip);
    if (confirmation?.approved === true) return undefined;
    if (confirmation && this.#now < confirmation.refusedUntil) {
      return new Refusal(confirmation.refusals >= 2 ? 89506 : 89507);
    }
    return new Refusal(89503);
  }

  /** Takes one call out of the daily quota of a path. */
  spend(path: string): Refusal | undefined {
    const limit = this.#settings.callsPerDay[path];
    if (limit !== undefined && this.used(path) >= limit) return new Refusal(45009);
    this.count(path);
    return undefined;
  }

  /** Counts a call without asking for the limit. */
  count(path: string): void {
    let counter = this.#calls.get(path);
    if (!counter) {
      counter = new Counter((now) => this.#day(now));
      this.#calls.set(path, counter);
    }
    counter.add(this.#now);
  }

  /** How many calls of a path count for today. */
  used(path: string): number {
    return this.#calls.get(path)?.used(this.#now) ?? 0;
  }

  /** Renews the daily quotas, of one path or of all, out of the allowance of clears. */
  clearQuota(path?: string): Refusal | undefined {
    const now = this.#now;
    if (this.#clears.used(now) >= this.#settings.clearsPerMonth) return new Refusal(48006);
    this.#clears.add(now);
    for (const [counted, counter] of this.#calls) if (path === undefined || path === counted) counter.clear();
    if (path === undefined || path === '/cgi-bin/stable_token') this.#forced.clear();
    return undefined;
  }

  /** The classic endpoint: every call issues a new token, which supersedes the one before. */
  mintClassic(): Credential {
    const line = this.#issued.get('classic');
    const now = this.#now;
    line?.current.endBy(now + this.#settings.overlap * 1000, 40001);
    if (this.#settings.overlapFor === 'previous') line?.previous?.endBy(now, 40001);
    return this.#issue('classic', this.#settings.life);
  }

  /** The stable endpoint: the same token until little is left of it, or until a refresh is forced. */
  stableToken(force: boolean): Credential | Refusal {
    const now = this.#now;
    const { stablePerMinute, forceSpacing, forcedPerDay, forceOverlap, overlap } = this.#settings;
    if (this.#stableCalls.used(now) >= stablePerMinute) return new Refusal(45011);
    this.#stableCalls.add(now);

    const line = this.#issued.get('stable');
    const usable = line && (line.current.accepted(now) || line.current.issuerUnaware) ? line.current : undefined;
    if (force) {
      if (usable && now - this.#lastForcedAt < forceSpacing * 1000) return usable;
      if (this.#forced.used(now) >= forcedPerDay) return new Refusal(45009);
      this.#forced.add(now);
      this.#lastForcedAt = now;
      usable?.endBy(now + (forceOverlap ?? overlap) * 1000, 40001);
    } else if (usable && usable.announcedUntil - now > this.#rotationWindow * 1000) {
      return usable;
    }
    // Only the newest two are ever accepted, which is why a leaked token is driven out by forcing twice.
    line?.previous?.endBy(now, 40001);
    return this.#issue('stable', this.#settings.life);
  }

  /** The ticket of a type: the same for whatever token asks, until its life ends. */
  ticket(type: TicketType): Credential {
    const current = this.#issued.get(type)?.current;
    const left = current?.accepted(this.#now) === true ? current.announcedUntil - this.#now : 0;
    if (current && left > this.#settings.ticketRotationWindow * 1000) return current;
    return this.#issue(type, this.#settings.ticketLife);
  }

  /** The reply that hands out a ticket. */
  ticketReply(ticket: Credential): Reply {
    const { ticketExpiresIn, ticketLife } = this.#settings;
    const expiresIn = ticketExpiresIn === 'full' ? ticketLife : ticket.remaining(this.#now);
    return { errcode: 0, errmsg: 'ok', ticket: ticket.value, expires_in: expiresIn };
  }

  get #now(): number {
    return this.#world.clock.now();
  }

  get #rotationWindow(): number {
    const { rotationWindow, life } = this.#settings;
    return rotationWindow ?? Math.min(300, life / 3);
  }

  #day(now: number): number {
    return daysAt(this.#settings.quotaUtcOffset)(now);
  }

  #issue(kind: CredentialKind, life: number): Credential {
    const { dice, ledger } = this.#world;
    const now = this.#now;
    const value =
      kind === 'classic' || kind === 'stable'
        ? `${dice.between(10, 99)}_${dice.urlSafe(dice.between(130, 155))}`
        : dice.urlSafe(86);
    const holder: Holder = { appid: this.#settings.appid, kind };
    const end = now + life * 1000;
    const current = ledger.record(new Credential(value, holder, now, end, end, this.#settings.expiredCode));
    const before = this.#issued.get(kind)?.current;
    if (before) before.current = false;
    this.#issued.set(kind, { current, previous: before });
    return current;
  }
}

/** Tells whether a whitelist entry (an address, `a.b.c.d/n` or a pattern with `*`) covers an address. */
export function covers(entry: string, ip: string): boolean {
  if (entry === ip) return true;
  if (entry.includes('*')) {
    const parts = ip.split('.');
    return isIPv4(ip) && entry.split('.').every((part, position) => part === '*' || part === parts[position]);
  }
  const [network = '', length = ''] = entry.split('/');
  if (length === '' || !isIPv4(network) || !isIPv4(ip)) return false;
  const shift = 2 ** (32 - Number(length));
  return Math.floor(bits(network) / shift) === Math.floor(bits(ip) / shift);
}

function bits(ipv4: string): number {
  return ipv4.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}
