import { Buffer } from 'node:buffer';
import { join } from 'node:path';
import { env as processEnvironment } from 'node:process';
import { inspect } from 'node:util';
import { type Configuration } from './configuration.js';
import { newKey } from './random-keys.js';
import type { Environment } from './secret-reader.js';
import {
  type App,
  APPID,
  CLIENT,
  ENOUGH,
  faultsOf,
  file,
  folder,
  read,
  readFile,
  refusal,
} from '../../test/configuration.fixture.js';

describe('the environment', () => {
  it('needs no more than an app and a client, and has a default for all the rest', () => {
    const { settings, apps, clients, warnings, files } = read(ENOUGH);
    expect(settings).toEqual({
      port: 8567,
      wechat: { root: new URL('https://api.weixin.qq.com') },
      wecom: { root: new URL('https://qyapi.weixin.qq.com') },
      logLevel: 'info',
      dataDir: './data',
      authStrict: false,
      rotation: { burst: 3, everySeconds: 30 },
      redisPrefix: 'wechat-token-hub',
      maxConnections: 10_000,
      replayLimit: 2_097_152,
    });
    expect([...apps.keys()]).toEqual(['default']);
    expect(apps.get('default')).toEqual({ identity: `${APPID}/classic`, secret: 'app-secret' });
    expect([...clients.keys()]).toEqual(['web']);
    expect(warnings).toEqual([]);
    expect(files.size).toBe(0);
  });

  it('lets a client of the environment do what the original let it, with every app, and nothing of an administrator', () => {
    expect(read(ENOUGH).clients.get('web')).toMatchObject({
      apps: '*',
      may: new Set(['read', 'rotate', 'report', 'sign']),
    });
  });

  it('takes every setting over', () => {
    const storeKey = newKey();
    const { settings, apps } = read({
      ...ENOUGH,
      PORT: '0',
      WECHAT_API_ROOT: 'http://127.0.0.1:8080/wechat/',
      WECOM_API_ROOT: 'https://wecom.example',
      DATA_DIR: '/var/lib/hub',
      AUTH_STRICT: 'true',
      ROTATION_BURST: '5',
      ROTATION_INTERVAL: '60',
      CLIENT_RATE: '50',
      CLIENT_BURST: '70',
      MAX_CONNECTIONS: '123',
      TRUST_PROXY: '10.0.0.0/8, fd00::1',
      WECHAT_TOKEN_ENDPOINT: 'stable',
      STORE_KEY: storeKey,
    });
    expect(settings).toMatchObject({
      port: 0,
      wechat: { root: new URL('http://127.0.0.1:8080/wechat/') },
      wecom: { root: new URL('https://wecom.example') },
      dataDir: '/var/lib/hub',
      authStrict: true,
      rotation: { burst: 5, everySeconds: 60 },
      clientRate: { perSecond: 50, burst: 70 },
      maxConnections: 123,
    });
    const { trustedProxies } = settings;
    expect(['10.1.2.3', '11.1.2.3'].map((address) => trustedProxies?.check(address))).toEqual([true, false]);
    expect(['fd00::1', 'fd00::2'].map((address) => trustedProxies?.check(address, 'ipv6'))).toEqual([true, false]);
    expect(settings.storeKeys?.reveal()).toBe(storeKey);
    expect(apps.get('default')?.identity).toBe(`${APPID}/stable`);
  });

  it('keeps an audit where it is told to, with the keys of the store unless it has others', () => {
    const [one, other] = [newKey(), newKey()];
    expect(read(ENOUGH).settings.audit).toBeUndefined();
    const ofStore = read({ ...ENOUGH, AUDIT_FILE: '-', STORE_KEY: one }).settings.audit;
    expect([ofStore?.path, ofStore?.isRequired, ofStore?.keys.reveal()]).toEqual(['-', false, one]);
    const own = { ...ENOUGH, AUDIT_FILE: 'audit', STORE_KEY: one, AUDIT_KEY_FILE: file('audit-key', other) };
    const { audit } = read({ ...own, AUDIT_REQUIRED: 'true' }).settings;
    expect([audit?.path, audit?.isRequired, audit?.keys.reveal()]).toEqual(['audit', true, other]);
  });

  it.each<[fault: string, environment: Environment]>([
    ['AUDIT_KEY: is needed for AUDIT_FILE, unless there is a STORE_KEY', { AUDIT_FILE: '-' }],
    [
      'AUDIT_KEY: must be 32 random bytes in base64, or several such, newest first',
      { AUDIT_FILE: '-', AUDIT_KEY: 'x' },
    ],
    ['AUDIT_REQUIRED: needs AUDIT_FILE', { AUDIT_REQUIRED: 'true' }],
    ['AUDIT_REQUIRED: must be true or false', { AUDIT_REQUIRED: 'yes' }],
    ['AUDIT_FILE: must name a file, or - for stdout', { AUDIT_FILE: '' }],
    ['STORE_KEY: must be 32 random bytes in base64, or several such, newest first', { STORE_KEY: 'c2hvcnQ=' }],
  ])('is refused: %s', (fault, environment) => {
    expect(faultsOf(() => read({ ...ENOUGH, ...environment }))).toEqual([fault]);
  });

  it('has what its settings want of each other told beside what is wrong with one alone', () => {
    const environment = { ...ENOUGH, PORT: 'http', AUDIT_REQUIRED: 'true', CLIENT_BURST: '5', STORE_KEY: 'short' };
    expect(faultsOf(() => read(environment)).map((fault) => fault.split(':')[0])).toEqual([
      'STORE_KEY',
      'CLIENT_BURST',
      'AUDIT_REQUIRED',
      'PORT',
    ]);
  });

  it('has its faults told all at once, each by the name of its setting', () => {
    const faults = faultsOf(() =>
      read({
        PORT: 'http',
        WECHAT_API_ROOT: 'api.weixin.qq.com',
        WECOM_API_ROOT: 'ftp://qyapi.weixin.qq.com',
        DATA_DIR: '',
        REDIS_URL: 'http://cache',
        REDIS_PREFIX: 'a b',
        AUTH_STRICT: 'yes',
        ROTATION_BURST: '0',
        ROTATION_INTERVAL: '-1',
        CLIENT_RATE: '0',
        CLIENT_BURST: 'many',
        MAX_CONNECTIONS: '0',
        TRUST_PROXY: 'all',
        TLS_CERT_FILE: '/nowhere',
        NODE_DEBUG: 'http',
        APPID: 'w x',
        WECHAT_TOKEN_ENDPOINT: 'fast',
        STORE_KEY: ' ',
        JWT_KEY_web: '',
        JWT_KEY_: 'k',
      }),
    );
    const settings = faults.map((fault) => fault.split(':')[0]);
    expect(settings.sort()).toEqual([
      'APPID',
      'APPSECRET',
      'AUTH_STRICT',
      'CLIENT_BURST',
      'CLIENT_RATE',
      'DATA_DIR',
      'JWT_KEY_',
      'JWT_KEY_web',
      'MAX_CONNECTIONS',
      'NODE_DEBUG',
      'PORT',
      'REDIS_PREFIX',
      'REDIS_URL',
      'ROTATION_BURST',
      'ROTATION_INTERVAL',
      'STORE_KEY',
      'TLS_CERT_FILE',
      'TLS_KEY_FILE',
      'TRUST_PROXY',
      'WECHAT_API_ROOT',
      'WECHAT_TOKEN_ENDPOINT',
      'WECOM_API_ROOT',
    ]);
  });

  it('has a burst of clients only where it has a rate of theirs', () => {
    expect(read({ ...ENOUGH, CLIENT_RATE: '7' }).settings.clientRate).toEqual({ perSecond: 7, burst: 70 });
    expect(faultsOf(() => read({ ...ENOUGH, CLIENT_BURST: '7' }))).toEqual(['CLIENT_BURST: needs CLIENT_RATE']);
  });

  it('is refused in a report with a line for each fault', () => {
    const { message } = refusal(() => read({ ...ENOUGH, PORT: 'x', AUTH_STRICT: 'x' }));
    expect(message).toMatch(/^The configuration has 2 faults:\n {2}- PORT: .+\n {2}- AUTH_STRICT: .+$/);
    expect(refusal(() => read({ ...ENOUGH, PORT: 'x' })).message).toMatch(/^The configuration has a fault:\n/);
  });

  it('has no value of any setting told, whatever is wrong with it', () => {
    const canary = (setting: string): string => `canary-${setting.toLowerCase()}-7f3a`;
    const names = [
      'PORT',
      'WECHAT_API_ROOT',
      'WECOM_API_ROOT',
      'REDIS_URL',
      'AUTH_STRICT',
      'ROTATION_BURST',
      'ROTATION_INTERVAL',
      'CLIENT_RATE',
      'CLIENT_BURST',
      'MAX_CONNECTIONS',
      'TRUST_PROXY',
      'TLS_CERT_FILE',
      'TLS_KEY_FILE',
      'TLS_CLIENT_CA_FILE',
      'APPSECRET',
      'APPSECRET_FILE',
      'WECHAT_TOKEN_ENDPOINT',
      'HUB_CONFIG',
      'STORE_KEY',
      'STORE_KEY_FILE',
      'AUDIT_KEY',
      'AUDIT_REQUIRED',
      'JWT_KEY_web',
      'JWT_KEY_web_FILE',
      'JWT_KEY_shop_FILE',
      'JWT_KEY_',
    ];
    const environment = Object.fromEntries(names.map((name) => [name, canary(name)]));
    const error = refusal(() => read({ ...environment, APPID: 'canary appid 7f3a' }));
    expect(error.faults).toHaveLength(24);
    const report = `${error.message}\n${error.stack ?? ''}\n${inspect(error, { depth: 10 })}\n${JSON.stringify(error)}`;
    expect(report).not.toMatch(/7f3a/i);
  });

  it.each(['-1', '65536', '1e3', '0x50', ' 80', '80 ', '80.5', '', '99999999999'])('refuses %j as a port', (PORT) => {
    expect(faultsOf(() => read({ ...ENOUGH, PORT }))).toEqual(['PORT: must be a whole number from 0 to 65535']);
  });

  it.each([
    'ftp://api.weixin.qq.com',
    'file:///etc/passwd',
    'javascript:alert(1)',
    'api.weixin.qq.com',
    '//api.weixin.qq.com',
    'https://',
    '',
    'https://user@api.weixin.qq.com',
    'https://:password@api.weixin.qq.com',
    'https://api.weixin.qq.com?a=b',
    'https://api.weixin.qq.com/#top',
  ])('refuses %j as the root of an API', (root) => {
    const message = 'must be an http or https address without credentials, query and fragment';
    expect(faultsOf(() => read({ ...ENOUGH, WECHAT_API_ROOT: root, WECOM_API_ROOT: root }))).toEqual([
      `WECHAT_API_ROOT: ${message}`,
      `WECOM_API_ROOT: ${message}`,
    ]);
  });

  describe('of the shared store', () => {
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

  it('says what is missing when nothing is configured', () => {
    expect(faultsOf(() => read({}))).toEqual([
      expect.stringMatching(/^APPID: no app is configured/),
      expect.stringMatching(/^JWT_KEY_\{kid\}: no client is configured/),
    ]);
  });
});

describe('the app of APPID', () => {
  it('needs its AppSecret', () => {
    expect(faultsOf(() => read({ ...CLIENT, APPID }))).toEqual([
      'APPSECRET: the variable APPSECRET is not set, nor APPSECRET_FILE',
    ]);
  });

  it('needs its appid', () => {
    expect(faultsOf(() => read({ ...CLIENT, APPSECRET: 'app-secret' }))).toEqual(['APPID: is missing']);
    expect(faultsOf(() => read({ ...CLIENT, APPSECRET_FILE: file('secret', 'app-secret') }))).toEqual([
      'APPID: is missing',
    ]);
  });

  it.each(['', 'wx 0123', 'wx/../0123', 'wx0123?secret='])('must have an appid, which %j is not', (id) => {
    expect(faultsOf(() => read({ ...ENOUGH, APPID: id }))).toEqual([
      expect.stringMatching(/^APPID: must be an appid$/),
    ]);
  });

  it.each(['Stable', '', 'stable_token'])('has a classic or a stable endpoint, and none called %j', (endpoint) => {
    expect(faultsOf(() => read({ ...ENOUGH, WECHAT_TOKEN_ENDPOINT: endpoint }))).toEqual([
      'WECHAT_TOKEN_ENDPOINT: must be classic or stable',
    ]);
  });

  it('is what WECHAT_TOKEN_ENDPOINT speaks of', () => {
    const text = `apps: { shop: { platform: official-account, appid: ${APPID}, secret: { env: S } } }`;
    expect(readFile(text, { ...CLIENT, S: 's', WECHAT_TOKEN_ENDPOINT: 'stable' }).warnings).toContain(
      'WECHAT_TOKEN_ENDPOINT: speaks of the app of APPID, which is not set',
    );
  });

  it('is not told twice when it is at fault and a client names it', () => {
    const text = 'clients: { web: { key: { env: K }, apps: [default] } }';
    expect(faultsOf(() => readFile(text, { APPID, K: 'k'.repeat(32) }))).toEqual([
      expect.stringMatching(/^APPSECRET: /),
    ]);
  });
});

describe('a secret in a file', () => {
  it.each([
    ['app-secret', 'app-secret'],
    ['app-secret\n', 'app-secret'],
    ['app-secret\r\n', 'app-secret'],
    ['app-secret\n\n', 'app-secret\n'],
    ['app-secret\r\n\r\n', 'app-secret\r\n'],
    ['app-secret\r', 'app-secret\r'],
    [' app-secret \n', ' app-secret '],
    ['\napp-secret', '\napp-secret'],
    ['密钥\n', '密钥'],
  ])('is everything in it, less one trailing newline: %j is %j', (text, secret) => {
    const { apps, files } = read({ ...ENOUGH, APPSECRET: undefined, APPSECRET_FILE: file('key', text) });
    expect(apps.get('default')?.secret).toBe(secret);
    expect(files).toEqual(new Set([join(folder, 'key')]));
  });

  it('can be any secret: an AppSecret, a key of a client, the key of the store', () => {
    const [secret, key] = [file('secret', 'app-secret\n'), file('key', 'k'.repeat(32))];
    const { apps, clients, files } = read({ APPID, APPSECRET_FILE: secret, JWT_KEY_web_FILE: key });
    expect([...apps.keys(), ...clients.keys()]).toEqual(['default', 'web']);
    expect(clients.get('web')?.keys[0]?.key.export()).toEqual(Buffer.from('k'.repeat(32)));
    expect(files).toEqual(new Set([secret, key]));
  });

  it.each(['APPSECRET', 'JWT_KEY_web', 'STORE_KEY'])('must not be in %s at the same time', (variable) => {
    const both = { ...ENOUGH, STORE_KEY: newKey(), [`${variable}_FILE`]: file('secret', 'x'.repeat(32)) };
    expect(faultsOf(() => read(both))).toEqual([`${variable}: set ${variable} or ${variable}_FILE, not both`]);
  });

  it.each([
    ['that is missing', (): string => join(folder, 'nowhere'), /cannot be read \(ENOENT\)$/],
    ['in a folder that is none', (): string => join(file('plain', 'x'), 'secret'), /cannot be read \(ENOTDIR\)$/],
    ['that is a folder', (): string => folder, /cannot be read \(EISDIR\)$/],
    ['that has no name', (): string => '', /: STORE_KEY_FILE names no file$/],
    ['that is blank', (): string => file('blank', ' \t\r\n'), /: is blank$/],
    ['that is empty', (): string => file('empty', ''), /: is blank$/],
    ['that is huge', (): string => file('huge', 'x'.repeat(65_537)), /: the file is larger than 64 KiB$/],
    ['that is no text', (): string => file('raw', Buffer.of(0x6b, 0xff, 0xfe, 0x00)), /: the file is not UTF-8 text$/],
  ])('is refused %s', (_, path, message) => {
    expect(faultsOf(() => read({ ...ENOUGH, STORE_KEY_FILE: path() }))).toEqual([expect.stringMatching(message)]);
  });
});

describe('the configuration file', () => {
  const environment = { SHOP_SECRET: 'shop-secret', CRM_SECRET: 'crm-secret', WEB_KEY: 'k'.repeat(32) };
  const yaml = `
apps:
  shop:  # 商店
    platform: official-account
    appid: wx0123456789abcdef
    secret: { env: SHOP_SECRET }
    endpoint: stable
  game:
    platform: official-account
    appid: wxfedcba9876543210
    secret: { file: secrets/game }
  crm:
    platform: wecom
    corpid: ww0123456789abcdef
    agentid: 1000002
    secret: { env: CRM_SECRET }
clients:
  web:
    key: { env: WEB_KEY }
    apps: [shop, crm]
    may: [read, sign]
  ops:
    key: { file: /proc/self/nowhere }
    apps: '*'
`;

  function expectAll({ apps, clients, files }: Configuration<App>): void {
    expect(Object.fromEntries(apps)).toEqual({
      shop: { identity: `${APPID}/stable`, secret: 'shop-secret' },
      game: { identity: 'wxfedcba9876543210/classic', secret: 'game-secret' },
      crm: { identity: 'ww0123456789abcdef/1000002', secret: 'crm-secret' },
    });
    expect(clients.get('web')).toMatchObject({ apps: new Set(['shop', 'crm']), may: new Set(['read', 'sign']) });
    expect(clients.get('ops')).toMatchObject({ apps: '*', may: new Set(['read', 'report']) });
    const names = ['hub.yaml', 'secrets/game', 'secrets/ops'];
    expect(files).toEqual(new Set(names.map((name) => join(folder, name))));
  }

  beforeEach(() => {
    file('secrets/game', 'game-secret\n');
    file('secrets/ops', `${'o'.repeat(32)}\n`);
  });

  it('brings apps and clients, in YAML; relative paths in it start where it lies', () => {
    expectAll(readFile(yaml.replace('/proc/self/nowhere', 'secrets/ops'), environment));
  });

  it('may be JSON as well', () => {
    const json = {
      apps: {
        shop: { platform: 'official-account', appid: APPID, secret: { env: 'SHOP_SECRET' }, endpoint: 'stable' },
        game: { platform: 'official-account', appid: 'wxfedcba9876543210', secret: { file: 'secrets/game' } },
        crm: { platform: 'wecom', corpid: 'ww0123456789abcdef', agentid: 1000002, secret: { env: 'CRM_SECRET' } },
      },
      clients: {
        web: { key: { env: 'WEB_KEY' }, apps: ['shop', 'crm'], may: ['read', 'sign'] },
        ops: { key: { file: join(folder, 'secrets/ops') }, apps: ['*', 'shop'] },
      },
    };
    expectAll(readFile(JSON.stringify(json, null, 2), environment));
    expectAll(readFile(`\ufeff${JSON.stringify(json)}`, environment));
  });

  it('joins what the environment configures', () => {
    const { apps, clients } = readFile(yaml.replace('/proc/self/nowhere', 'secrets/ops').replaceAll(APPID, 'wx1'), {
      ...environment,
      APPID,
      APPSECRET: 'app-secret',
      JWT_KEY_old: 'k'.repeat(32),
    });
    expect([...apps.keys()]).toEqual(['shop', 'game', 'crm', 'default']);
    expect([...clients.keys()]).toEqual(['web', 'ops', 'old']);
  });

  it('may be empty when the environment says enough', () => {
    for (const text of ['# nothing yet\n', '{}', 'null']) {
      expect([...readFile(text, ENOUGH).apps.keys()]).toEqual(['default']);
    }
    expect(faultsOf(() => readFile('{}', {}))).toHaveLength(2);
  });

  it.each(['', '\n', ' \r\n\t'])(
    'is a fault where nothing at all is in it, as while somebody writes it: %j',
    (text) => {
      expect(faultsOf(() => readFile(text, ENOUGH))).toEqual([
        'HUB_CONFIG: is empty; write {} if there is nothing to say',
      ]);
    },
  );

  it.each([
    ['is missing', (): string => join(folder, 'nowhere.yaml'), 'ENOENT'],
    ['is a folder', (): string => folder, 'EISDIR'],
  ])('is a fault when it %s, and nothing else is blamed for it', (_, path, code) => {
    expect(faultsOf(() => read({ HUB_CONFIG: path() }))).toEqual([`HUB_CONFIG: the file cannot be read (${code})`]);
  });

  it('is a fault when its setting is empty', () => {
    expect(faultsOf(() => read({ HUB_CONFIG: '' }))).toEqual(['HUB_CONFIG: names no file']);
  });

  it.each([
    ['a bracket that is left open', 'apps:\n  shop: { platform: canary-7f3a,\nclients: canary-7f3a', /, line 3 /],
    ['a tab for indentation', 'apps:\n\tcanary-7f3a: {}\n', /, line 2 /],
    ['a quote that is left open', 'apps: "canary-7f3a\n', /YAML or JSON/],
    ['an app that is there twice', 'apps:\n  canary-7f3a: {}\n  canary-7f3a: {}\n', /, line 3 /],
    ['a member that is there twice in JSON', '{"apps": {}, \n "apps": {"canary-7f3a": {}}}', /, line 2 /],
    ['two documents', 'apps: {}\n---\napps: { canary-7f3a: {} }\n', /YAML or JSON/],
    ['an alias of nothing', 'apps: *canary-7f3a\n', /YAML or JSON/],
    ['no YAML at all', '%canary-7f3a\u0000{[', /YAML or JSON/],
  ])('is refused with %s; the report has the place and nothing of the content', (_, text, line) => {
    const error = refusal(() => readFile(text, {}));
    expect(error.faults).toEqual([expect.stringMatching(/^HUB_CONFIG: is not valid YAML or JSON/)]);
    expect(error.message).toMatch(line);
    expect(`${error.stack ?? ''}${inspect(error, { depth: 10 })}`).not.toContain('7f3a');
  });

  it.each([
    ['a list', '- apps\n'],
    ['a text', 'canary-7f3a\n'],
    ['a number', '42\n'],
  ])('is refused as %s', (_, text) => {
    const error = refusal(() => readFile(text, {}));
    expect(error.faults).toHaveLength(1);
    expect(error.message).toMatch(/- HUB_CONFIG: /);
    expect(error.message).not.toContain('7f3a');
  });

  it('has every fault told at once, by its place', () => {
    const text = `
apps:
  Shop: { platform: official-account, appid: wx1, secret: { env: SHOP_SECRET } }
  noplatform: { appid: wx2, secret: { env: SHOP_SECRET } }
clients:
  web: { key: { env: WEB_KEY } }
surplus: canary-7f3a
`;
    const error = refusal(() => readFile(text, environment));
    expect(error.faults).toEqual([
      'HUB_CONFIG.apps.noplatform.platform: must name the platform of the app',
      "HUB_CONFIG.clients.web.apps: must be a list of apps, or '*'",
      expect.stringMatching(/^HUB_CONFIG: .*surplus/),
    ]);
    const apps = `
apps:
  Shop: { platform: official-account, appid: wx1, secret: { env: SHOP_SECRET } }
  b: { platform: official-account, appid: 'w x', secret: { env: NOWHERE }, endpoint: fast, surplus: canary-7f3a }
  c: { platform: telegram, appid: wx3, secret: { env: SHOP_SECRET } }
  d: { platform: wecom, appid: wx3 }
clients:
  web: { key: { env: NOWHERE }, apps: [nowhere] }
  'k d': { key: { file: nowhere }, apps: [] }
`;
    const faults = faultsOf(() => readFile(apps, environment));
    for (const expected of [
      /^HUB_CONFIG\.apps\.Shop: the name must match /,
      /^HUB_CONFIG\.apps\.b\.appid: must be an appid$/,
      /^HUB_CONFIG\.apps\.b\.secret: the variable NOWHERE is not set/,
      /^HUB_CONFIG\.apps\.b\.endpoint: must be classic or stable$/,
      /^HUB_CONFIG\.apps\.b: .*surplus/,
      /^HUB_CONFIG\.apps\.c: the platform must be one of official-account, wecom$/,
      /^HUB_CONFIG\.apps\.d\.corpid: is missing$/,
      /^HUB_CONFIG\.apps\.d\.agentid: is missing$/,
      /^HUB_CONFIG\.apps\.d\.secret: /,
      /^HUB_CONFIG\.apps\.d: .*appid/,
      /^HUB_CONFIG\.clients\.web\.key: the variable NOWHERE is not set/,
      /^HUB_CONFIG\.clients\.web\.apps: names an app that is not configured$/,
      /^HUB_CONFIG\.clients\.k d\.key: the kid must match /,
      /^HUB_CONFIG\.clients\.k d\.key: the file cannot be read \(ENOENT\)$/,
    ]) {
      expect(faults).toContainEqual(expect.stringMatching(expected));
    }
    expect(faults).toHaveLength(14);
  });

  it.each([
    ['a secret in plain text', 'canary-7f3a'],
    ['a secret that YAML takes for a number', '12345678'],
    ['a secret in a list', '[canary-7f3a]'],
    ['a secret in braces', '{ canary-7f3a }'],
    ['a reference to two places', '{ env: SHOP_SECRET, file: secrets/game }'],
    ['a reference to nowhere', '{}'],
    ['a reference with more than a place', '{ env: SHOP_SECRET, value: canary-7f3a }'],
    ['nothing', 'null'],
  ])('holds references to secrets, and not %s', (_, secret) => {
    const app = `apps: { shop: { platform: official-account, appid: wx1, secret: ${secret} } }`;
    const client = `clients: { web: { key: ${secret}, apps: '*' } }`;
    const errors = [
      refusal(() => readFile(app, { ...environment, ...CLIENT })),
      refusal(() => readFile(client, ENOUGH)),
    ];
    expect(errors.map(({ faults }) => faults)).toEqual([
      [expect.stringMatching(/^HUB_CONFIG\.apps\.shop\.secret: must be \{ env: VARIABLE \} or \{ file: path \}/)],
      [expect.stringMatching(/^HUB_CONFIG\.clients\.web\.key: must be \{ env: VARIABLE \} or \{ file: path \}/)],
    ]);
    expect(inspect(errors, { depth: 10 })).not.toMatch(/7f3a|12345678/);
  });

  it.each(['Shop', '-shop', 'sh_op', 'a/b', '商店', "''", 'x'.repeat(41)])('has no app called %s', (name) => {
    const text = `apps: { ${name}: { platform: official-account, appid: wx1, secret: { env: SHOP_SECRET } } }`;
    expect(faultsOf(() => readFile(text, { ...environment, ...CLIENT }))).toEqual([
      expect.stringMatching(/: the name must match /),
    ]);
  });

  it('is refused when two of its apps are the same account, or one is that of the environment', () => {
    const shop = (more: string): string =>
      `{ platform: official-account, appid: ${APPID}, secret: { env: SHOP_SECRET }${more} }`;
    const two = `apps: { one: ${shop('')}, two: ${shop(', endpoint: classic')} }`;
    expect(faultsOf(() => readFile(two, { ...environment, ...CLIENT }))).toEqual([
      "HUB_CONFIG.apps.two: is the same account as the app one: they would end each other's tokens",
    ]);
    expect(faultsOf(() => readFile(`apps: { shop: ${shop('')} }`, { ...environment, ...ENOUGH }))).toEqual([
      "APPID: is the same account as the app shop: they would end each other's tokens",
    ]);
    const stable = `apps: { shop: ${shop(', endpoint: stable')} }`;
    expect([...readFile(stable, { ...environment, ...ENOUGH }).apps.keys()]).toEqual(['shop', 'default']);
  });

  it('must not describe the app of the environment once more', () => {
    const text = 'apps: { default: { platform: official-account, appid: wx1, secret: { env: SHOP_SECRET } } }';
    expect(faultsOf(() => readFile(text, { ...environment, ...ENOUGH }))).toEqual([
      'APPID: the environment and HUB_CONFIG both describe this app',
    ]);
  });

  it('must not hold a key for a kid of the environment', () => {
    const text = "clients: { web: { key: { env: WEB_KEY }, apps: '*' } }";
    expect(faultsOf(() => readFile(text, { ...environment, ...ENOUGH }))).toEqual([
      'JWT_KEY_web: the environment and HUB_CONFIG both hold a key for this kid',
    ]);
  });

  it('lets a client name apps that are configured, and no others', () => {
    const web = (apps: string): (() => Configuration<App>) => {
      const text = `clients: { shop: { key: { env: WEB_KEY }, apps: ${apps} } }`;
      return () => readFile(text, { ...environment, ...ENOUGH });
    };
    expect(web('[default]')().clients.get('shop')?.apps).toEqual(new Set(['default']));
    expect(web("'*'")().clients.get('shop')?.apps).toBe('*');
    expect(web("['*']")().clients.get('shop')?.apps).toBe('*');
    expect(web("[default, '*']")().clients.get('shop')?.apps).toBe('*');
    expect(web('[]')().clients.get('shop')?.apps).toEqual(new Set());
    expect(faultsOf(web('[default, defualt]'))).toEqual([
      'HUB_CONFIG.clients.shop.apps: names an app that is not configured',
    ]);
    expect(faultsOf(web('default'))).toEqual(["HUB_CONFIG.clients.shop.apps: must be a list of apps, or '*'"]);
  });

  it('lets a client read and report unless it says more or less', () => {
    const may = (actions: string): (() => Configuration<App>) => {
      const text = `clients: { shop: { key: { env: WEB_KEY }, apps: '*'${actions} } }`;
      return () => readFile(text, { ...environment, ...ENOUGH });
    };
    expect(may('')().clients.get('shop')?.may).toEqual(new Set(['read', 'report']));
    expect(may(', may: []')().clients.get('shop')?.may).toEqual(new Set());
    expect(may(', may: [read, rotate, report, sign, proxy, admin]')().clients.get('shop')?.may.size).toBe(6);
    expect(faultsOf(may(', may: [read, write, canary-7f3a]'))).toEqual([
      'HUB_CONFIG.clients.shop.may.1: must be one of read, rotate, report, sign, proxy, admin',
      'HUB_CONFIG.clients.shop.may.2: must be one of read, rotate, report, sign, proxy, admin',
    ]);
  });
});

describe('the proxy on the way to an upstream', () => {
  const NAMES = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'NO_PROXY'].flatMap((name) => [name, name.toLowerCase()]);
  const before = NAMES.map((name) => [name, processEnvironment[name]] as const);

  /** The proxies for an upstream by https and one by http. */
  function proxies(environment: Readonly<Record<string, string>>): readonly (string | undefined)[] {
    Object.assign(processEnvironment, environment);
    const { wechat, wecom } = read({ ...ENOUGH, ...environment, WECOM_API_ROOT: 'http://wecom.example:8080' }).settings;
    return [wechat.proxy?.href, wecom.proxy?.href];
  }

  function restore(values: readonly (readonly [string, string | undefined])[]): void {
    for (const [name, value] of values) {
      if (value === undefined) Reflect.deleteProperty(processEnvironment, name);
      else processEnvironment[name] = value;
    }
  }

  beforeEach(() => restore(NAMES.map((name) => [name, undefined])));
  afterEach(() => restore(before));

  it('is none where the environment sets none', () => {
    expect(proxies({})).toEqual([undefined, undefined]);
  });

  it.each([
    [{ HTTPS_PROXY: 'http://proxy:3128' }, 'http://proxy:3128/', undefined],
    [{ https_proxy: 'http://proxy:3128' }, 'http://proxy:3128/', undefined],
    [{ HTTPS_PROXY: 'proxy:3128' }, 'http://proxy:3128/', undefined],
    [{ all_proxy: '10.0.0.1' }, 'http://10.0.0.1/', 'http://10.0.0.1/'],
    [{ HTTP_PROXY: 'http://proxy:3128' }, undefined, 'http://proxy:3128/'],
    [{ ALL_PROXY: 'https://proxy:3129' }, 'https://proxy:3129/', 'https://proxy:3129/'],
    [{ HTTPS_PROXY: 'http://a', ALL_PROXY: 'http://b' }, 'http://a/', 'http://b/'],
    [{ ALL_PROXY: 'http://proxy', NO_PROXY: '*' }, undefined, undefined],
    [{ ALL_PROXY: 'http://proxy', NO_PROXY: 'localhost,.weixin.qq.com' }, undefined, 'http://proxy/'],
    [{ ALL_PROXY: 'http://proxy', no_proxy: 'wecom.example:8080' }, 'http://proxy/', undefined],
    [{ ALL_PROXY: 'http://proxy', NO_PROXY: 'wecom.example:80' }, 'http://proxy/', 'http://proxy/'],
  ])('is the one that the environment sets for it: %j', (environment, https, http) => {
    expect(proxies(environment)).toEqual([https, http]);
  });

  it.each(['socks5://user:canary-7f3a@proxy', 'http://[canary-7f3a', 'ftp://canary-7f3a'])(
    'is refused when it is no address of a proxy that the hub can speak to: %s',
    (proxy) => {
      const error = refusal(() => proxies({ HTTPS_PROXY: proxy }));
      expect(error.faults).toEqual(['HTTPS_PROXY: must be an http or https address']);
      expect(inspect(error)).not.toContain('7f3a');
    },
  );
});
