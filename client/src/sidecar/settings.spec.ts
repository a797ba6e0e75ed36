import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeProtectedHeader } from 'jose';
import { BadSettings, readSettings } from './settings.js';

describe('the settings of the sidecar', () => {
  let folder: string;
  let args: string[];
  const hub = { WECHAT_HUB_URL: 'http://hub:8567' };
  const key = { WECHAT_HUB_KID: 'web', WECHAT_HUB_KEY: 'a key' };
  const fileOf = (content: string): string => {
    const path = join(folder, 'secret');
    writeFileSync(path, content);
    return path;
  };
  const faultsOf = (more: readonly string[], environment: Record<string, string>): readonly string[] => {
    try {
      readSettings([...args, ...more], { ...hub, ...environment });
      return [];
    } catch (error) {
      if (error instanceof BadSettings) return error.faults;
      throw error;
    }
  };

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'settings-'));
    args = ['--file', join(folder, 'token.json')];
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('are the app default and its access token, unless told', () => {
    expect(readSettings(args, { ...hub, ...key })).toMatchObject({
      url: 'http://hub:8567',
      app: 'default',
      kind: { kind: 'access-token' },
      file: join(folder, 'token.json'),
    });
  });

  it('may name another app, and a ticket', () => {
    const settings = readSettings([...args, '--app=shop', '--kind', 'ticket', '--type', 'jsapi'], { ...hub, ...key });
    expect(settings).toMatchObject({ app: 'shop', kind: { kind: 'ticket', type: 'jsapi' } });
  });

  it('may have the key in a file, which is read anew', async () => {
    const path = fileOf('a key\n');
    const { jwt } = readSettings(args, { ...hub, WECHAT_HUB_KID: 'web', WECHAT_HUB_KEY_FILE: path });
    expect(decodeProtectedHeader(await jwt())).toMatchObject({ kid: 'web' });
    rmSync(path);
    await expect(jwt()).rejects.toThrow('its file cannot be read (ENOENT)');
  });

  it('may have a JWT in a file, which is read anew', async () => {
    const path = fileOf('FIRST\n');
    const { jwt } = readSettings(args, { ...hub, WECHAT_HUB_TOKEN_FILE: path });
    expect(await jwt()).toBe('FIRST');
    writeFileSync(path, 'SECOND');
    expect(await jwt()).toBe('SECOND');
  });

  it.each<[string, string[], Record<string, string>, string[]]>([
    ['no address', [], { ...key, WECHAT_HUB_URL: '' }, ['WECHAT_HUB_URL: the address of the hub is wanted']],
    ['no one who asks', [], {}, ['WECHAT_HUB_TOKEN_FILE: is not set, nor']],
    ['a name without a key', [], { WECHAT_HUB_KID: 'web' }, ['WECHAT_HUB_KEY: the key is wanted']],
    ['a key without a name', [], { WECHAT_HUB_KEY: 'k' }, ['WECHAT_HUB_KID: the name of the client is wanted']],
    ['two keys', [], { ...key, WECHAT_HUB_KEY_FILE: '/k' }, ['WECHAT_HUB_KEY_FILE: is set, and WECHAT_HUB_KEY, too']],
    ['a key and a JWT', [], { ...key, WECHAT_HUB_TOKEN_FILE: '/t' }, ['WECHAT_HUB_TOKEN_FILE: is set, and a key, too']],
    [
      'a JWT that is not there',
      [],
      { WECHAT_HUB_TOKEN_FILE: '/no/such' },
      ['WECHAT_HUB_TOKEN_FILE: the file cannot be read (ENOENT)'],
    ],
    [
      'a folder that is not there',
      ['--file', '/no/such/token.json'],
      key,
      ['--file: its folder cannot be written to (ENOENT)'],
    ],
    ['an app that cannot be', ['--app', '../x'], key, ['--app: must be like']],
    ['a kind that there is not', ['--kind', 'tokens'], key, ['--kind: must be access-token or ticket']],
    ['a ticket of no type', ['--kind', 'ticket'], key, ['--type: the type of the ticket is wanted']],
    ['a type of no ticket', ['--type', 'jsapi'], key, ['--type: is for --kind ticket']],
    [
      'an option that there is not',
      ['--files', 'x'],
      key,
      ['--files: there is no such option', 'command line: only options'],
    ],
    ['an option without its value', ['--app'], key, ['--app: a value is wanted']],
    [
      'all at once',
      ['--app', 'A', '--kind', 'B'],
      { WECHAT_HUB_URL: 'C' },
      ['WECHAT_HUB_URL: the', '--app: ', '--kind: ', 'WECHAT_HUB_TOKEN_FILE: '],
    ],
  ])('are refused for %s', (_, more, environment, expected) => {
    const faults = faultsOf(more, environment);
    expect(faults).toHaveLength(expected.length);
    expect(faults.filter((fault, index) => !fault.startsWith(expected[index] ?? '-'))).toEqual([]);
  });
});
