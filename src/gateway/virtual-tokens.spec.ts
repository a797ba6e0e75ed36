import fc from 'fast-check';
import type { SecretHolder } from '../auth/issued-secrets.js';
import type { Client } from '../config/clients.js';
import { digestOf } from '../config/issued-secret.js';
import { Secret } from '../config/secret.js';
import { VIRTUAL_LIFE_S, VirtualTokens } from './virtual-tokens.js';

const client: Client = { name: 'legacy', keys: [], apps: '*', may: new Set(['proxy']) };
const holder: SecretHolder = { client, app: 'shop', digest: digestOf('wths_1') };
const START = Date.UTC(2026, 0, 1);

/** Virtual tokens of one hub, whose clock and configuration can be changed. */
function hub() {
  const state = { now: START, appSecret: 'app-secret', holders: [holder] };
  const tokens = new VirtualTokens({
    secrets: { withDigest: (digest) => state.holders.find((one) => one.digest === digest) },
    appSecret: (app) => (app === 'shop' ? new Secret(state.appSecret) : undefined),
    now: () => state.now,
  });
  return { state, tokens };
}

describe('a virtual token', () => {
  it('stands for its client and app, in every hub that knows the AppSecret', () => {
    const token = hub().tokens.issue(holder) ?? '';
    expect(hub().tokens.read(token)).toBe(holder);
  });

  it('is good for all of the life that an SDK is told, and expires some time after that', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 * VIRTUAL_LIFE_S }), (age) => {
        const { state, tokens } = hub();
        state.now += age * 1000;
        const token = tokens.issue(holder) ?? '';
        state.now += (VIRTUAL_LIFE_S + 60) * 1000;
        expect(tokens.read(token)).toBe(holder);
        state.now += (VIRTUAL_LIFE_S + 300) * 1000;
        expect(tokens.read(token)).toBe('expired');
      }),
    );
  });

  it('is nobody’s once its secret is revoked, its app is gone, or the AppSecret is another', () => {
    const { state, tokens } = hub();
    const token = tokens.issue(holder) ?? '';
    expect(tokens.issue({ ...holder, app: 'other' })).toBeUndefined();
    state.appSecret = 'another';
    expect(tokens.read(token)).toBeUndefined();
    state.appSecret = 'app-secret';
    state.holders = [];
    expect(tokens.read(token)).toBeUndefined();
  });

  it('cannot be made by changing another, in whichever place', () => {
    const { tokens } = hub();
    const token = tokens.issue(holder) ?? '';
    const place = fc.integer({ min: 0, max: token.length - 1 });
    const letter = fc.stringMatching(/^[\w-]$/);
    fc.assert(
      fc.property(place, letter, (at, other) => {
        fc.pre(token[at] !== other);
        expect(tokens.read(token.slice(0, at) + other + token.slice(at + 1))).toBeUndefined();
      }),
    );
  });

  it.each(['', 'wtv_', '70_abc', 'wtv_zzzzzzzz_', `wtv_1_${'0'.repeat(64)}_${'a'.repeat(43)}`])(
    'is not %j',
    (token) => {
      expect(hub().tokens.read(token)).toBeUndefined();
    },
  );
});
