import { Buffer } from 'node:buffer';
import { join } from 'node:path';
import { newKey } from './random-keys.js';
import { APPID, ENOUGH, faultsOf, file, folder, read } from '../../test/configuration.fixture.js';

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
