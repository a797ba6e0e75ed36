import type { App } from '../wechat/platforms/platform.js';
import type { Wechat } from '../wechat/wechat.client.js';
import type { Clock } from './clock.js';
import type { BudgetLimits } from './allowance.js';
import { HostedApp } from './hosted-app.js';
import type { HubEvent } from './journal.js';
import type { AppEvent, Outside, Renewable } from './outside.js';
import { Renewals } from './renewals.js';
import {
  type Follower,
  NOTHING_STORED,
  type Store,
  type Stored,
  type StoreStatus,
  StoreUnreachable,
} from './store/store.js';

/** A wall clock that differs from the steady one by more than this was moved, and not just disciplined. */
const MOVED_CLOCK_MS = 2000;

/** What the credentials of a hub need from the world, so that tests can be the world. */
export interface Surroundings extends Pick<Outside, 'replica' | 'random' | 'sleep'> {
  readonly clock: Clock;
  readonly store: Store;
  readonly wechat: Wechat;
  tell(event: HubEvent): void;
}

/** Hears what the store has under a name. */
interface Listener {
  readonly revision: number;
  hear(stored: Stored, seen?: number): void;
}

/** How many entries are asked of the store at once: enough to be quick, few enough to leave it time for others. */
const LOADED_AT_ONCE = 500;
/**
 * What somebody takes out of the store by hand nobody tells of. So some of what is known is compared with it, again and
 * again: all that a hundred apps have in less than a minute, at the cost of one small question.
 */
const COMPARED_AT_ONCE = 100;
const COMPARE_EVERY_MS = 10_000;

/** The cache: every credential of every configured app, and the clockwork that keeps them good. */
export class CredentialsService implements Follower {
  private readonly renewals: Renewals;
  private readonly outside: Outside<AppEvent, Renewable>;
  private apps: ReadonlyMap<string, HostedApp> = new Map();
  private listeners: ReadonlyMap<string, Listener> = new Map();
  private uncompared: Iterator<[string, Listener], undefined> = this.listeners.entries();
  private compareAt = -Infinity;
  private applying: Promise<void> = Promise.resolve();
  private drift = 0;
  private isDraining = false;

  constructor(
    private readonly surroundings: Surroundings,
    private readonly rotations: BudgetLimits,
  ) {
    const { clock, store, replica, random, sleep } = surroundings;
    this.renewals = new Renewals(
      () => clock.now(),
      () => this.renewDue(),
    );
    this.outside = {
      now: () => clock.now(),
      replica,
      random,
      sleep,
      store,
      tell: (event) => {
        surroundings.tell(event);
      },
      wake: (app, at) => {
        this.renewals.set(app, at);
      },
    };
    store.follow(this);
  }

  get clock(): Clock {
    return this.surroundings.clock;
  }

  /** Whether the hub is going away. */
  get draining(): boolean {
    return this.isDraining;
  }

  /** Whether the store can be reached; `undefined` for one that cannot be out of reach. */
  get storeStatus(): StoreStatus | undefined {
    return this.surroundings.store.status;
  }

  /** Whether there is anything at all that clients can be given. */
  hasUsable(): boolean {
    for (const { kept } of this.apps.values()) for (const { status } of kept.values()) if (status.usable) return true;
    return false;
  }

  /** Every app by its name. */
  get all(): ReadonlyMap<string, HostedApp> {
    return this.apps;
  }

  /** The app of this name, if it is configured. */
  app(name: string): HostedApp | undefined {
    return this.apps.get(name);
  }

  /**
   * Makes these the apps: new ones start with what the store has of them, those that went stop, and those that stay
   * keep their credentials, whatever their name or secret is now.
   */
  apply(apps: ReadonlyMap<string, App>): Promise<void> {
    const exchanged = this.applying.then(() => this.exchange(apps));
    this.applying = exchanged.catch(() => undefined);
    return exchanged;
  }

  /** Whether it is of an app that this hub has. */
  knows(name: string): boolean {
    return this.listeners.has(name);
  }

  /** Hears from the store what another hub wrote. */
  hear(name: string, stored: Stored): void {
    this.listeners.get(name)?.hear(stored);
  }

  /** Hears that the store has lost something: what is remembered here is compared with it, and written again. */
  mourn(): Promise<void> {
    return this.load(this.listeners);
  }

  /** Renews what is due, the most urgent first, a bounded number at once. */
  renewDue(): void {
    this.followWallClock();
    void this.surroundings.store.catchUp();
    void this.compareSome();
    this.renewals.begin();
  }

  /** Begins nothing new; ends when every call to WeChat that is under way has ended and its outcome is stored. */
  async drain(): Promise<void> {
    this.isDraining = true;
    this.renewals.stop();
    await this.applying;
    await Promise.all([...this.apps.values()].map((app) => app.close()));
  }

  /** Called by Nest at the very end. */
  async onApplicationShutdown(): Promise<void> {
    await this.drain();
    await this.surroundings.store.close();
  }

  private async exchange(configured: ReadonlyMap<string, App>): Promise<void> {
    const before = new Map([...this.apps.values()].map((app) => [app.identity, app]));
    const identities = new Set([...configured.values()].map((app) => app.identity));
    const gone = [...before.values()].filter((app) => !identities.has(app.identity));
    // Nobody is given anything of those any more, however long what they have under way takes.
    this.apps = new Map([...this.apps].filter(([name]) => configured.has(name)));
    // It is stored before anything is read: an app may come back under another configuration.
    await Promise.all(gone.map((app) => app.close()));

    const { store, wechat } = this.surroundings;
    const apps = new Map<string, HostedApp>();
    const added: HostedApp[] = [];
    for (const [name, app] of configured) {
      const known = before.get(app.identity);
      known?.adopt(app, name);
      const hosted = known ?? new HostedApp(name, app, wechat, this.outside, this.rotations);
      if (!known) added.push(hosted);
      apps.set(name, hosted);
    }
    // From here on they hear what other hubs write; so nothing is missed while what there is is read.
    this.listeners = new Map([...apps.values()].flatMap((app) => app.listeners));
    try {
      await this.load(new Map(added.flatMap((app) => app.listeners)));
    } catch (error) {
      // It says so itself, and lets everybody look when it is back.
      if (!(error instanceof StoreUnreachable)) throw error;
    }
    this.apps = apps;
    await store.forgetBut(new Set(this.listeners.keys()));
  }

  /** Lets a few hear what the shared store has, the next ones each time; whoever knows better writes it there again. */
  private async compareSome(): Promise<void> {
    const now = this.clock.now();
    if (now < this.compareAt || !this.storeStatus?.reachable) return;
    this.compareAt = now + COMPARE_EVERY_MS;
    const some = new Map<string, Listener>();
    for (let next = this.uncompared.next(); !next.done; next = this.uncompared.next()) {
      some.set(...next.value);
      if (some.size === COMPARED_AT_ONCE) break;
    }
    if (some.size < COMPARED_AT_ONCE) this.uncompared = this.listeners.entries();
    try {
      await this.load(some);
    } catch (error) {
      // Their turn comes again.
      if (!(error instanceof StoreUnreachable)) throw error;
    }
  }

  /** Lets everybody hear what the store has. @throws StoreUnreachable */
  private async load(listeners: ReadonlyMap<string, Listener>): Promise<void> {
    const names = [...listeners.keys()];
    for (let from = 0; from < names.length; from += LOADED_AT_ONCE) {
      const some = names.slice(from, from + LOADED_AT_ONCE);
      const seen = some.map((name) => listeners.get(name)?.revision);
      const stored = await this.surroundings.store.load(some);
      for (const [i, name] of some.entries()) listeners.get(name)?.hear(stored.get(name) ?? NOTHING_STORED, seen[i]);
    }
  }

  private followWallClock(): void {
    const drift = this.clock.drift();
    if (Math.abs(drift - this.drift) < MOVED_CLOCK_MS) return;
    this.surroundings.tell({ event: 'clock-moved', seconds: Math.round((drift - this.drift) / 1000) });
    this.drift = drift;
    void this.surroundings.store.restate();
  }
}
