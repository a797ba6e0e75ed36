import { generateKeyPairSync } from 'node:crypto';
import type { ClientKey } from '../config/client-key.js';
import { COOL_DOWN_MS, KeySet, KeySetUnavailable, OLD_AFTER_MS, RENEW_AFTER_MS, RETRY_AFTER_MS } from './key-set.js';

const KEY: ClientKey = { key: generateKeyPairSync('ed25519').publicKey, algorithms: ['EdDSA'] };

/** An issuer in virtual time, with what the hub heard and said of it. */
class Issuer {
  now = 1_000_000;
  calls = 0;
  kids = ['one'];
  isAway = false;
  readonly failures: [reason: string, keepsOlder: boolean][] = [];
  /** Answers wait for it, while it is there. */
  gate: Promise<void> | undefined;

  readonly keySet = new KeySet({
    fetch: async () => {
      this.calls += 1;
      await this.gate;
      if (this.isAway) throw new KeySetUnavailable('it is away');
      return new Map(this.kids.map((kid) => [kid, KEY]));
    },
    now: () => this.now,
    onFailure: (...failure) => this.failures.push(failure),
  });

  knows(kid: string): Promise<boolean> {
    return this.keySet.find(kid).then((key) => key !== undefined);
  }

  /** Keeps answers back until the function that it gives is called. */
  hold(): () => void {
    let release = (): void => undefined;
    this.gate = new Promise((resolve) => (release = resolve));
    return () => {
      release();
      this.gate = undefined;
    };
  }
}

let issuer: Issuer;
beforeEach(() => (issuer = new Issuer()));

/** Lets everything that waits for nothing more be done. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('the keys of an issuer', () => {
  it('are fetched when one is wanted, and not before', async () => {
    expect(issuer.calls).toBe(0);
    expect(await issuer.knows('one')).toBe(true);
    expect(await issuer.knows('one')).toBe(true);
    expect(issuer.calls).toBe(1);
  });

  it('are fetched once, however many want one at the same time', async () => {
    const crowd = Promise.all(
      Array.from({ length: 100 }, (_, i) => issuer.knows(i % 2 === 0 ? 'one' : `made-up-${i}`)),
    );
    expect((await crowd).filter(Boolean)).toHaveLength(50);
    expect(issuer.calls).toBe(1);
  });

  it('are not fetched for made-up kids more often than every 30 s', async () => {
    await issuer.knows('one');
    for (let second = 0; second < 60; second++) {
      for (let i = 0; i < 20; i++) expect(await issuer.knows(`made-up-${second}-${i}`)).toBe(false);
      issuer.now += 1000;
    }
    expect(issuer.calls).toBe(2);
  });

  it('are fetched for a kid that is new, and whoever asks for it waits', async () => {
    await issuer.knows('one');
    issuer.kids = ['two', 'one'];
    issuer.now += COOL_DOWN_MS - 1;
    expect(await issuer.knows('two')).toBe(false);
    issuer.now += 1;
    expect(await issuer.knows('two')).toBe(true);
    expect(issuer.calls).toBe(2);
  });

  it('are renewed when they are some minutes old, and nobody waits for it', async () => {
    await issuer.knows('one');
    issuer.now += RENEW_AFTER_MS + 1;
    issuer.kids = ['two'];
    const release = issuer.hold();
    expect(await issuer.knows('one')).toBe(true);
    expect(await issuer.knows('one')).toBe(true);
    expect(issuer.calls).toBe(2);
    release();
    await settled();
    expect(await issuer.knows('one')).toBe(false);
    expect(await issuer.knows('two')).toBe(true);
  });

  it('are renewed before anybody is let in when nobody was for an hour: one may have been withdrawn', async () => {
    await issuer.knows('one');
    issuer.now += OLD_AFTER_MS + 1;
    issuer.kids = ['two'];
    expect(await issuer.knows('one')).toBe(false);
  });

  it('are used on while the issuer is away, for however long, and who asks waits for it once at most', async () => {
    await issuer.knows('one');
    issuer.isAway = true;
    issuer.now += 100 * OLD_AFTER_MS;
    expect(await issuer.knows('one')).toBe(true);
    expect(issuer.failures).toEqual([['it is away', true]]);
    issuer.now += COOL_DOWN_MS;
    const release = issuer.hold();
    expect(await issuer.knows('one')).toBe(true);
    expect(issuer.calls).toBe(3);
    release();
  });

  it('are the new ones once the issuer is back', async () => {
    await issuer.knows('one');
    issuer.isAway = true;
    issuer.now += RENEW_AFTER_MS + 1;
    await issuer.knows('one');
    await settled();
    issuer.isAway = false;
    issuer.kids = ['two'];
    issuer.now += COOL_DOWN_MS;
    await issuer.knows('one');
    await settled();
    expect([await issuer.knows('one'), await issuer.knows('two')]).toEqual([false, true]);
  });

  it('cannot be had from an issuer that was never there, which is asked again every few seconds', async () => {
    issuer.isAway = true;
    for (let i = 0; i < 50; i++) await expect(issuer.knows('one')).rejects.toThrow('it is away');
    expect(issuer.calls).toBe(1);
    expect(issuer.failures).toEqual([['it is away', false]]);
    issuer.now += RETRY_AFTER_MS;
    issuer.isAway = false;
    expect(await issuer.knows('one')).toBe(true);
  });

  it('are none at all, if that is what the issuer says', async () => {
    await issuer.knows('one');
    issuer.kids = [];
    issuer.now += OLD_AFTER_MS + 1;
    expect(await issuer.knows('one')).toBe(false);
    expect(issuer.failures).toEqual([]);
  });

  it('are at hand as long as the issuer need not be asked whether it still has them', async () => {
    expect(issuer.keySet.atHand('one')).toBeUndefined();
    await issuer.knows('one');
    issuer.now += RENEW_AFTER_MS;
    expect([issuer.keySet.atHand('one'), issuer.keySet.atHand('two')]).toEqual([KEY, undefined]);
    issuer.now += 1;
    expect(issuer.keySet.atHand('one')).toBeUndefined();
    expect(issuer.calls).toBe(1);
  });

  it('stand well or not as it was when somebody wanted one, and not at all when nobody did for an hour', async () => {
    expect(issuer.keySet.status).toBeUndefined();
    issuer.isAway = true;
    await expect(issuer.knows('one')).rejects.toThrow('it is away');
    issuer.now += RETRY_AFTER_MS;
    await expect(issuer.knows('one')).rejects.toThrow('it is away');
    expect(issuer.keySet.status).toEqual({
      keys: 0,
      failure: { reason: 'it is away', seconds: RETRY_AFTER_MS / 1000 },
    });
    issuer.isAway = false;
    issuer.now += RETRY_AFTER_MS;
    await issuer.knows('one');
    expect(issuer.keySet.status).toEqual({ keys: 1 });
    issuer.isAway = true;
    issuer.now += RENEW_AFTER_MS + 1;
    await issuer.knows('one');
    await settled();
    issuer.now += 10_000;
    expect(issuer.keySet.status).toEqual({ keys: 1, failure: { reason: 'it is away', seconds: 10 } });
    issuer.now += OLD_AFTER_MS;
    expect(issuer.keySet.status).toBeUndefined();
  });
});
