import fc from 'fast-check';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { z } from 'zod';
import { type PlatformSchema, readConfiguration } from './configuration.js';
import { ConfigurationError } from './faults.js';
import { prefixIn, redisSettingsOf, type RedisSettings, URL_FORMS } from './redis-settings.js';
import type { Environment } from './secret-reader.js';

const PLATFORMS: readonly PlatformSchema<{ readonly identity: string }>[] = [
  {
    name: 'official-account',
    schema: (secret) =>
      z
        .strictObject({ appid: z.string(), secret, endpoint: z.string() })
        .transform(({ appid }) => ({ identity: appid })),
  },
];

/** Enough for a hub to start. */
const ENOUGH = { APPID: 'wx0123456789abcdef', APPSECRET: 'app-secret', JWT_KEY_web: 'k'.repeat(32) };

/** What becomes of a configuration: the settings of Redis, or its faults. */
function read(environment: Environment): RedisSettings | readonly string[] | undefined {
  try {
    return readConfiguration({ ...ENOUGH, ...environment }, PLATFORMS).settings.redis;
  } catch (error) {
    if (error instanceof ConfigurationError) return error.faults;
    throw error;
  }
}

const password = (settings: RedisSettings | undefined): string | undefined => settings?.password?.reveal();

describe('the address of the shared store', () => {
  const [schemes, hosts] = [
    ['redis', 'rediss'],
    ['redis-0.redis.svc', '10.0.0.1', '[fd00::1]', 'cache_1'],
  ];

  it.each(schemes.flatMap((scheme) => hosts.map((host) => [scheme, host] as const)))(
    'is read in every form: %s, %s',
    (scheme, host) => {
      const tls = scheme === 'rediss' ? { tls: {} } : {};
      const name = host.replace(/[[\]]/g, '');
      const [single, sentinel] = [
        { host: name, port: 6379 },
        { host: name, port: 26_379 },
      ];
      const other = { host: 'other', port: 7000 };
      expect(redisSettingsOf(`${scheme}://${host}`)).toEqual({ kind: 'single', ...single, db: 0, ...tls });
      expect(redisSettingsOf(`${scheme}://${host}:7000/15`)).toEqual({
        kind: 'single',
        host: name,
        port: 7000,
        db: 15,
        ...tls,
      });
      expect(redisSettingsOf(`${scheme}+sentinel://${host},other:7000/main/3`)).toEqual({
        kind: 'sentinel',
        sentinels: [sentinel, other],
        name: 'main',
        db: 3,
        ...tls,
      });
      expect(redisSettingsOf(`${scheme}+cluster://${host},other:7000`)).toEqual({
        kind: 'cluster',
        nodes: [single, other],
        ...tls,
      });
    },
  );

  it('reads back any user and any password, percent-encoded, in every form', () => {
    const text = fc.string({ unit: 'binary', minLength: 1 });
    const form = fc.constantFrom(
      'redis://#@a',
      'rediss://#@a:1/2',
      'redis+sentinel://#@a,b/main',
      'redis+cluster://#@a,b',
    );
    fc.assert(
      fc.property(text, text, form, (user, word, url) => {
        const address = url.replace('#', () => `${encodeURIComponent(user)}:${encodeURIComponent(word)}`);
        const settings = redisSettingsOf(address);
        expect([settings?.username, password(settings)]).toEqual([user, word]);
      }),
    );
  });

  it('takes a user without a password, a password without a user, and neither', () => {
    expect(redisSettingsOf('redis://hub@cache')).toMatchObject({ username: 'hub' });
    expect(redisSettingsOf('redis://hub:@cache')).not.toHaveProperty('password');
    expect(redisSettingsOf('redis://:hush@cache')).not.toHaveProperty('username');
    expect(redisSettingsOf('redis://@cache')).toEqual({ kind: 'single', host: 'cache', port: 6379, db: 0 });
  });

  it('takes a percent sign that encodes nothing for itself', () => {
    expect(password(redisSettingsOf('redis://:100%@cache'))).toBe('100%');
  });

  it.each([
    ['an @ that is not encoded', 'redis://:hush@hush@cache'],
    ['a slash that is not encoded', 'redis://:hush/hush@cache'],
    ['no host', 'redis://:hush@'],
    ['a port that is none', 'redis://:hush@cache:0'],
    ['a port that is too great', 'redis://:hush@cache:65536'],
    ['one bad host of many', 'redis+cluster://:hush@a,b:x,c'],
    ['an empty host of many', 'redis+cluster://:hush@a,,c'],
    ['no name of the master', 'redis+sentinel://:hush@a/'],
    ['a database of a cluster', 'redis+cluster://:hush@a/0'],
    ['a database that is no number', 'redis://:hush@a/-1'],
    ['more than a database', 'redis://:hush@a/0/hush'],
    ['an unknown form', 'redis+hush://:hush@a'],
    ['upper case', 'REDIS://:hush@a'],
    ['something before it', ' redis://:hush@a'],
    ['something behind it', 'redis://:hush@a#hush'],
    ['nothing but a word', 'hush'],
  ])('is refused with %s, in words that hold nothing of it', (_, url) => {
    expect(read({ REDIS_URL: url })).toEqual([`REDIS_URL: ${URL_FORMS}`]);
  });
});

describe('what the names of keys and messages begin with', () => {
  it.each([
    ['redis://host', 'hub'],
    ['redis://host/0', 'hub'],
    ['redis://host/3', 'hub@3'],
    ['redis+sentinel://host/master/3', 'hub@3'],
    ['redis+cluster://host', 'hub'],
  ])('is the prefix, and the number of a database that is not the first: %s', (url, begins) => {
    const settings = redisSettingsOf(url);
    expect(settings && prefixIn(settings, 'hub')).toBe(begins);
  });
});

describe('the block redis of the configuration file', () => {
  let folder: string;
  beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'redis-settings-'))));
  afterAll(() => rmSync(folder, { recursive: true }));

  const block = (redis: unknown, environment: Environment = {}): ReturnType<typeof read> => {
    const HUB_CONFIG = join(folder, 'hub.json');
    writeFileSync(HUB_CONFIG, JSON.stringify({ redis }));
    return read({ ...environment, HUB_CONFIG });
  };

  it('says the same as an address', () => {
    const access = { username: 'hub', password: { env: 'WORD' }, tls: true };
    const userinfo = 'hub:hush@';
    for (const [written, url] of [
      [{ server: 'cache:7000', db: 3 }, `rediss://${userinfo}cache:7000/3`],
      [{ server: '[fd00::1]' }, `rediss://${userinfo}[fd00::1]`],
      [{ sentinels: ['a', 'b:7000'], name: 'main', db: 2 }, `rediss+sentinel://${userinfo}a,b:7000/main/2`],
      [{ cluster: ['a', 'b:7000'] }, `rediss+cluster://${userinfo}a,b:7000`],
    ] as const) {
      const settings = block({ ...written, ...access }, { WORD: 'hush' }) as RedisSettings;
      expect({ ...settings, password: password(settings) }).toEqual({ ...redisSettingsOf(url), password: 'hush' });
    }
  });

  const form = 'must be a server, or sentinels and a name, or a cluster; with any of username, password, tls and db';
  const reference = 'must be { env: VARIABLE } or { file: path }; a secret itself has no place in this file';

  it.each<[unknown, string]>([
    [{}, `HUB_CONFIG.redis: ${form}`],
    ['redis://:hush@cache', `HUB_CONFIG.redis: ${form}`],
    [{ password: 'hush' }, `HUB_CONFIG.redis: ${form}`],
    [{ server: 'a', cluster: ['b'] }, `HUB_CONFIG.redis: ${form}`],
    [{ sentinels: ['a'] }, 'HUB_CONFIG.redis.name: is missing'],
    [{ sentinels: [], name: 'main' }, 'HUB_CONFIG.redis.sentinels: '],
    [{ sentinels: ['a', ':hush@b'], name: 'main' }, 'HUB_CONFIG.redis.sentinels.1: must be host or host:port'],
    [{ cluster: [] }, 'HUB_CONFIG.redis.cluster: '],
    [{ cluster: ['a'], db: 1 }, 'HUB_CONFIG.redis: Unrecognized key: "db"'],
    [{ server: 'hub:hush@a' }, 'HUB_CONFIG.redis.server: must be host or host:port'],
    [{ server: 'a', db: 1024 }, 'HUB_CONFIG.redis.db: '],
    [{ server: 'a', db: '1' }, 'HUB_CONFIG.redis.db: '],
    [{ server: 'a', username: '' }, 'HUB_CONFIG.redis.username: '],
    [{ server: 'a', password: 'hush' }, `HUB_CONFIG.redis.password: ${reference}`],
    [{ server: 'a', password: 4711 }, `HUB_CONFIG.redis.password: ${reference}`],
    [{ sentinels: ['a'], name: 'm', sentinelPassword: 'hush' }, `HUB_CONFIG.redis.sentinelPassword: ${reference}`],
    [{ server: 'a', sentinelPassword: { env: 'WORD' } }, 'HUB_CONFIG.redis: Unrecognized key: "sentinelPassword"'],
    [{ server: 'a', pasword: 'hush' }, 'HUB_CONFIG.redis: Unrecognized key: "pasword"'],
    [{ server: 'a', password: { env: 'GONE' } }, 'HUB_CONFIG.redis.password: the variable GONE is not set'],
    [{ server: 'a', tls: { ca: { file: 'gone.pem' } } }, 'HUB_CONFIG.redis.tls.ca: the file cannot be read (ENOENT)'],
    [{ server: 'a', tls: { key: 'hush' } }, `HUB_CONFIG.redis.tls.key: ${reference}`],
    [{ server: 'a', tls: { verify: false } }, 'HUB_CONFIG.redis.tls: Unrecognized key: "verify"'],
    [{ server: 'a', tls: false }, 'HUB_CONFIG.redis.tls: must be true, or any of ca, cert, key'],
  ])('is refused by the name of the setting, and shows nothing of it: %j', (written, expected) => {
    const faults = block(written, { WORD: 'hush' }) as readonly string[];
    expect(faults).toEqual([expect.stringContaining(expected)]);
    expect(faults.join()).not.toContain('hush');
  });

  it('tells all of its faults at once', () => {
    expect(block({ server: 'a:b', db: -1, password: 'hush', tls: 'yes' })).toEqual([
      expect.stringMatching(/\.password: /),
      expect.stringMatching(/\.tls: /),
      expect.stringMatching(/\.server: /),
      expect.stringMatching(/\.db: /),
    ]);
  });
});

describe('a password of Redis', () => {
  let folder: string;
  beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'redis-settings-'))));
  afterAll(() => rmSync(folder, { recursive: true }));

  /** Long enough not to be a part of our own words by chance, and with all that a URL is made of. */
  const words = fc.string({
    unit: fc.constantFrom(...Array.from('abcXYZ0189-_.~:/?#[]@!$&()*+,;=% "\\\u00e4')),
    minLength: 9,
    maxLength: 30,
  });

  it('is nowhere in what is said of an address, be it right or wrong', () => {
    const forms = fc.constantFrom(
      'redis://:#@cache',
      'redis://hub:#@cache:7000/1',
      'rediss+sentinel://hub:#@a,b/main',
      'redis+cluster://#:#@a',
      'redis://cache/#',
      'redis://#',
      'redis+sentinel://a/#',
      'redis://cache?password=#',
      'redis+#://cache',
      '#',
    );
    fc.assert(
      fc.property(words, forms, fc.boolean(), (word, url, isEncoded) => {
        fc.pre(word.trim() !== '');
        const outcome = read({ REDIS_URL: url.replaceAll('#', () => (isEncoded ? encodeURIComponent(word) : word)) });
        const isRight = outcome !== undefined && 'kind' in outcome;
        // A host, the name of a master and a user are no secrets, wherever they were meant to go.
        const shown = isRight
          ? [outcome.password, inspect(outcome.password), JSON.stringify(outcome.password)]
          : outcome;
        expect(String(shown)).not.toContain(word);
        expect(String(shown)).not.toContain(encodeURIComponent(word));
      }),
    );
  });

  it('is nowhere in what is said of the configuration file, wherever in the block it was put', () => {
    const places = fc.constantFrom<(word: string) => unknown>(
      (word) => word,
      (password) => ({ server: 'cache', password }),
      (word) => ({ server: 'cache', password: { value: word } }),
      (server) => ({ server: `:${server}@cache` }),
      (word) => ({ cluster: ['a', `:${word}@b`] }),
      (sentinelPassword) => ({ sentinels: ['a'], name: 'main', sentinelPassword }),
      (pass) => ({ server: 'cache', pass }),
      (key) => ({ server: 'cache', tls: { key } }),
      (tls) => ({ server: 'cache', tls }),
      (db) => ({ server: 'cache', db }),
    );
    fc.assert(
      fc.property(words, places, (word, place) => {
        const HUB_CONFIG = join(folder, 'hub.json');
        writeFileSync(HUB_CONFIG, JSON.stringify({ redis: place(word) }));
        const faults = read({ HUB_CONFIG });
        expect(faults).toEqual([expect.stringMatching(/^HUB_CONFIG\.redis/)]);
        expect(JSON.stringify(faults)).not.toContain(word);
      }),
    );
  });
});
