import { createSecretKey, generateKeyPairSync } from 'node:crypto';
import { type ClientKey, PUBLIC_KEY_ALGORITHMS, type PublicKeyAlgorithm } from '../config/client-key.js';
import type { Client, Issuer } from '../config/clients.js';
import type { Action } from '../config/hub-file.js';
import type { Bearer } from './bearer.js';
import { type Candidates, type Clients, KeyRing } from './key-ring.js';
import { KeySet, KeySetUnavailable } from './key-set.js';

const secret = (text: string): ClientKey => ({ key: createSecretKey(Buffer.from(text)), algorithms: ['HS256'] });
const [OLD, NEW] = [secret('old'), secret('new')];
const RSA: ClientKey = {
  key: generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey,
  algorithms: ['RS256', 'PS256'],
};
const ISSUED: ClientKey = { key: generateKeyPairSync('ed25519').publicKey, algorithms: ['EdDSA'] };
const ISS = 'https://issuer.example';
const KEY_SET = { root: new URL('https://issuer.example/keys') };

const bearer = (kid: string, claims: object = {}): Bearer => ({ token: 'a.b.c', kid, alg: '', claims: { ...claims } });
const pod = (kid = 'key-1', claims: object = {}): Bearer => bearer(kid, { iss: ISS, sub: 'pod', ...claims });

/** What is configured, of clients with keys of their own and of one whose tokens an issuer makes. */
function configured(keySet = KEY_SET): Clients['current'] {
  const may = { apps: '*', may: new Set<Action>(['read']) } as const;
  const clients = new Map<string, Client>();
  const issuer: Issuer = { name: ISS, keySet, clients: new Map([['pod', { name: 'pod', keys: [], ...may }]]) };
  for (const client of issuer.clients.values()) clients.set('pod', Object.assign(client, { issuer }));
  clients.set('web', { name: 'web', keys: [OLD, NEW], ...may });
  clients.set('crm', { name: 'crm', keys: [RSA, OLD], ...may });
  return { clients, issuers: new Map([[ISS, issuer]]) };
}

let configuration: { current: Clients['current'] };
let ring: KeyRing;
let opened: number;
let isAway: boolean;
beforeEach(() => {
  configuration = { current: configured() };
  [opened, isAway] = [0, false];
  const open = (): KeySet => {
    opened += 1;
    return new KeySet({
      fetch: () =>
        isAway ? Promise.reject(new KeySetUnavailable('away')) : Promise.resolve(new Map([['key-1', ISSUED]])),
      now: () => 0,
      onFailure: () => undefined,
    });
  };
  ring = new KeyRing(configuration, open);
});

const secretsFor = (token: Bearer): Candidates => ring.secretsFor(ring.claimant(token));
const publicKeysFor = (token: Bearer, algorithm: PublicKeyAlgorithm): Promise<Candidates> =>
  ring.publicKeysFor(ring.claimant(token), token.kid, algorithm);

describe('whose a token claims to be', () => {
  it.each<[string, Bearer, string | undefined]>([
    ['that of its kid', bearer('web'), 'web'],
    ['that of its kid, whoever its claims speak of', bearer('web', { iss: 'https://other', sub: 'pod' }), 'web'],
    ['that of its kid, if its issuer has no such subject', bearer('web', { iss: ISS, sub: 'other' }), 'web'],
    ['that of its kid, if it has no subject', bearer('web', { iss: ISS }), 'web'],
    ['that of its issuer and subject, whatever its kid', pod('web'), 'pod'],
    ['nobody, by the name of a client with an issuer', bearer('pod'), undefined],
    ['nobody, by a subject alone', bearer('key-1', { sub: 'pod' }), undefined],
    ['nobody, by lists of claims', pod('key-1', { iss: [ISS], sub: ['pod'] }), undefined],
    ['nobody, by a kid that nobody has', bearer('nobody'), undefined],
    ['nobody, by what objects have', bearer('constructor', { iss: '__proto__', sub: '__proto__' }), undefined],
  ])('is %s', (_, token, name) => {
    expect(ring.claimant(token)?.name).toBe(name);
  });
});

describe('the keys to try', () => {
  it('are both of the client', () => {
    expect(secretsFor(bearer('web'))).toEqual({ keys: [OLD.key, NEW.key] });
  });

  it('are those that allow the algorithm', async () => {
    expect(secretsFor(bearer('crm'))).toEqual({ keys: [OLD.key] });
    expect(await publicKeysFor(bearer('crm'), 'RS256')).toEqual({ keys: [RSA.key] });
    expect(await publicKeysFor(bearer('crm'), 'PS256')).toEqual({ keys: [RSA.key] });
  });

  it('are those of the issuer, by the kid', async () => {
    expect(await publicKeysFor(pod(), 'EdDSA')).toEqual({ keys: [ISSUED.key] });
  });

  it.each<[string, Bearer, RegExp]>([
    ['a kid that nobody has', bearer('nobody'), /^the kid is unknown$/],
    ['a kid that the issuer does not know', pod('key-2'), /^its issuer has no key of this kid$/],
    ['a client whose keys are for other algorithms', bearer('web'), /^there is no key for /],
  ])('are one that nobody has for %s, so that it takes as long', async (_, token, lack) => {
    for (const algorithm of PUBLIC_KEY_ALGORITHMS) {
      const { keys, lack: told } = await publicKeysFor(token, algorithm);
      expect(told).toMatch(lack);
      expect(keys).toHaveLength(1);
      expect(keys[0]?.asymmetricKeyType).toBe({ RS256: 'rsa', PS256: 'rsa', ES256: 'ec', EdDSA: 'ed25519' }[algorithm]);
    }
  });

  it('are never public for HS256, nor an issuer’s', async () => {
    const nobody = secretsFor(bearer('nobody'));
    expect(nobody.lack).toBe('the kid is unknown');
    await publicKeysFor(pod(), 'EdDSA');
    for (const token of [bearer('pod'), bearer('key-1')]) expect(secretsFor(token)).toEqual(nobody);
    expect(secretsFor(pod())).toEqual({ keys: nobody.keys, lack: 'there is no key for HS256' });
    expect(nobody.keys.map(({ type }) => type)).toEqual(['secret']);
  });

  it('do not make anybody ask the issuer in vain: for a subject that nobody has, or HS256', async () => {
    secretsFor(pod());
    await publicKeysFor(pod('key-1', { sub: 'other' }), 'EdDSA');
    await publicKeysFor(bearer('pod'), 'EdDSA');
    expect(opened).toBe(0);
  });

  it('are one that nobody has when the issuer is away', async () => {
    isAway = true;
    const { keys, lack } = await publicKeysFor(pod(), 'EdDSA');
    expect(lack).toBe('the keys of its issuer cannot be had (away)');
    expect(keys).not.toContain(ISSUED.key);
  });

  it('are kept over a new configuration, unless the issuer shows them elsewhere now', async () => {
    await publicKeysFor(pod(), 'EdDSA');
    configuration.current = configured({ root: new URL(KEY_SET.root) });
    await publicKeysFor(pod(), 'EdDSA');
    expect(opened).toBe(1);
    configuration.current = configured({ root: new URL('https://issuer.example/other') });
    await publicKeysFor(pod(), 'EdDSA');
    expect(opened).toBe(2);
  });

  it('are gone at once with their client', async () => {
    configuration.current = { clients: new Map(), issuers: new Map() };
    expect(ring.claimant(bearer('web'))).toBeUndefined();
    expect(secretsFor(bearer('web')).lack).toBeDefined();
    expect((await publicKeysFor(pod(), 'EdDSA')).lack).toBeDefined();
  });
});

describe('a kid', () => {
  it('is known that is a client’s, or that of a key of an issuer once that is at hand', async () => {
    expect(['web', 'crm', 'key-1', 'nobody', 'constructor'].map((kid) => ring.knows(kid))).toEqual([
      ...[true, true, false, false, false],
    ]);
    await publicKeysFor(pod(), 'EdDSA');
    expect([ring.knows('key-1'), ring.knows('key-2')]).toEqual([true, false]);
  });
});
