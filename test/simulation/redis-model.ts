import { createHash } from 'node:crypto';
import { type Kept, Leases, type Outcome } from '../../src/credentials/store/leases.js';
import type { ScriptName } from '../../src/credentials/store/redis.port.js';

/** As many of the latest changes as `record.lua` remembers. */
const CHANGES_REMEMBERED = 10_000;

/** What a Redis server has of the hubs. */
interface State {
  readonly kept: ReadonlyMap<string, Kept<string>>;
  readonly changes: ReadonlyMap<string, number>;
  readonly count: number;
  readonly key: string;
}

const NOTHING: State = { kept: new Map(), changes: new Map(), count: 0, key: '' };

/**
 * A Redis server as far as the hubs use one: what their scripts do, by the rules that these follow, at an instant that
 * the test decides on. A test holds it against a real server.
 */
export class RedisModel {
  policy = 'noeviction';
  private kept = new Map<string, Kept<string>>();
  private leases = new Leases(this.kept);
  /** The number of the last change of each name. */
  private changes = new Map<string, number>();
  private key = '';

  /**
   * @param id of this process; another one may have less than the one before.
   * @param publish tells whoever listens of a change.
   */
  constructor(
    public id: string,
    private readonly publish: (message: string) => void,
  ) {}

  /** All that it has now, for {@link become}. */
  get state(): State {
    const { kept, changes, leases, key } = this;
    return { kept: new Map(kept), changes: new Map(changes), count: leases.changes, key };
  }

  /** Goes on as another process that has what this one had once, or nothing. */
  become(id: string, { kept, changes, count, key }: State = NOTHING): void {
    this.id = id;
    this.kept = new Map(kept);
    this.leases = new Leases(this.kept, count);
    this.changes = new Map(changes);
    this.key = key;
  }

  /** Loses every record, by somebody's hand: of that nothing tells. */
  forget(): void {
    this.kept.clear();
  }

  /** How many keys there are: one for each name that was ever written, and a few for all of them. */
  get size(): number {
    return this.kept.size;
  }

  /** Runs a script, whose time starts with `now`, in epoch milliseconds. */
  run(script: ScriptName, keys: readonly string[], args: readonly string[], now: number): unknown {
    const time = Math.floor(now);
    const [record = ''] = keys;
    switch (script) {
      case 'hello':
        return this.hello(time, args[0] ?? '');
      case 'read':
        return [String(time), ...keys.map((key) => shown(this.leases.slot(key)))];
      case 'grant': {
        const [name = '', digest, seen, owner = '', lastsMs, content = '', id] = args;
        if (id !== this.id || !this.opens(digest)) return this.elsewhere(time, record);
        const request = { seen: Number(seen), owner, lastsMs: Number(lastsMs), ...(content !== '' && { content }) };
        return this.outcome(time, record, name, () => this.leases.grant(record, request, time));
      }
      case 'commit': {
        const [name = '', digest, seen, owner = '', content = '', calledAt = ''] = args;
        if (!this.opens(digest)) return this.elsewhere(time, record);
        const request = {
          seen: Number(seen),
          content,
          ...(owner !== '' && { owner }),
          ...(calledAt !== '' && { calledAt: Number(calledAt) }),
        };
        return this.outcome(time, record, name, () => this.leases.commit(record, request, time));
      }
      case 'news':
        return this.news(time, Number(args[0]), Number(args[1]));
    }
  }

  private hello(time: number, offered: string): unknown {
    if (offered !== '' && this.key === '') this.key = offered;
    return [String(time), this.id, this.policy, String(this.leases.changes), offered === '' ? '' : this.key];
  }

  private opens(digest = ''): boolean {
    return digest === '' || digest === createHash('sha1').update(this.key).digest('hex');
  }

  private elsewhere(time: number, record: string): unknown {
    return [String(time), 'elsewhere', '0', ...shown(this.leases.slot(record))];
  }

  private outcome(time: number, record: string, name: string, act: () => Outcome<string>): unknown {
    const before = this.leases.slot(record).revision;
    const { verdict, slot, heldForMs } = act();
    const fields = shown(slot);
    if (slot.revision !== before) {
      this.changes.delete(name);
      this.changes.set(name, this.leases.changes);
      const [oldest] = this.changes.keys();
      if (this.changes.size > CHANGES_REMEMBERED && oldest !== undefined) this.changes.delete(oldest);
      const [entry, revision, doubt] = fields;
      this.publish(JSON.stringify([String(this.leases.changes), name, entry, revision, doubt]));
    }
    return [String(time), verdict, String(heldForMs), ...fields];
  }

  private news(time: number, since: number, limit: number): unknown {
    const [[, first] = ['', 0]] = this.changes;
    const oldest = this.changes.size >= CHANGES_REMEMBERED ? first : 0;
    const news = [...this.changes].filter(([, number]) => number > since).slice(0, limit);
    return [
      String(time),
      this.id,
      String(this.leases.changes),
      String(oldest),
      news.flatMap(([name, number]) => [name, String(number)]),
      this.policy,
      '',
    ];
  }
}

function shown({ content = '', revision, doubt }: ReturnType<Leases<string>['slot']>): [string, string, string] {
  return [content, String(revision), doubt === undefined ? '' : String(doubt)];
}
