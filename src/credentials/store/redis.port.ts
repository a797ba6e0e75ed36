/** What the hubs do to Redis: each is a script of that name, in `scripts/`, and so happens at once or not at all. */
export type ScriptName = 'hello' | 'read' | 'grant' | 'commit' | 'news';

/**
 * What the shared store needs of Redis: so little that tests can be Redis, with every fault of the network between.
 * Replies are as Redis gives them.
 */
export interface RedisPort {
  /** @throws StoreUnreachable when no answer comes in time; what was asked may have happened, or may happen later. */
  run(script: ScriptName, keys: readonly string[], args: readonly string[]): Promise<unknown>;
  /** Lets somebody hear what is published on a channel; messages can get lost. */
  listen(channel: string, hear: (message: string) => void): void;
  close(): Promise<void>;
}
