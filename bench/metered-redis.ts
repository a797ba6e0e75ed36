import type { RedisPort, ScriptName } from '../src/credentials/store/redis.port.js';
import { RedisModel } from '../test/simulation/redis-model.js';
import type { VirtualProcess } from '../test/simulation/virtual-process.js';
import type { VirtualTime } from '../test/simulation/virtual-time.js';

const ID = '1';

/** One script that a hub had run, and what came of it. */
export interface ScriptRun {
  readonly hub: number;
  readonly script: ScriptName;
  readonly keys: number;
  /** Of `grant` and `commit`: the name of the entry, and whether the write was kept. */
  readonly name: string;
  readonly verdict: string;
}

/**
 * A Redis that is always well, over a network that loses nothing, and tells of every script that it runs. The one of the
 * simulation keeps its past, for failovers; at a hundred thousand entries that would be all it did.
 */
export class MeteredRedis {
  private readonly listeners: ((message: string) => void)[] = [];
  private readonly model = new RedisModel(ID, (message) => {
    this.changes += 1;
    for (const listener of this.listeners) listener(message);
  });
  private changes = 0;

  constructor(
    private readonly time: VirtualTime,
    private readonly random: () => number,
    private readonly tell: (run: ScriptRun) => void,
  ) {}

  /** The connections of one hub: what is asked, answered or published on one of them stays in order. */
  connect(hub: number, process: VirtualProcess): RedisPort {
    const there = this.line();
    const back = this.line();
    return {
      run: (script, keys, args) =>
        process.outcome(
          new Promise((resolve) => {
            there(() => {
              const reply = this.execute(script, keys, args);
              const [, verdict] = reply;
              this.tell({ hub, script, keys: keys.length, name: args[0] ?? '', verdict: String(verdict) });
              back(() => resolve(reply));
            });
          }),
        ),
      listen: (_channel, hear) => {
        const messages = this.line();
        this.listeners.push((message) => {
          // Redis soon hangs up on a subscriber that does not read, and what was said meanwhile is lost to it.
          if (process.runs) messages(() => hear(message));
        });
      },
      close: () => Promise.resolve(),
    };
  }

  private execute(script: ScriptName, keys: readonly string[], args: readonly string[]): readonly unknown[] {
    const now = this.time.now();
    // Redis has an index of its changes; the model goes through all of them, even where there is nothing new.
    if (script === 'news' && Number(args[0]) === this.changes)
      return [String(Math.floor(now)), ID, String(this.changes), '0', [], this.model.policy, ''];
    return this.model.run(script, keys, args, now) as readonly unknown[];
  }

  private line(): (arrive: () => void) => void {
    let last = 0;
    return (arrive) => {
      last = Math.max(last, this.time.now() + 0.2 + this.random());
      this.time.at(last, arrive);
    };
  }
}
