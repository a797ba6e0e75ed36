import { env as processEnvironment } from 'node:process';
import { inspect } from 'node:util';
import { newKey } from './random-keys.js';
import type { Environment } from './secret-reader.js';
import { APPID, CLIENT, ENOUGH, faultsOf, file, read, readFile, refusal } from '../../test/configuration.fixture.js';

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
