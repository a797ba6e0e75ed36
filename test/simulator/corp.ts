import type { Surroundings } from './account.js';
import { Credential, type CredentialKind } from './credential.js';
import { Delayed, Throttle } from './quota.js';

/** An application of a corp, or another holder of a secret of its own. */
export interface AgentSettings {
  readonly agentid: number;
  readonly secret: string;
  /** `contacts` is the secret of contact synchronisation, whose token is not for applications' calls (48002). */
  readonly purpose?: 'app' | 'contacts';
  /** Whether the administrator has switched the application off. */
  readonly disabled?: boolean;
}

/** The behaviour of a corp that may differ or that nobody outside WeCom knows for sure. Durations are in seconds. */
export interface CorpSwitches {
  readonly life: number;
  /** How long a token really outlives what was announced, up to 7200 by what is told; negative for one that dies early. */
  readonly afterlife: number;
  /** `gettoken` issues another token when no more than this is left. */
  readonly rotationWindow: number;
  /** Whether `expires_in` of a token is what is left or always the full life. */
  readonly expiresIn: 'remaining' | 'full';
  /** What a token that has aged out is answered. */
  readonly expiredCode: number;
  readonly ticketLife: number;
  readonly ticketExpiresIn: 'full' | 'remaining';
  /** Addresses that may call the business APIs; `null` where anybody may. */
  readonly trustedIps: readonly string[] | null;
  readonly trustedIpDelay: number;
  /** Calls of one API by the corp. */
  readonly callsPerMinute: number;
  readonly callsPerHour: number;
  /** Fetches of one kind of ticket, by the corp and by one application. */
  readonly corpTicketsPerHour: number;
  readonly agentTicketsPerHour: number;
  readonly secretResetKillsTokens: boolean;
}

/** A WeCom corp as it is added to the world. */
export interface CorpSettings extends CorpSwitches {
  readonly corpid: string;
  readonly agents: readonly AgentSettings[];
}

/** The switches as WeCom is believed to have them. */
export const corpDefaults: CorpSwitches = {
  life: 7200,
  afterlife: 0,
  rotationWindow: 0,
  expiresIn: 'remaining',
  expiredCode: 42001,
  ticketLife: 7200,
  ticketExpiresIn: 'full',
  trustedIps: null,
  trustedIpDelay: 60,
  callsPerMinute: 10_000,
  callsPerHour: 150_000,
  corpTicketsPerHour: 400,
  agentTicketsPerHour: 100,
  secretResetKillsTokens: true,
};

/** One WeCom corp: its settings, its limits, and the credentials of its applications. */
export class Corp {
  #settings: CorpSettings;
  readonly #world: Surroundings;
  readonly #trustedIps: Delayed<readonly string[] | null>;
  readonly #throttles = new Map<string, Throttle>();
  readonly #issued = new Map<string, Credential>();

  constructor(settings: CorpSettings, world: Surroundings) {
    this.#settings = settings;
    this.#world = world;
    this.#trustedIps = new Delayed(settings.trustedIps);
  }

  get settings(): CorpSettings {
    return this.#settings;
  }

  /** Edits the corp as its administrator or WeCom would; `agents` replaces the whole list, and a new secret voids the old token. */
  reconfigure(patch: Partial<Omit<CorpSettings, 'corpid'>>): void {
    const now = this.#now;
    const before = this.#settings;
    this.#settings = { ...before, ...patch };
    if (patch.trustedIps !== undefined) this.#trustedIps.set(patch.trustedIps, now, this.#settings.trustedIpDelay);
    for (const { agentid, secret } of before.agents) {
      if (this.agent(agentid)?.secret === secret || !this.#settings.secretResetKillsTokens) continue;
      this.#issued.get(`wecom ${agentid}`)?.endBy(now, 40014);
    }
  }

  agent(agentid: number | undefined): AgentSettings | undefined {
    return this.#settings.agents.find((agent) => agent.agentid === agentid);
  }

  agentOf(secret: string): AgentSettings | undefined {
    return this.#settings.agents.find((agent) => agent.secret === secret);
  }

  /** The addresses that are trusted now, or `null` where all are. */
  get trustedIps(): readonly string[] | null {
    return this.#trustedIps.at(this.#now);
  }

  /** Takes a call of one API and tells whether the corp's frequency limits allow it. */
  admitsCall(path: string): boolean {
    const { callsPerMinute, callsPerHour } = this.#settings;
    const withinHour = this.#throttle(`calls/hour ${path}`, 'hour').take(this.#now, callsPerHour);
    return withinHour && this.#throttle(`calls/minute ${path}`, 'minute').take(this.#now, callsPerMinute);
  }

  /** Takes a fetch of a ticket and tells whether the corp's and the application's limits allow it. */
  admitsTicket(path: string, agentid: number): boolean {
    const { corpTicketsPerHour, agentTicketsPerHour } = this.#settings;
    const ofCorp = this.#throttle(`tickets/hour ${path}`, 'hour').take(this.#now, corpTicketsPerHour);
    return ofCorp && this.#throttle(`tickets/hour ${path} ${agentid}`, 'hour').take(this.#now, agentTicketsPerHour);
  }

  /** The token of an application: the same for as long as the announced life lasts. */
  token(agentid: number): Credential {
    const { life, afterlife, rotationWindow, expiredCode } = this.#settings;
    const length = 214;
    return this.#current('wecom', agentid, rotationWindow, () => ({ life, afterlife, expiredCode, length }));
  }

  /** The corp's ticket, whichever application asks, or the one of an application. */
  ticket(kind: 'jsapi' | 'agent_config', agentid: number): Credential {
    const holder = kind === 'jsapi' ? undefined : agentid;
    return this.#current(kind, holder, 0, () => ({
      life: this.#settings.ticketLife,
      afterlife: 0,
      expiredCode: this.#settings.expiredCode,
      length: 86,
    }));
  }

  get #now(): number {
    return this.#world.clock.now();
  }

  #throttle(name: string, length: 'minute' | 'hour'): Throttle {
    let throttle = this.#throttles.get(name);
    if (!throttle) {
      throttle = new Throttle(length);
      this.#throttles.set(name, throttle);
    }
    return throttle;
  }

  #current(
    kind: CredentialKind,
    agentid: number | undefined,
    rotationWindow: number,
    terms: () => { life: number; afterlife: number; expiredCode: number; length: number },
  ): Credential {
    const now = this.#now;
    const key = `${kind} ${agentid ?? ''}`;
    const before = this.#issued.get(key);
    const usable = before !== undefined && (before.accepted(now) || before.issuerUnaware);
    if (usable && before.announcedUntil - now > rotationWindow * 1000) return before;

    const { life, afterlife, expiredCode, length } = terms();
    const holder = { appid: this.#settings.corpid, kind, ...(agentid === undefined ? {} : { agentid }) };
    const announcedUntil = now + life * 1000;
    const endsAt = announcedUntil + afterlife * 1000;
    const value = this.#world.dice.urlSafe(length);
    const next = new Credential(value, holder, now, announcedUntil, endsAt, expiredCode);
    if (before) before.current = false;
    this.#issued.set(key, next);
    return this.#world.ledger.record(next);
  }
}
