import { inspect } from 'node:util';
import type { Environment } from './secret-reader.js';
import { ENOUGH, faultsOf, file, read } from '../../test/configuration.fixture.js';

describe('the environment of the shared store', () => {
  const redisOf = (REDIS_URL: string): unknown => read({ ...ENOUGH, REDIS_URL }).settings.redis;
  const single = { kind: 'single', host: 'cache', port: 6379, db: 0 };

  it.each([
    ['redis://cache', single],
    ['redis://cache/', single],
    ['redis://cache:7000/3', { ...single, port: 7000, db: 3 }],
    ['redis://10.0.0.1', { ...single, host: '10.0.0.1' }],
    ['redis://[fd00::1]:7000', { ...single, host: 'fd00::1', port: 7000 }],
    ['rediss://cache', { ...single, tls: {} }],
    [
      'redis+sentinel://a,b:7000/main',
      {
        kind: 'sentinel',
        sentinels: [
          { host: 'a', port: 26379 },
          { host: 'b', port: 7000 },
        ],
        name: 'main',
        db: 0,
      },
    ],
    [
      'rediss+sentinel://a/main/2',
      { kind: 'sentinel', sentinels: [{ host: 'a', port: 26379 }], name: 'main', db: 2, tls: {} },
    ],
    [
      'redis+cluster://a:1,b:2',
      {
        kind: 'cluster',
        nodes: [
          { host: 'a', port: 1 },
          { host: 'b', port: 2 },
        ],
      },
    ],
  ])('reads %s', (url, expected) => {
    expect(redisOf(url)).toEqual(expected);
  });

  it.each([
    ['redis://hub:p%40ss@cache', 'hub', 'p@ss'],
    ['redis://:hush@cache', undefined, 'hush'],
    ['rediss+sentinel://hub:hush@a,b/main', 'hub', 'hush'],
  ])('reads user and password of %s', (url, username, password) => {
    const settings = redisOf(url) as { username?: string; password?: { reveal(): string } };
    expect([settings.username, settings.password?.reveal()]).toEqual([username, password]);
    expect(inspect(settings)).not.toContain(password);
  });

  it.each([
    'redis:cache',
    'http://cache',
    'redis://',
    'redis://a,b',
    'redis://cache:99999',
    'redis://cache/x',
    'redis://cache/0/1',
    'redis://cache?db=1',
    'redis+sentinel://a',
    'redis+sentinel://a/main/x',
    'redis+cluster://a/1',
    'redis+pigeon://a',
    'redis://a:b:c@cache',
  ])('refuses %s, and shows nothing of it', (url) => {
    expect(faultsOf(() => redisOf(url))).toEqual([expect.stringMatching(/^REDIS_URL: must be redis:\/\/host/)]);
  });

  it('takes the address from a file, because a password may be in it', () => {
    const path = file('redis-url', 'redis://:secret@cache\n');
    expect(read({ ...ENOUGH, REDIS_URL_FILE: path }).settings.redis).toMatchObject({ ...single });
  });

  const block = (redis: object, environment: Environment = {}): Environment => ({
    ...ENOUGH,
    HUB_CONFIG: file('hub.json', JSON.stringify({ redis })),
    ...environment,
  });

  it('reads what an address cannot hold from the configuration file', () => {
    const ca = file('ca.pem', 'authority\n');
    const { redis } = read(
      block(
        {
          sentinels: ['a', 'b:7000'],
          name: 'main',
          username: 'hub',
          password: { env: 'REDIS_PASSWORD' },
          sentinelPassword: { env: 'REDIS_PASSWORD' },
          tls: { ca: { file: ca }, servername: 'redis.example' },
        },
        { REDIS_PASSWORD: 'secret' },
      ),
    ).settings;
    expect(redis).toMatchObject({ kind: 'sentinel', name: 'main', db: 0, username: 'hub' });
    expect(redis).toMatchObject({ tls: { ca: 'authority', servername: 'redis.example' } });
    expect(redis?.password?.reveal()).toBe('secret');
  });

  it.each([
    [{ server: 'cache', db: 2, tls: true }, 'single'],
    [{ cluster: ['a', 'b'] }, 'cluster'],
  ])('reads %j', (redis, kind) => {
    expect(read(block(redis)).settings.redis?.kind).toBe(kind);
  });

  it.each([
    [{}],
    [{ server: 'cache', cluster: ['a'] }],
    [{ sentinels: ['a'] }],
    [{ cluster: ['a'], db: 1 }],
    [{ server: 'a:b' }],
    [{ server: 'cache', password: 'hush' }],
    [{ server: 'cache', tls: 'yes' }],
    [7],
  ])('refuses %j', (redis) => {
    const faults = faultsOf(() => read(block(redis as object)));
    expect(faults).toEqual([expect.stringMatching(/^HUB_CONFIG\.redis/)]);
    expect(faults.join()).not.toContain('hush');
  });

  it('wants it told in one place', () => {
    expect(faultsOf(() => read(block({ server: 'cache' }, { REDIS_URL: 'redis://cache' })))).toEqual([
      'REDIS_URL: is set, and HUB_CONFIG has redis, too: one of them must go',
    ]);
  });
});
