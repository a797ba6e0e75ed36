import { jest } from '@jest/globals';
import { createSecretKey, type KeyObject } from 'node:crypto';
import type { Client, Issuer } from '../config/clients.js';
import type { Action } from '../config/hub-file.js';
import type { Clients } from './key-ring.js';
import { digestOf, type Verdict, VerifiedTokens } from './verified-tokens.js';

const TOKEN = digestOf('Bearer a.b.c');
const NOW = 1_800_000_000;
const ALWAYS = { from: -Infinity, until: Infinity };
const key = (text: string): KeyObject => createSecretKey(Buffer.from(text));

/** A configuration with one client, which makes its tokens itself. */
function configured(): Clients['current'] & { readonly web: Client } {
  const web: Client = { name: 'web', keys: [], apps: '*', may: new Set<Action>(['read']) };
  return { web, clients: new Map([['web', web]]), issuers: new Map() };
}

let configuration: { current: ReturnType<typeof configured> };
let atHand: KeyObject | undefined;
let tokens: VerifiedTokens;
const goTo = (seconds: number): void => void jest.spyOn(Date, 'now').mockReturnValue(seconds * 1000);
beforeEach(() => {
  configuration = { current: configured() };
  tokens = new VerifiedTokens(configuration, { atHand: () => atHand });
  goTo(NOW);
});

/** Verifies a token so often that it is remembered. */
function keep(token: string, verdict: Verdict): Client {
  for (let times = 0; times < 2; times += 1) tokens.keep(token, verdict);
  return verdict.client;
}

/** The same of the token of the client as it is configured now. */
function keepOwn(validity = ALWAYS): Client {
  return keep(TOKEN, { client: configuration.current.web, kid: 'web', validity });
}

describe('a token that was verified twice', () => {
  it('need not be verified a third time', () => {
    expect(tokens.recall(TOKEN)).toBeUndefined();
    const web = keepOwn();
    expect(tokens.recall(TOKEN)).toBe(web);
    expect(tokens.recall(digestOf('Bearer a.b.C'))).toBeUndefined();
  });

  it('has to be at the very instant at which the verdict may be another, either way', () => {
    const web = keepOwn({ from: NOW - 5, until: NOW + 5 });
    for (const [now, known] of [
      [NOW - 5, web],
      [NOW + 4.999, web],
      [NOW + 5, undefined],
    ] as const) {
      goTo(now);
      expect(tokens.recall(TOKEN)).toBe(known);
    }
    keepOwn({ from: NOW - 5, until: NOW + 5 });
    goTo(NOW - 5.001);
    expect(tokens.recall(TOKEN)).toBeUndefined();
  });

  it('has to be as soon as another configuration is in force, whatever is different in it', () => {
    keepOwn();
    configuration.current = configured();
    expect(tokens.recall(TOKEN)).toBeUndefined();
    const web = keepOwn();
    expect(tokens.recall(TOKEN)).toBe(web);
  });

  it('has to be when its issuer may have withdrawn the key that it was signed with', () => {
    const issuer: Issuer = {
      name: 'https://issuer.example',
      keySet: { root: new URL('https://x') },
      clients: new Map(),
    };
    const pod: Client = { ...configuration.current.web, name: 'pod', issuer };
    const issuedWith = key('one');
    for (const other of [key('another'), undefined]) {
      keep(TOKEN, { client: pod, kid: 'key-1', issuedWith, validity: ALWAYS });
      atHand = issuedWith;
      expect(tokens.recall(TOKEN)).toBe(pod);
      atHand = other;
      expect(tokens.recall(TOKEN)).toBeUndefined();
    }
  });

  it('is worth a look from the first time on, and remembered from the second', () => {
    const verdict = { client: configuration.current.web, kid: 'web', validity: ALWAYS };
    expect(tokens.wasGood(TOKEN)).toBe(false);
    tokens.keep(TOKEN, verdict);
    expect([tokens.wasGood(TOKEN), tokens.recall(TOKEN)]).toEqual([true, undefined]);
    tokens.keep(TOKEN, verdict);
    expect([tokens.wasGood(TOKEN), tokens.recall(TOKEN)]).toEqual([true, verdict.client]);
    tokens.forget(TOKEN);
    tokens.keep(TOKEN, verdict);
    expect(tokens.recall(TOKEN)).toBeUndefined();
  });

  it('stays remembered, however many come once', () => {
    const web = keepOwn();
    for (let i = 0; i < 50_000; i += 1)
      tokens.keep(digestOf(`Bearer a.b.${i}`), { client: web, kid: 'web', validity: ALWAYS });
    expect(tokens.recall(TOKEN)).toBe(web);
  });

  it('is worth a look under another configuration, too, until it fails', () => {
    expect(tokens.wasGood(TOKEN)).toBe(false);
    keepOwn();
    configuration.current = configured();
    expect(tokens.recall(TOKEN)).toBeUndefined();
    expect(tokens.wasGood(TOKEN)).toBe(true);
    tokens.forget(TOKEN);
    expect([tokens.wasGood(TOKEN), tokens.recall(TOKEN)]).toEqual([false, undefined]);
  });

  it('is one of ten thousand that are remembered, and those that are used are remembered longest', () => {
    const web = keepOwn();
    const digests = Array.from({ length: 15_000 }, (_, i) => digestOf(`Bearer a.b.${i}`));
    for (const digest of digests) {
      keep(digest, { client: web, kid: 'web', validity: ALWAYS });
      tokens.recall(TOKEN);
    }
    expect(tokens.recall(TOKEN)).toBe(web);
    expect(digests.filter((digest) => tokens.recall(digest))).toHaveLength(9999);
  });
});
