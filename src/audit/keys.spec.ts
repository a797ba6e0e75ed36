import { newKey } from '../config/random-keys.js';
import { Secret } from '../config/secret.js';
import { AuditKeys } from './keys.js';

const keysOf = (...keys: string[]): AuditKeys => new AuditKeys(new Secret(keys.join(',')));
const [one, other] = [newKey(), newKey()];

describe('a fingerprint', () => {
  it('is the same for the same value and key, in every hub, and holds nothing of the value', () => {
    const fingerprint = keysOf(one).fingerprint('a-token');
    expect(fingerprint).toMatch(/^[0-9a-f]{32}$/);
    expect(keysOf(one, other).fingerprint('a-token')).toBe(fingerprint);
    expect(keysOf(other).fingerprint('a-token')).not.toBe(fingerprint);
    expect(keysOf(one).fingerprint('a-tokeN')).not.toBe(fingerprint);
  });

  it('is remembered for a while, and is no other when it is not', () => {
    const keys = keysOf(one);
    const first = keys.fingerprint('a-token');
    for (let i = 0; i < 2500; i += 1) expect(keys.fingerprint(`token-${i}`)).toMatch(/^[0-9a-f]{32}$/);
    expect(keys.fingerprint('a-token')).toBe(first);
  });

  it('is known under each key, for those who look for what was written before the key was changed', () => {
    expect(keysOf(one, other).fingerprints('a-token')).toEqual([
      keysOf(one).fingerprint('a-token'),
      keysOf(other).fingerprint('a-token'),
    ]);
  });
});

describe('a signature', () => {
  it('is made with the newest key, and holds under any', () => {
    const signature = keysOf(one).sign('text');
    expect(keysOf(other, one).hasSigned(Buffer.from('text'), signature)).toBe(true);
    expect(keysOf(other).hasSigned(Buffer.from('text'), signature)).toBe(false);
    expect(keysOf(one).hasSigned(Buffer.from('texT'), signature)).toBe(false);
    expect(keysOf(other, one).sign('text')).toBe(keysOf(other).sign('text'));
  });
});
