import { randomBytes } from 'node:crypto';
import type { Secret } from '../config/secret.js';
import type { Account, App, Minted, Need, Recipe } from '../wechat/platforms/platform.js';
import { jssdkSignature } from '../wechat/jssdk.js';
import type { Wechat, WechatAnswer, WechatCall } from '../wechat/wechat.client.js';
import type { Dialect } from '../wechat/wechat.error.js';
import { Budget, type BudgetLimits } from './allowance.js';
import type { AppEvent, Circumstances, Host, Outside, Renewable, SourceEvent, Verdict } from './outside.js';
import type { Credential } from './policy.js';
import { Source } from './source.js';
import { NOTHING_STORED, type Stored } from './store/store.js';
import { Closed, NotReplaced, Unavailable, Undecided } from './unavailable.js';

/** Which value a client says that WeChat refused. */
export type Reported = { readonly token: string } | { readonly version: number };

/** What `wx.config` wants for a page. */
export interface JssdkConfig {
  readonly appId: string;
  readonly timestamp: number;
  readonly nonceStr: string;
  readonly signature: string;
}

/** An app is asked at most this often whether its token is alive, whoever reports it dead. */
const PROBE_APART_MS = 10_000;
/** Reports come in crowds: a moment's patience lets a crowd share one question. */
const CROWD_MS = 250;

/** What the apps of a hub have in common. */
export interface Common extends Outside {
  readonly wechat: Wechat;
  /** What clients may spend on their word alone, for each app. */
  readonly rotations: BudgetLimits;
  tell(event: AppEvent): void;
  /** Told that an app may want to be woken at another time than before. */
  plan(app: Renewable): void;
}

/** Under which name the store keeps what is left of the rotations, among the names of an app. */
const ROTATIONS = 'rotations';
/** What an app has that nobody asked for a ticket. */
const NO_TICKETS: readonly Source[] = [];

/**
 * One configured app with all that is kept for it. There may be a hundred thousand of them, so what few will ever need is
 * made when it is needed: a ticket that was never asked for, or a budget of which nothing was spent, is not there.
 */
export class HostedApp implements Renewable, Host {
  readonly accessToken: Source;
  private tickets = NO_TICKETS;
  private budget: Budget | undefined;
  readonly startedAt: number;
  /** Whether it begins nothing new. */
  isClosed = false;
  /** There while a question waits for its turn. */
  private patience: AbortController | undefined;
  private probing: Promise<boolean> | undefined;
  private probedAt: number | undefined;

  /** @param name by which the configuration calls it; its credentials go by its identity, which stays. */
  constructor(
    public name: string,
    private app: App,
    private readonly common: Common,
  ) {
    this.startedAt = common.now();
    this.accessToken = new Source(app.served.accessToken, this, common);
  }

  /** How many calls a day WeChat allows, by the path of its API, as far as that is known. */
  get quotas(): Readonly<Record<string, number>> {
    return this.app.quotas;
  }

  get platform(): string {
    return this.app.platform;
  }

  get appid(): string {
    return this.app.appid;
  }

  /** Which of the two APIs is its. */
  get dialect(): Dialect {
    return this.app.dialect;
  }

  /** What it shows WeChat to be given a token. */
  get secret(): Secret {
    return this.app.secret;
  }

  get identity(): string {
    return this.app.identity;
  }

  get account(): Account {
    return this.app;
  }

  get ticketTypes(): string[] {
    return Object.keys(this.app.served.tickets);
  }

  /** The ticket of a type, if the app has such. */
  ticket(type: string): Source | undefined {
    const { tickets } = this.app.served;
    const recipe = Object.hasOwn(tickets, type) ? tickets[type] : undefined;
    return recipe && this.kept(recipe);
  }

  /** The credentials that there are: those that somebody asked for, or that the store has, and the access token. */
  get sources(): readonly Source[] {
    return [this.accessToken, ...this.tickets];
  }

  /** What clients may spend on their word alone. */
  get rotations(): Budget {
    return (this.budget ??= new Budget(this.nameOf(ROTATIONS), this.common.rotations, this.common));
  }

  /** How many rotations clients may ask for right now. */
  get rotationsLeft(): number {
    return this.budget?.left ?? this.common.rotations.burst;
  }

  /** What the store may have of it, in the words of {@link nameOf}. */
  get parts(): string[] {
    return [ROTATIONS, ...recipesOf(this.app).map(({ kind }) => kind)];
  }

  /** The revision of a part that this hub goes by. */
  revisionOf(part: string): number {
    return this.listener(part)?.revision ?? NOTHING_STORED.revision;
  }

  /** Hears what the store has of a part. */
  hear(part: string, stored: Stored, seen?: number): void {
    // Of what nobody has asked for, here or elsewhere, there is nothing to hear.
    const listener = stored.revision > 0 ? this.made(part) : this.listener(part);
    listener?.hear(stored, seen);
  }

  /** The credential of a kind, if it is there. */
  source(kind: string): Source | undefined {
    return this.sources.find((source) => source.kind === kind);
  }

  nameOf(part: string): string {
    return `${this.identity}/${part}`;
  }

  mint(recipe: Recipe, need: Need): Promise<Minted> {
    return recipe.mint(this.app, { wechat: this.asked, accessToken: this.accessToken }, need);
  }

  tell(kind: string, event: SourceEvent): void {
    this.common.tell({ ...event, app: this.name, kind });
  }

  plan(): void {
    this.common.plan(this);
  }

  /** When the first of its credentials wants to be woken. */
  get wakeAt(): number | undefined {
    let first = this.accessToken.wakeAt;
    for (const { wakeAt } of this.tickets) if (wakeAt !== undefined && wakeAt < (first ?? Infinity)) first = wakeAt;
    return first;
  }

  /** When it will be too late for the most urgent of those that are due. */
  get deadline(): number {
    return this.mostUrgent?.deadline ?? Infinity;
  }

  /** Does what is most urgent of what is due. */
  async wake(): Promise<void> {
    await this.mostUrgent?.wake();
  }

  /** Takes over a new configuration of the same account; what is kept stays. */
  adopt(app: App, name: string): void {
    this.app = app;
    this.name = name;
    for (const source of this.sources) source.adopt();
  }

  /**
   * Replaces a value on a client's word, if it is still the current one.
   * @throws AllowanceSpent when the app has used up its rotations, NotReplaced when WeChat gives no other value,
   *   Unavailable when the present one will not do either.
   */
  async rotate(source: Source, refused: string): Promise<Credential> {
    try {
      return await source.replace(refused, () => this.rotations.take());
    } catch (error) {
      if (error instanceof Unavailable && source.status.usable) throw new NotReplaced(error.cause, error.retryAt);
      throw error;
    }
  }

  /**
   * Hears that WeChat refused an access token, and replaces it if WeChat, asked by the hub, says so too.
   * @throws Undecided when WeChat's answer leaves that open, Unavailable when it gives no other value.
   */
  async report(
    reported: Reported,
    circumstances: Circumstances,
  ): Promise<{ verdict: Verdict; credential: Credential }> {
    const tell = (verdict: Verdict): void => {
      this.common.tell({ event: 'reported', app: this.name, verdict, ...circumstances });
    };
    try {
      const decided = await this.decide(reported);
      tell(decided.verdict);
      return decided;
    } catch (error) {
      if (error instanceof Undecided) tell('undecided');
      throw error;
    }
  }

  private async decide(reported: Reported): Promise<{ verdict: Verdict; credential: Credential }> {
    const source = this.accessToken;
    const credential = await source.get();
    if (!isReported(credential, reported)) return { verdict: 'superseded', credential };
    this.probing ??= this.probe().finally(() => (this.probing = undefined));
    const alive = await this.probing;
    const present = await source.get();
    if (present.version === credential.version) return { verdict: 'alive', credential: present };
    return { verdict: alive ? 'superseded' : 'replaced', credential: present };
  }

  /** Signs a page for the JS-SDK; the fragment of its address is left out. */
  async signPage(address: string): Promise<JssdkConfig> {
    const ticket = this.ticket('jsapi');
    if (!ticket) throw new Error(`the platform ${this.platform} has no ticket for the JS-SDK`);
    const { value } = await ticket.get();
    const nonceStr = randomBytes(8).toString('hex');
    const timestamp = Math.floor(Date.now() / 1000);
    const page = address.replace(/#.*$/s, '');
    return { appId: this.appid, timestamp, nonceStr, signature: jssdkSignature(value, nonceStr, timestamp, page) };
  }

  /** Begins nothing new, and ends when what is under way has ended. */
  async close(): Promise<void> {
    this.isClosed = true;
    this.patience?.abort();
    await Promise.all(this.sources.map((source) => source.close()));
  }

  private get mostUrgent(): Source | undefined {
    const now = this.common.now();
    let urgent: Source | undefined;
    for (const source of this.sources) {
      const isDue = source.wakeAt !== undefined && source.wakeAt <= now;
      if (isDue && source.deadline < (urgent?.deadline ?? Infinity)) urgent = source;
    }
    return urgent;
  }

  private listener(part: string): Source | Budget | undefined {
    return part === ROTATIONS ? this.budget : this.source(part);
  }

  private made(part: string): Source | Budget | undefined {
    if (part === ROTATIONS) return this.rotations;
    const recipe = recipesOf(this.app).find(({ kind }) => kind === part);
    return recipe && this.kept(recipe);
  }

  private kept(recipe: Recipe): Source {
    const known = this.source(recipe.kind);
    if (known) return known;
    const source = new Source(recipe, this, this.common);
    this.tickets = this.tickets.concat(source);
    return source;
  }

  /** The way to WeChat for recipes. */
  private get asked(): Wechat {
    return { call: (dialect, call) => this.ask(dialect, call) };
  }

  private async ask(dialect: Dialect, call: WechatCall): Promise<WechatAnswer> {
    const asked = { event: 'asked-wechat', app: this.name, api: call.path } as const;
    try {
      const answer = await this.common.wechat.call(dialect, call);
      this.common.tell(asked);
      return answer;
    } catch (error) {
      this.common.tell({ ...asked, error });
      throw error;
    }
  }

  /** Asks about the token that is current when its turn has come, for all who wait by then. */
  private async probe(): Promise<boolean> {
    const wait = Math.max(CROWD_MS, (this.probedAt ?? -Infinity) + PROBE_APART_MS - this.common.now());
    this.patience = new AbortController();
    if (!this.isClosed) await this.common.sleep(wait, this.patience.signal);
    this.patience = undefined;
    if (this.isClosed) throw new Closed();
    const probedAt = this.common.now();
    this.probedAt = probedAt;
    const { value } = await this.accessToken.get();
    let alive: boolean;
    try {
      alive = await this.app.served.isAlive(value, this.asked);
    } catch (error) {
      throw new Undecided(error, probedAt + PROBE_APART_MS);
    }
    if (!alive) await this.accessToken.condemn(value);
    return alive;
  }
}

function recipesOf({ served }: App): Recipe[] {
  return [served.accessToken, ...Object.values(served.tickets)];
}

function isReported(credential: Credential, reported: Reported): boolean {
  return 'token' in reported ? reported.token === credential.value : reported.version === credential.version;
}
