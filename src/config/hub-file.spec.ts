import { join } from 'node:path';
import { inspect } from 'node:util';
import { type Configuration } from './configuration.js';
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
