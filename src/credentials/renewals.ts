import type { Dialect } from '../wechat/wechat.error.js';
import { DueList } from './due-list.js';
import type { Renewable } from './outside.js';

/**
 * How many apps may be under way with one host of WeChat: enough that a hub by itself renews a hundred thousand credentials in their
 * five minutes, each of which takes it 300 ms.
 */
const AT_ONCE = 128;
/** So many begin in one turn of the event loop. Clients wait for no more than these, and WeChat sees a crowd come by and by. */
const BEGUN_AT_ONCE = 16;
/** So many that have become due are put in order in one turn. */
const ORDERED_AT_ONCE = 1000;

/**
 * Whose turn it is to be renewed. Each host of WeChat has a queue of its own, so that a slow one holds up nobody at the other;
 * each app has one place in it, and so is under way once at most. What is due goes by when it ends, not by how long it has been
 * due: a token that lives a minute does not wait behind ten thousand that have four minutes left.
 */
export class Renewals {
  private readonly hosts: Readonly<Record<Dialect, Host>>;

  /**
   * @param now epoch milliseconds of the steady clock.
   * @param ended told when there is room for more: time to {@link begin} again.
   */
  constructor(now: () => number, ended: () => void) {
    this.hosts = { wechat: new Host(now, ended), wecom: new Host(now, ended) };
  }

  /** Puts an app down for an instant, instead of the one before; `undefined` for not at all. */
  set(app: Renewable, at: number | undefined): void {
    this.hosts[app.dialect].set(app, at);
  }

  /** Begins what is due, as far as there is room. */
  begin(): void {
    for (const host of Object.values(this.hosts)) host.begin();
  }

  /** Begins nothing more. */
  stop(): void {
    for (const host of Object.values(this.hosts)) host.stop();
  }
}

/** The queue of one host. */
class Host {
  private readonly waiting = new DueList<Renewable>();
  /** What is due, by when it ends. */
  private readonly due = new DueList<Renewable>();
  private readonly underWay = new Set<Renewable>();
  private isStopped = false;

  constructor(
    private readonly now: () => number,
    private readonly ended: () => void,
  ) {}

  set(app: Renewable, at: number | undefined): void {
    // It is asked when its turn is over.
    if (this.underWay.has(app)) return;
    this.due.set(app, undefined);
    this.waiting.set(app, at);
  }

  begin(): void {
    if (this.isStopped) return;
    for (let ordered = 0; ordered < ORDERED_AT_ONCE; ordered += 1) {
      const app = this.waiting.take(this.now());
      if (!app) break;
      this.due.set(app, app.deadline);
    }
    const room = Math.min(BEGUN_AT_ONCE, AT_ONCE - this.underWay.size);
    for (let begun = 0; begun < room; begun += 1) {
      const app = this.due.take(Infinity);
      if (!app) break;
      void this.renew(app);
    }
  }

  stop(): void {
    this.isStopped = true;
  }

  private async renew(app: Renewable): Promise<void> {
    this.underWay.add(app);
    try {
      await app.wake();
    } finally {
      this.underWay.delete(app);
      this.set(app, app.wakeAt);
      this.ended();
    }
  }
}
