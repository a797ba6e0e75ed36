import { SignJWT } from 'jose';
import { generateKeyPairSync } from 'node:crypto';
import type { ClientKey } from '../config/client-key.js';
import type { Client, Issuer } from '../config/clients.js';
import type { Action } from '../config/hub-file.js';
import { Unauthenticated } from './bearer.js';
import { KeyRing } from './key-ring.js';
import { KeySet } from './key-set.js';
import { VerifiedTokens } from './verified-tokens.js';
import { type Shown, type Strictness, Verifier } from './verifier.js';

const ISS = 'https://issuer.example';
const pair = generateKeyPairSync('ed25519');
const ISSUED: ClientKey = { key: pair.publicKey, algorithms: ['EdDSA'] };
const OTHER: ClientKey = { key: generateKeyPairSync('ed25519').publicKey, algorithms: ['EdDSA'] };

/** What is configured: a client whose tokens an issuer makes, with its keys at this address. */
function configured(address: string): Strictness['current'] {
  const issuer: Issuer = { name: ISS, keySet: { root: new URL(address) }, clients: new Map() };
  const pod: Client = { name: 'pod', keys: [], apps: '*', may: new Set<Action>(['read']), issuer };
  return {
    settings: { authStrict: false },
    clients: new Map([['pod', pod]]),
    issuers: new Map([[ISS, { ...issuer, clients: new Map([['pod', pod]]) }]]),
  };
}

const NONE: Strictness['current'] = { settings: { authStrict: false }, clients: new Map(), issuers: new Map() };

let configuration: { current: Strictness['current'] };
let verifier: Verifier;
/** What the address has to give, as soon as it does. */
let answers: Map<string, Promise<ClientKey>>;
beforeEach(() => {
  configuration = { current: configured('https://old.example') };
  answers = new Map();
  const ring = new KeyRing(configuration, ({ keySet: { root } }) => {
    const fetch = async () => new Map([['key-1', (await answers.get(root.host)) ?? OTHER]]);
    return new KeySet({ fetch, now: () => 0, onFailure: () => undefined });
  });
  verifier = new Verifier(configuration, ring, new VerifiedTokens(configuration, ring));
});

async function shown(): Promise<Shown> {
  const token = await new SignJWT({ aud: 'wechat-token-hub', iss: ISS, sub: 'pod' })
    .setProtectedHeader({ alg: 'EdDSA', kid: 'key-1' })
    .setExpirationTime('5m')
    .sign(pair.privateKey);
  return { rawHeaders: ['Authorization', `Bearer ${token}`], socket: {} as Shown['socket'] };
}

/** The name of the client, or nothing where there is none. */
async function verdict(request: Shown, meanwhile?: () => void): Promise<string | undefined> {
  try {
    const verified = verifier.verify(request);
    meanwhile?.();
    return (await verified).name;
  } catch (error) {
    if (!(error instanceof Unauthenticated)) throw error;
    return undefined;
  }
}

describe('a token whose verification takes a while', () => {
  it.each<[string, Strictness['current'], old: ClientKey, other: ClientKey, verdict: string | undefined]>([
    ['a client that has other keys by then', configured('https://other.example'), ISSUED, OTHER, undefined],
    ['a client that has only then the key', configured('https://other.example'), OTHER, ISSUED, 'pod'],
    ['a client that is gone by then', NONE, ISSUED, ISSUED, undefined],
    ['a client that is configured as before', configured('https://old.example'), ISSUED, OTHER, 'pod'],
  ])('is judged by the configuration that is in force then: %s', async (_, next, old, other, name) => {
    let give: (key: ClientKey) => void = () => undefined;
    answers.set('old.example', new Promise((resolve) => (give = resolve))).set('other.example', Promise.resolve(other));
    const request = await shown();
    const first = await verdict(request, () => {
      configuration.current = next;
      give(old);
    });
    expect(first).toBe(name);
    expect(await verdict(request)).toBe(name);
  });
});
