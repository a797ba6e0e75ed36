import { inTurns } from '../turns.js';
import type { App } from '../wechat/platforms/platform.js';
import type { Wechat } from '../wechat/wechat.client.js';
import type { Clock } from './clock.js';
import type { BudgetLimits } from './allowance.js';
import { type Common, HostedApp } from './hosted-app.js';
import type { HubEvent } from './journal.js';
import type { Outside } from './outside.js';
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

/** Of how many apps the store is asked at once: enough to be quick, few enough to leave it time for others. */
const LOADED_AT_ONCE = 100;
/** How many apps of a new configuration are looked up in one turn of the event loop. */
const EXCHANGED_AT_ONCE = 1000;
/**
 * What somebody takes out of the store by hand nobody tells of. So some of what is known is compared with it, again and
 * again: all that a hundred apps have in less than a minute, at the cost of one small question.
 */
const COMPARED_AT_ONCE = 20;
const COMPARE_EVERY_MS = 10_000;

/** The cache: every credential of every configured app, and the clockwork that keeps them good. */
export class CredentialsService implements Follower {
  private readonly renewals: Renewals;
  private readonly common: Common;
  private apps: ReadonlyMap<string, HostedApp> = new Map();
  /** The same by their identities, new ones before clients get to see them. */
  private hosted: ReadonlyMap<string, HostedApp> = new Map();
  private uncompared: Iterator<HostedApp, undefined> = this.hosted.values();
  private compareAt = -Infinity;
  private applying: Promise<void> = Promise.resolve();
  private drift = 0;
  private isDraining = false;

  constructor(
    private readonly surroundings: Surroundings,
    rotations: BudgetLimits,
  ) {
    const { clock, store, wechat, replica, random, sleep } = surroundings;
    this.renewals = new Renewals(
      () => clock.now(),
      () => this.renewDue(),
    );
    this.common = {
      now: () => clock.now(),
      replica,
      random,
      sleep,
      store,
      wechat,
      rotations,
      tell: (event) => {
        surroundings.tell(event);
      },
      plan: (app) => {
        this.renewals.set(app, app.wakeAt);
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
    const { app, part } = this.partOf(name);
    return app?.parts.includes(part) ?? false;
  }

  /** Hears from the store what another hub wrote. */
  hear(name: string, stored: Stored): void {
    const { app, part } = this.partOf(name);
    app?.hear(part, stored);
  }

  /** Hears that the store has lost something: what is remembered here is compared with it, and written again. */
  mourn(): Promise<void> {
    return this.load(this.hosted.values());
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
    for (const app of this.apps.values()) app.isClosed = true;
    // Clients are answered to the end, and wait for no more than some of them.
    const closing: Promise<void>[] = [];
    for await (const some of this.inTurns(this.apps.values(), EXCHANGED_AT_ONCE)) {
      closing.push(...some.map((app) => app.close()));
    }
    await Promise.all(closing);
  }

  /** Called by Nest at the very end. */
  async onApplicationShutdown(): Promise<void> {
    await this.drain();
    await this.surroundings.store.close();
  }

  private async exchange(configured: ReadonlyMap<string, App>): Promise<void> {
    const before = this.hosted;
    const apps = new Map<string, HostedApp>();
    const kept = new Map<string, HostedApp>();
    const hosted = new Map<string, HostedApp>();
    const added: HostedApp[] = [];
    const staying: { readonly one: HostedApp; readonly app: App; readonly name: string }[] = [];
    for await (const some of this.inTurns(configured, EXCHANGED_AT_ONCE)) {
      for (const [name, app] of some) {
        const known = before.get(app.identity);
        const one = known ?? new HostedApp(name, app, this.common);
        if (known) {
          kept.set(name, known);
          staying.push({ one, app, name });
        } else {
          added.push(one);
        }
        apps.set(name, one);
        hosted.set(app.identity, one);
      }
    }
    const gone: HostedApp[] = [];
    for await (const some of this.inTurns(before.values(), EXCHANGED_AT_ONCE)) {
      gone.push(...some.filter((app) => !hosted.has(app.identity)));
    }
    // All in one turn: nobody sees some of them as they were and others as they will be, and nobody is given anything of
    // those that went, however long what they have under way takes.
    for (const { one, app, name } of staying) one.adopt(app, name);
    this.apps = kept;
    // It is stored before anything is read: an app may come back under another configuration.
    await Promise.all(gone.map((app) => app.close()));
    // From here on they hear what other hubs write; so nothing is missed while what there is is read.
    this.hosted = hosted;
    try {
      await this.load(added);
    } catch (error) {
      // It says so itself, and lets everybody look when it is back.
      if (!(error instanceof StoreUnreachable)) throw error;
    }
    this.apps = apps;
    await this.surroundings.store.forgetBut((name) => this.knows(name));
  }

  /** Of which app a name in the store is, and what of it: identities have strokes in them, too. */
  private partOf(name: string): { readonly app: HostedApp | undefined; readonly part: string } {
    for (let end = name.indexOf('/'); end >= 0; end = name.indexOf('/', end + 1)) {
      const app = this.hosted.get(name.slice(0, end));
      if (app) return { app, part: name.slice(end + 1) };
    }
    return { app: undefined, part: name };
  }

  /** Lets a few hear what the shared store has, the next ones each time; whoever knows better writes it there again. */
  private async compareSome(): Promise<void> {
    const now = this.clock.now();
    if (now < this.compareAt || !this.storeStatus?.reachable) return;
    this.compareAt = now + COMPARE_EVERY_MS;
    const some: HostedApp[] = [];
    for (let next = this.uncompared.next(); !next.done; next = this.uncompared.next()) {
      some.push(next.value);
      if (some.length === COMPARED_AT_ONCE) break;
    }
    if (some.length < COMPARED_AT_ONCE) this.uncompared = this.hosted.values();
    try {
      await this.load(some);
    } catch (error) {
      // Their turn comes again.
      if (!(error instanceof StoreUnreachable)) throw error;
    }
  }

  /** Lets these hear what the store has, a few at a time. @throws StoreUnreachable */
  private async load(apps: Iterable<HostedApp>): Promise<void> {
    for await (const some of this.inTurns(apps, LOADED_AT_ONCE)) await this.loadTogether(some);
  }

  private inTurns<T>(things: Iterable<T>, atOnce: number): AsyncGenerator<readonly T[]> {
    return inTurns(things, atOnce, () => this.surroundings.sleep(0));
  }

  private async loadTogether(apps: readonly HostedApp[]): Promise<void> {
    const asked = apps.flatMap((app) =>
      app.parts.map((part) => ({ app, part, name: app.nameOf(part), seen: app.revisionOf(part) })),
    );
    const stored = await this.surroundings.store.load(asked.map(({ name }) => name));
    for (const { app, part, name, seen } of asked) app.hear(part, stored.get(name) ?? NOTHING_STORED, seen);
  }

  private followWallClock(): void {
    const drift = this.clock.drift();
    if (Math.abs(drift - this.drift) < MOVED_CLOCK_MS) return;
    this.surroundings.tell({ event: 'clock-moved', seconds: Math.round((drift - this.drift) / 1000) });
    this.drift = drift;
    void this.surroundings.store.restate();
  }
}
