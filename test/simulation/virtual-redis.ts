import type { RedisPort, ScriptName } from '../../src/credentials/store/redis.port.js';
import { StoreUnreachable } from '../../src/credentials/store/store.js';
import { RedisModel } from './redis-model.js';
import type { VirtualProcess } from './virtual-process.js';
import type { VirtualTime } from './virtual-time.js';

/** As long as the real connection waits for an answer. */
const ANSWER_MS = 500;
/** How far back a failover may fall: what a replica had not got yet. */
const REMEMBERED_MS = 3000;

/** A Redis server over a network, in virtual time, with all that can happen to both. */
export class VirtualRedis {
  /** Whether answers take their time, now and then too much of it. */
  isSlow = false;
  /** The share of messages that get lost. */
  messageLoss = 0;
  /** How far its clock is ahead. */
  skewMs = 0;
  private readonly model: RedisModel;
  private readonly listeners = new Set<(message: string) => void>();
  /** `down` refuses connections; `frozen` answers later, all that was asked meanwhile. */
  private state: 'up' | 'down' | 'frozen' = 'up';
  private frozenWork: (() => void)[] = [];
  private past: { readonly at: number; readonly state: RedisModel['state'] }[] = [];
  private processes = 1;

  constructor(
    private readonly time: VirtualTime,
    private readonly random: () => number,
  ) {
    this.model = new RedisModel('1', (message) => {
      for (const listener of this.listeners) listener(message);
    });
  }

  /** How many names there are in it. */
  get size(): number {
    return this.model.size;
  }

  /** What it has now, for a snapshot. */
  get snapshot(): RedisModel['state'] {
    return this.model.state;
  }

  /** Somebody takes every record out of it by hand. */
  forget(): void {
    this.model.forget();
  }

  freeze(ms: number): void {
    if (this.state !== 'up') return;
    this.state = 'frozen';
    this.time.in(ms, () => {
      this.state = 'up';
      for (const work of this.frozenWork.splice(0)) work();
    });
  }

  /**
   * Lets it be away for a while, and come back as another process: with what it had so long ago at most, with a
   * snapshot, or with nothing.
   */
  fail(ms: number, backWith: { readonly lagMs: number } | RedisModel['state'] | 'nothing'): void {
    if (this.state !== 'up') return;
    this.state = 'down';
    const state =
      backWith === 'nothing'
        ? undefined
        : 'lagMs' in backWith
          ? this.stateAt(this.time.now() - backWith.lagMs)
          : backWith;
    this.processes += 1;
    this.model.become(String(this.processes), state);
    this.past = [];
    this.time.in(ms, () => (this.state = 'up'));
  }

  /** A connection of a process; it is cut whenever `isCut` says so. */
  connect(process: VirtualProcess, isCut: () => boolean): RedisPort {
    let lastArrival = 0;
    const leg = (): number => {
      if (this.isSlow && this.random() < 0.05) return this.random() * 900;
      return 0.2 + this.random();
    };
    return {
      run: (script, keys, args) => {
        if (!process.lives) return new Promise<never>(() => undefined);
        const answer = new Promise<unknown>((resolve, reject) => {
          const callOff = this.time.in(ANSWER_MS, () => {
            reject(new StoreUnreachable(`no answer within ${ANSWER_MS} ms`));
          });
          const refuse = (reason: string): void => {
            callOff();
            reject(new StoreUnreachable(reason));
          };
          if (this.state === 'down' || isCut()) {
            this.time.in(1, () => refuse('ECONNREFUSED'));
            return;
          }
          const execute = (): void => {
            const reply = this.execute(script, keys, args);
            this.time.in(leg(), () => {
              callOff();
              resolve(reply);
            });
          };
          // What is asked on one connection arrives in that order.
          lastArrival = Math.max(lastArrival, this.time.now() + leg());
          this.time.at(lastArrival, () => {
            if (this.state === 'down' || isCut()) refuse('ECONNRESET');
            else if (this.state === 'frozen') this.frozenWork.push(execute);
            else execute();
          });
        });
        return process.outcome(answer);
      },
      listen: (_channel, hear) => {
        let lastHeard = 0;
        this.listeners.add((message) => {
          if (!process.lives || isCut() || this.random() < this.messageLoss) return;
          lastHeard = Math.max(lastHeard, this.time.now() + leg());
          process.at(lastHeard, () => hear(message));
        });
      },
      close: () => Promise.resolve(),
    };
  }

  private execute(script: ScriptName, keys: readonly string[], args: readonly string[]): unknown {
    const now = this.time.now();
    if (script === 'grant' || script === 'commit') {
      this.past.push({ at: now, state: this.model.state });
      while ((this.past[1]?.at ?? now) < now - REMEMBERED_MS) this.past.shift();
    }
    return this.model.run(script, keys, args, now + this.skewMs);
  }

  /** What it had at an instant: the state before the first write since. */
  private stateAt(instant: number): RedisModel['state'] {
    return this.past.find(({ at }) => at >= instant)?.state ?? this.model.state;
  }
}
