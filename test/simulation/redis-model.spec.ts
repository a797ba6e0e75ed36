import fc from 'fast-check';
import { Redis } from 'ioredis';
import { createHash, randomUUID } from 'node:crypto';
import { redisSettingsOf } from '../../src/config/redis-settings.js';
import { RedisConnection } from '../../src/credentials/store/redis.connection.js';
import type { ScriptName } from '../../src/credentials/store/redis.port.js';
import { RedisServer } from '../redis.fixture.js';
import { RedisModel } from './redis-model.js';

/** Runs of the property; more with RUNS=5000, for who wants to. */
const RUNS = Number(process.env['RUNS'] ?? 150);

/** Stands for the process that is asked. */
const HERE = 'here';

type Step = readonly [script: ScriptName, record: string, args: readonly string[]];

const name = fc.constantFrom('a', 'b');
const owner = fc.constantFrom('x', 'y', 'z');
// Of hubs that have keys of their own, mostly; and of one that found `key` there.
const digest = fc.constantFrom('', '', '', createHash('sha1').update('key').digest('hex'));
const seen = fc.nat(4).map(String);
const entry = fc.constantFrom('one', 'two', 'three');
// Leases that have ended when they are given, and some that outlive the test: so the time of day does not matter.
const lasts = fc.constantFrom('0', '3600000');
const called = fc.constantFrom('', '1700000000000', '1700000000500', '1800000000000');

const step: fc.Arbitrary<Step> = fc.oneof(
  fc
    .tuple(
      name,
      digest,
      seen,
      owner,
      lasts,
      fc.oneof(entry, fc.constant('')),
      fc.constantFrom(HERE, HERE, HERE, 'elsewhere'),
    )
    .map(([record, ...args]): Step => ['grant', record, [record, ...args]]),
  fc
    .tuple(name, digest, seen, fc.oneof(owner, fc.constant('')), entry, called)
    .map(([record, ...args]): Step => ['commit', record, [record, ...args]]),
  name.map((record): Step => ['read', record, []]),
  fc
    .tuple(fc.nat(9).map(String), fc.nat(3).map(String), fc.constantFrom('', 'write'))
    .map((args): Step => ['news', '', args]),
  fc.constantFrom('', 'key', 'another').map((key): Step => ['hello', '', [key]]),
);

describe('the model of Redis', () => {
  let server: RedisServer;
  let connection: RedisConnection;
  let listener: Redis;
  let id: string;
  beforeAll(async () => {
    server = await RedisServer.find();
    const settings = redisSettingsOf(server.url);
    if (!settings) throw new Error('no address');
    connection = new RedisConnection(settings);
    listener = new Redis(server.url);
    await listener.ping();
    [, id] = (await connection.run('hello', ['key', 'count'], [''])) as [string, string];
  });
  afterAll(async () => {
    await connection.close();
    listener.disconnect();
    await server.stop();
  });

  /** What does not depend on when, and by which server, something is answered. */
  const comparable = (script: ScriptName, reply: unknown): unknown => {
    const [, ...rest] = reply as unknown[];
    if (script === 'grant' || script === 'commit') rest[1] = Number(rest[1]) > 0 ? 'a while' : 'no time';
    return rest;
  };

  it('does what Redis does with the scripts, and publishes what Redis publishes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 30 }), async (steps) => {
        const prefix = `{test-${randomUUID()}}`;
        const keysOf = ([script, record]: Step): string[] =>
          script === 'read'
            ? ['a', 'b'].map((each) => `${prefix}:entry:${each}`)
            : script === 'hello'
              ? [`${prefix}:key`, `${prefix}:changes:count`]
              : [
                  ...(script === 'news' ? [] : [`${prefix}:entry:${record}`]),
                  `${prefix}:changes`,
                  `${prefix}:changes:count`,
                  ...(script === 'news' ? [] : [`${prefix}:key`]),
                ];
        const [published, expected]: [string[], string[]] = [[], []];
        const hear = (channel: string, message: string): void => {
          if (channel === `${prefix}:changes`) published.push(message);
        };
        listener.on('message', hear);
        await listener.subscribe(`${prefix}:changes`);
        const model = new RedisModel(id, (message) => expected.push(message));
        for (const each of steps) {
          const [script] = each;
          const args = each[2].map((arg) => (arg === HERE ? id : arg));
          const keys = keysOf(each);
          const real = await connection.run(script, keys, args);
          expect(comparable(script, real)).toEqual(comparable(script, model.run(script, keys, args, Date.now())));
        }
        // Messages come on another connection; a round trip on it comes after them.
        await listener.unsubscribe(`${prefix}:changes`);
        listener.off('message', hear);
        expect(published).toEqual(expected);
        await server.forget(prefix.slice(1, -1));
      }),
      { numRuns: RUNS },
    );
  }, 60_000);

  it('tells of as many changes as Redis remembers', async () => {
    const prefix = `{test-${randomUUID()}}`;
    const keys = [`${prefix}:changes`, `${prefix}:changes:count`];
    const model = new RedisModel(id, () => undefined);
    const write = async (name: string): Promise<void> => {
      const asked = [
        [`${prefix}:entry:${name}`, ...keys, `${prefix}:key`],
        [name, '', '0', '', 'one', ''],
      ] as const;
      model.run('commit', ...asked, Date.now());
      await connection.run('commit', ...asked);
    };
    for (let from = 0; from < 10_002; from += 500) {
      const names = Array.from({ length: Math.min(500, 10_002 - from) }, (_, i) => `app-${from + i}`);
      await Promise.all(names.map(write));
    }
    for (const args of [
      ['0', '2', ''],
      ['10000', '5', ''],
    ]) {
      const real = await connection.run('news', keys, args);
      expect(comparable('news', real)).toEqual(comparable('news', model.run('news', keys, args, Date.now())));
    }
  }, 60_000);
});
