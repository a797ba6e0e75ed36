import { readConfiguration } from '../../config/configuration.js';
import { ConfigurationError } from '../../config/faults.js';
import { PLATFORMS } from './index.js';
import type { App } from './platform.js';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const APPID = 'wx0123456789abcdef';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'platforms-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Reads apps as they are written in the configuration file. */
function read(apps: Readonly<Record<string, object>>): ReadonlyMap<string, App> {
  const path = join(folder, 'hub.json');
  writeFileSync(path, JSON.stringify({ apps }));
  const environment = { HUB_CONFIG: path, JWT_KEY_web: 'k'.repeat(32), SECRET: 'a-secret', OTHER: 'another-secret' };
  return readConfiguration(environment, PLATFORMS).apps;
}

function faultsOf(apps: Readonly<Record<string, object>>): readonly string[] {
  try {
    read(apps);
  } catch (error) {
    if (error instanceof ConfigurationError) return error.faults;
    throw error;
  }
  throw new Error('it was not refused');
}

const official = { platform: 'official-account', appid: APPID, secret: { env: 'SECRET' } };
const corp = { platform: 'wecom', corpid: 'ww0123456789abcdef', secret: { env: 'SECRET' } };

describe('a platform', () => {
  it.each([
    ['an official account', official, 'official-account', APPID],
    ['a mini program', { ...official, platform: 'mini-program' }, 'mini-program', APPID],
    ['an app of a corp', corp, 'wecom', 'ww0123456789abcdef'],
    ['an app of a corp by its agentid', { ...corp, agentid: 1000002 }, 'wecom', 'ww0123456789abcdef'],
  ])('yields %s', (_, written, platform, appid) => {
    expect(read({ shop: written }).get('shop')).toMatchObject({ platform, appid });
  });

  it.each(['', 'wx 0123', 'wx/../0123', 'wx0123?secret=', 'wx0123\n', 'x'.repeat(65), 123, null])(
    'knows that %j is no appid and no corpid',
    (id) => {
      const faults = faultsOf({ shop: { ...official, appid: id }, crm: { ...corp, corpid: id } });
      expect(faults).toEqual([
        expect.stringMatching(/^HUB_CONFIG\.apps\.shop\.appid: /),
        expect.stringMatching(/^HUB_CONFIG\.apps\.crm\.corpid: /),
      ]);
    },
  );

  it.each(['', 'x', '-1', '1.5', 0, -1, 1.5, null])('knows that %j is no agentid', (agentid) => {
    expect(faultsOf({ crm: { ...corp, agentid } })).toEqual([expect.stringMatching(/^HUB_CONFIG\.apps\.crm\.agentid/)]);
  });

  it('knows two endpoints for official accounts and mini programs, and none for WeCom', () => {
    expect(faultsOf({ shop: { ...official, endpoint: 'fast' }, crm: { ...corp, endpoint: 'stable' } })).toEqual([
      'HUB_CONFIG.apps.shop.endpoint: must be classic or stable',
      expect.stringMatching(/^HUB_CONFIG\.apps\.crm: .*endpoint/),
    ]);
  });
});

describe('two apps of one account', () => {
  it.each([
    ['at one endpoint', official, official],
    ['at one endpoint, once by default', official, { ...official, endpoint: 'classic' }],
    ['on two platforms', official, { ...official, platform: 'mini-program' }],
    ['after the AppSecret was copied into two places', official, { ...official, secret: { env: 'OTHER' } }],
    ['of WeCom', corp, corp],
    ['of WeCom, by agentid', { ...corp, agentid: 7 }, { ...corp, agentid: '7', secret: { env: 'OTHER' } }],
  ])('are refused %s: they would end each other’s tokens', (_, one, two) => {
    expect(faultsOf({ one, two })).toEqual([
      "HUB_CONFIG.apps.two: is the same account as the app one: they would end each other's tokens",
    ]);
  });

  it.each([
    ['at two endpoints, whose tokens know nothing of each other', official, { ...official, endpoint: 'stable' }],
    ['of a corp, told apart by their secrets', corp, { ...corp, secret: { env: 'OTHER' } }],
    ['of a corp, told apart by their agentids', { ...corp, agentid: 7 }, { ...corp, agentid: 8 }],
  ])('are two accounts %s', (_, one, two) => {
    expect([...read({ one, two }).keys()]).toEqual(['one', 'two']);
  });
});
