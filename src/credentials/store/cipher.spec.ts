import fc from 'fast-check';
import { randomBytes } from 'node:crypto';
import { Cipher, UnknownKey } from './cipher.js';

const [first, second] = [randomBytes(32), randomBytes(32)];

describe('a sealed text', () => {
  it('opens again, whatever it was and whatever its name', () => {
    const cipher = new Cipher([first]);
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (name, text) => {
        expect(cipher.open(name, cipher.seal(name, text))).toBe(text);
      }),
    );
  });

  it('is another one each time, and shows nothing of the text, the name or the key', () => {
    const cipher = new Cipher([first]);
    const [one, other] = [cipher.seal('shop', 'the-token'), cipher.seal('shop', 'the-token')];
    expect(one.equals(other)).toBe(false);
    for (const sealed of [one, other]) {
      for (const shown of ['the-token', 'shop', first]) expect(sealed.includes(shown)).toBe(false);
    }
  });

  it('does not open under another name', () => {
    const cipher = new Cipher([first]);
    expect(() => cipher.open('crm', cipher.seal('shop', 'the-token'))).toThrow();
  });

  it('does not open when a single bit of it was changed, or when its end is missing', () => {
    const cipher = new Cipher([first]);
    const sealed = cipher.seal('shop', 'the-token');
    for (let bit = 0; bit < sealed.length * 8; bit += 1) {
      const changed = Buffer.from(sealed);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(() => cipher.open('shop', changed)).toThrow();
    }
    for (let length = 0; length < sealed.length; length += 1) {
      expect(() => cipher.open('shop', sealed.subarray(0, length))).toThrow();
    }
  });

  it('opens with whichever key of several it was made with, and the first one seals', () => {
    const [old, rotated, later] = [new Cipher([first]), new Cipher([second, first]), new Cipher([second])];
    const before = old.seal('shop', 'the-token');
    expect(rotated.open('shop', before)).toBe('the-token');
    expect(rotated.isCurrent(before)).toBe(false);
    const after = rotated.seal('shop', 'the-token');
    expect(rotated.isCurrent(after)).toBe(true);
    expect(later.open('shop', after)).toBe('the-token');
    expect(() => later.open('shop', before)).toThrow(UnknownKey);
  });
});

describe('a cipher', () => {
  it('needs a key', () => {
    expect(() => new Cipher([])).toThrow('a cipher needs a key');
  });
});
