import { randomBytes } from 'node:crypto';
import type { Secret } from '../config/secret.js';
import type { App, Kept, Mint, Nature, Served } from '../wechat/platforms/platform.js';
import { jssdkSignature } from '../wechat/jssdk.js';
import type { Wechat, WechatAnswer, WechatCall } from '../wechat/wechat.client.js';
import type { Dialect } from '../wechat/wechat.error.js';
import { Budget, type BudgetLimits } from './allowance.js';
import type { AppEvent, Circumstances, Outside, Renewable, SourceEvent, Verdict } from './outside.js';
import type { Credential } from './policy.js';
import { Source } from './source.js';
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

/** The world as one credential of an app sees it. There are hundreds of thousands of these, so what they have in common is the app's. */
class OutsideOf implements Outside {
  constructor(
    private readonly app: HostedApp,
    private readonly kind: string,
    private readonly ofApp: Outside<AppEvent, Renewable>,
  ) {}

  get replica(): string {
    return this.ofApp.replica;
  }

  get store(): Outside['store'] {
    return this.ofApp.store;
  }

  now(): number {
    return this.ofApp.now();
  }

  random(): number {
    return this.ofApp.random();
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return this.ofApp.sleep(ms, signal);
  }

  tell(event: SourceEvent): void {
    this.ofApp.tell({ ...event, app: this.app.name, kind: this.kind });
  }

  wake(): void {
    this.ofApp.wake(this.app, this.app.wakeAt);
  }
}

/** One configured app with all that is kept for it. */
export class HostedApp implements Renewable {
  private readonly sources = new Map<string, Source>();
  /** What clients may spend on their word alone. */
  readonly rotations: Budget;
  private isClosed = false;
  /** There while a question waits for its turn: one for each app that has none would weigh more than the app. */
  private patience: AbortController | undefined;
  private served: Served<Source>;
  private probing: Promise<boolean> | undefined;
  private probedAt = -Infinity;

  /** @param name by which the configuration calls it; its credentials go by its identity, which stays. */
  constructor(
    public name: string,
    private app: App,
    private readonly wechat: Wechat,
    private readonly outside: Outside<AppEvent, Renewable>,
    rotations: BudgetLimits,
  ) {
    this.rotations = new Budget(`${app.identity}/rotations`, rotations, outside);
    this.served = this.follow(app);
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

  get accessToken(): Source {
    return this.served.accessToken;
  }

  get ticketTypes(): string[] {
    return Object.keys(this.served.tickets);
  }

  /** The ticket of a type, if the app has such. */
  ticket(type: string): Source | undefined {
    return Object.hasOwn(this.served.tickets, type) ? this.served.tickets[type] : undefined;
  }

  /** Everything that the store keeps for the app, by the name under which it does. */
  get listeners(): [name: string, listener: Source | Budget][] {
    return [this.rotations, ...this.sources.values()].map((listener) => [listener.name, listener]);
  }

  /** Every credential that is kept, whether it is served or not, by kind. */
  get kept(): ReadonlyMap<string, Source> {
    return this.sources;
  }

  /** When the first of its credentials wants to be woken. */
  get wakeAt(): number | undefined {
    let first = Infinity;
    for (const { wakeAt = Infinity } of this.sources.values()) first = Math.min(first, wakeAt);
    return first === Infinity ? undefined : first;
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
    this.served = this.follow(app);
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
      this.outside.tell({ event: 'reported', app: this.name, verdict, ...circumstances });
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
    await Promise.all([...this.sources.values()].map((source) => source.close()));
  }

  private get mostUrgent(): Source | undefined {
    const now = this.outside.now();
    let urgent: Source | undefined;
    for (const source of this.sources.values()) {
      const isDue = source.wakeAt !== undefined && source.wakeAt <= now;
      if (isDue && source.deadline < (urgent?.deadline ?? Infinity)) urgent = source;
    }
    return urgent;
  }

  private follow(app: App): Served<Source> {
    const keep = (kind: string, mint: Mint, nature: Nature): Source => {
      const known = this.sources.get(kind);
      if (known) {
        known.adopt(mint);
        return known;
      }
      const source = new Source(`${app.identity}/${kind}`, mint, nature, new OutsideOf(this, kind, this.outside));
      this.sources.set(kind, source);
      return source;
    };
    return app.credentials<Source & Kept>(keep, { call: (dialect, call) => this.ask(dialect, call) });
  }

  private async ask(dialect: Dialect, call: WechatCall): Promise<WechatAnswer> {
    const asked = { event: 'asked-wechat', app: this.name, api: call.path } as const;
    try {
      const answer = await this.wechat.call(dialect, call);
      this.outside.tell(asked);
      return answer;
    } catch (error) {
      this.outside.tell({ ...asked, error });
      throw error;
    }
  }

  /** Asks about the token that is current when its turn has come, for all who wait by then. */
  private async probe(): Promise<boolean> {
    const wait = Math.max(CROWD_MS, this.probedAt + PROBE_APART_MS - this.outside.now());
    this.patience = new AbortController();
    if (!this.isClosed) await this.outside.sleep(wait, this.patience.signal);
    this.patience = undefined;
    if (this.isClosed) throw new Closed();
    this.probedAt = this.outside.now();
    const { value } = await this.accessToken.get();
    let alive: boolean;
    try {
      alive = await this.served.isAlive(value);
    } catch (error) {
      throw new Undecided(error, this.probedAt + PROBE_APART_MS);
    }
    if (!alive) await this.accessToken.condemn(value);
    return alive;
  }
}

function isReported(credential: Credential, reported: Reported): boolean {
  return 'token' in reported ? reported.token === credential.value : reported.version === credential.version;
}
