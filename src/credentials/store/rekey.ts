import { Cipher } from './cipher.js';

/** What came of sealing every record with the newest key. */
export interface Rekeyed {
  readonly records: number;
  /** How many of them were sealed with an older key until now. */
  readonly resealed: number;
  /** Names of those that stay as they are: damaged, or sealed with a key that is not at hand. */
  readonly unopened: readonly string[];
}

/** What is done to Redis for that, beside what hubs do: each is a script of that name, in `scripts/`. */
export type RekeyingScript = 'records' | 'reseal';

/** What sealing anew needs of Redis. */
export interface RekeyingPort {
  /** @throws StoreUnreachable */
  run(script: RekeyingScript | 'read', keys: readonly string[], args: readonly string[]): Promise<unknown>;
}

type Found = readonly [now: string, cursor: string, keys: readonly string[]];
type Read = readonly [now: string, record: readonly [entry: string, ...unknown[]]];

/**
 * Seals every record of the hubs with that prefix with the newest key. Hubs may be at work meanwhile: a record that one
 * of them writes at the same time is looked at again. Whoever does it twice finds nothing to do.
 *
 * @param keys as for {@link Cipher}.
 * @throws StoreUnreachable
 */
export async function rekeyRedis(redis: RekeyingPort, prefix: string, keys: readonly Buffer[]): Promise<Rekeyed> {
  const cipher = new Cipher(keys);
  const start = `{${prefix}}:entry:`;
  const outcomes = new Map<string, Outcome>();
  let cursor = '0';
  do {
    const found = (await redis.run('records', [`{${prefix}}:changes`], [cursor, `${start}*`])) as Found;
    // Redis may name a key twice.
    for (const key of found[2]) outcomes.set(key, outcomes.get(key) ?? (await rekeyRecord(key)));
    cursor = found[1];
  } while (cursor !== '0');
  const named = (outcome: Outcome): string[] =>
    [...outcomes].filter(([, each]) => each === outcome).map(([key]) => key.slice(start.length));
  return { records: outcomes.size, resealed: named('resealed').length, unopened: named('unopened') };

  async function rekeyRecord(key: string): Promise<Outcome> {
    for (;;) {
      const [, [entry]] = (await redis.run('read', [key], [])) as Read;
      const sealed = Buffer.from(entry, 'base64');
      // A record may have nothing in it but a lease.
      if (entry === '' || cipher.isCurrent(sealed)) return 'current';
      const name = key.slice(start.length);
      const text = opened(cipher, name, sealed);
      if (text === undefined) return 'unopened';
      const resealed = cipher.seal(name, text).toString('base64');
      const [, verdict] = (await redis.run('reseal', [key], [entry, resealed])) as readonly string[];
      if (verdict === 'kept') return 'resealed';
    }
  }
}

type Outcome = 'current' | 'resealed' | 'unopened';

function opened(cipher: Cipher, name: string, sealed: Buffer): string | undefined {
  try {
    return cipher.open(name, sealed);
  } catch {
    return undefined;
  }
}
