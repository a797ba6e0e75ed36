import type { App } from '../wechat/platforms/platform.js';
import type { Wechat } from '../wechat/wechat.client.js';
import type { Clock } from './clock.js';
import { DueList } from './due-list.js';
import { HostedApp, type RotationBudget } from './hosted-app.js';
import type { Outside, Sleeper, SourceEvent } from './outside.js';
import { type Entry, shifted, type Store } from './store.js';

/** How many renewals may be under way at once: enough for ten thousand apps, few enough not to look like an attack. */
const RENEWALS_AT_ONCE = 32;
/** A wall clock that differs from the steady one by more than this was moved, and not just disciplined. */
const MOVED_CLOCK_MS = 2000;

/** Something that operators should know. */
export type HubEvent = SourceEvent | { readonly event: 'clock-moved'; readonly seconds: number };

/** What the credentials of a hub need from the world, so that tests can be the world. */
export interface Surroundings extends Pick<Outside, 'random' | 'sleep'> {
  readonly clock: Clock;
  readonly store: Store;
  readonly wechat: Wechat;
  tell(event: HubEvent): void;
}

/** The cache: every credential of every configured app, and the clockwork that keeps them good. */
export class CredentialsService {
  private readonly due = new DueList<Sleeper>();
  private readonly outside: Outside;
  private apps: ReadonlyMap<string, HostedApp> = new Map();
  private applying: Promise<void> = Promise.resolve();
  private renewing = 0;
  private drift = 0;
  private isDraining = false;

  constructor(
    private readonly surroundings: Surroundings,
    private readonly budget: RotationBudget,
  ) {
    const { clock, store, random, sleep } = surroundings;
    this.outside = {
      now: () => clock.now(),
      random,
      sleep,
      // What outlives the process is in the wall clock's time, by which the next process will read it.
      save: (name, entry) => store.save(name, shifted(entry, this.drift)),
      tell: (event) => {
        surroundings.tell(event);
      },
      wake: (sleeper, at) => {
        this.due.set(sleeper, at);
      },
    };
  }

  get clock(): Clock {
    return this.surroundings.clock;
  }

  /** Whether the hub is going away. */
  get draining(): boolean {
    return this.isDraining;
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

  /** Renews what is due, the most urgent first, a bounded number at once. */
  renewDue(): void {
    this.followWallClock();
    while (!this.isDraining && this.renewing < RENEWALS_AT_ONCE) {
      const sleeper = this.due.take(this.clock.now());
      if (!sleeper) return;
      this.renewing += 1;
      void sleeper.wake().finally(() => {
        this.renewing -= 1;
        this.renewDue();
      });
    }
  }

  /** Begins nothing new; ends when every call to WeChat that is under way has ended and its outcome is stored. */
  async drain(): Promise<void> {
    this.isDraining = true;
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
    // What they have under way is stored before anything is read: an app may come back under another configuration.
    await Promise.all(gone.map((app) => app.close()));
    const grows = [...identities].some((identity) => !before.has(identity));
    const entries = grows ? await this.surroundings.store.load() : new Map<string, Entry>();

    const apps = new Map<string, HostedApp>();
    for (const [name, app] of configured) {
      const known = before.get(app.identity);
      known?.adopt(app);
      apps.set(
        name,
        known ?? new HostedApp(app, this.surroundings.wechat, this.outside, this.budget, (entry) => entries.get(entry)),
      );
    }
    this.apps = apps;
    await this.forget(entries, apps);
  }

  /** Drops what the store has of apps that are not configured, once nobody could use it any more. */
  private async forget(entries: ReadonlyMap<string, Entry>, apps: ReadonlyMap<string, HostedApp>): Promise<void> {
    const kept = new Set([...apps.values()].flatMap((app) => [...app.kept.values()].map((source) => source.name)));
    const now = this.clock.now();
    for (const [name, { credential }] of entries) {
      if (!kept.has(name) && (credential?.expiresAt ?? 0) < now)
        await this.surroundings.store.remove(name).catch(() => undefined);
    }
  }

  private followWallClock(): void {
    const drift = this.clock.drift();
    if (Math.abs(drift - this.drift) < MOVED_CLOCK_MS) return;
    this.surroundings.tell({ event: 'clock-moved', seconds: Math.round((drift - this.drift) / 1000) });
    this.drift = drift;
    for (const app of this.apps.values()) for (const source of app.kept.values()) void source.save();
  }
}
