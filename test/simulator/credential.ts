/** The kinds of access token and ticket that the simulator issues; `jsapi` is an account's or a corp's ticket. */
export type CredentialKind = 'classic' | 'stable' | 'wecom' | 'jsapi' | 'wx_card' | '2' | 'agent_config';

/** Whose credential it is and of which kind; `appid` is the corpid in WeCom. */
export interface Holder {
  readonly appid: string;
  readonly agentid?: number;
  readonly kind: CredentialKind;
}

/** Tells tickets, which only a signature can use, from access tokens. */
export function isTicket(kind: CredentialKind): boolean {
  return kind !== 'classic' && kind !== 'stable' && kind !== 'wecom';
}

/** One access token or ticket from its issue to its death; instants are epoch milliseconds. */
export class Credential {
  /** Whether it is the last that was issued to its holder; a killed one remains so until the next is issued. */
  current = true;
  /** Set when it was killed, yet the issuing endpoint does not know and goes on handing it out. */
  issuerUnaware = false;
  #endsAt: number;
  #deathCode: number;

  /**
   * @param announcedUntil the end of the life that WeChat announced
   * @param endsAt the end of its real life, which WeCom may stretch or cut short
   * @param expiredCode what a call that carries it is answered once it has aged out
   */
  constructor(
    readonly value: string,
    readonly holder: Holder,
    readonly issuedAt: number,
    readonly announcedUntil: number,
    endsAt: number,
    expiredCode: number,
  ) {
    this.#endsAt = endsAt;
    this.#deathCode = expiredCode;
  }

  /** The instant from which it is no longer accepted, as things stand. */
  get endsAt(): number {
    return this.#endsAt;
  }

  accepted(now: number): boolean {
    return now < this.#endsAt;
  }

  /** What a call that carries it is answered now; 0 while it is accepted. */
  errcode(now: number): number {
    return this.accepted(now) ? 0 : this.#deathCode;
  }

  /** Whole seconds of announced life that are left. */
  remaining(now: number): number {
    return Math.max(0, Math.floor((this.announcedUntil - now) / 1000));
  }

  /** Shortens the life, never prolongs it. */
  endBy(instant: number, errcode: number): void {
    if (instant >= this.#endsAt) return;
    this.#endsAt = instant;
    this.#deathCode = errcode;
  }
}

/** Everything that was issued: the truth that verdicts are read from. */
export class Ledger {
  readonly #byValue = new Map<string, Credential>();
  readonly #mints = new Map<string, number>();
  readonly #limit: number;

  /** @param limit how many credentials are remembered; the oldest are forgotten first */
  constructor(limit: number) {
    this.#limit = limit;
  }

  record(credential: Credential): Credential {
    this.#byValue.set(credential.value, credential);
    const [oldest] = this.#byValue.keys();
    if (oldest !== undefined && this.#byValue.size > this.#limit) this.#byValue.delete(oldest);
    const { appid, kind } = credential.holder;
    for (const key of [appid, `${appid} ${kind}`]) this.#mints.set(key, (this.#mints.get(key) ?? 0) + 1);
    return credential;
  }

  find(value: string): Credential | undefined {
    return this.#byValue.get(value);
  }

  /** How many credentials were issued to an account or corp, of one kind or of all. */
  mints(appid: string, kind?: CredentialKind): number {
    return this.#mints.get(kind === undefined ? appid : `${appid} ${kind}`) ?? 0;
  }

  /** The credentials of an account or corp that are accepted now. */
  accepted(appid: string, now: number): Credential[] {
    return [...this.#byValue.values()].filter(({ holder }) => holder.appid === appid).filter((it) => it.accepted(now));
  }
}
