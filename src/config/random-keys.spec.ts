import { randomBytes } from 'node:crypto';
import { newKey, parseKeys } from './random-keys.js';

const first = randomBytes(32);

describe('a key in writing', () => {
  it('is 32 bytes in base64 of either alphabet, several of them by commas or white space', () => {
    const [one, two] = [newKey(), newKey()];
    expect(parseKeys(one)).toEqual([Buffer.from(one, 'base64')]);
    for (const text of [`${one},${two}`, `${one}\n${two}\n`, ` ${one} , ${two} `]) {
      expect(parseKeys(text)).toEqual([Buffer.from(one, 'base64'), Buffer.from(two, 'base64')]);
    }
    expect(parseKeys(first.toString('base64url'))).toEqual([first]);
    expect(new Set([one, two, newKey()]).size).toBe(3);
  });

  it.each([
    ['nothing', ''],
    ['blank', ' ,\n'],
    ['31 bytes', randomBytes(31).toString('base64')],
    ['33 bytes', randomBytes(33).toString('base64')],
    ['hexadecimal', first.toString('hex')],
    ['a password', 'correct horse battery staple'],
    ['a key and something else', `${first.toString('base64')},x`],
  ])('is not %s', (_, text) => {
    expect(parseKeys(text)).toBeUndefined();
  });
});
