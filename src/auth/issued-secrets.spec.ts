import type { Client } from '../config/clients.js';
import { digestOf, issueSecret, SECRET_DIGEST } from '../config/issued-secret.js';
import { IssuedSecrets } from './issued-secrets.js';

const [older, newer, another] = [issueSecret(), issueSecret(), issueSecret()];

function client(name: string, secrets?: Readonly<Record<string, readonly string[]>>): Client {
  const digests = Object.entries(secrets ?? {}).map(([app, of]) => [app, of.map(digestOf)] as const);
  return { name, keys: [], apps: '*', may: new Set(['proxy']), ...(secrets && { secrets: new Map(digests) }) };
}

/** A configuration that can be replaced by another, as a hub follows it. */
function live(...clients: readonly Client[]) {
  const of = (those: readonly Client[]) => ({ clients: new Map(those.map((one) => [one.name, one])) });
  const state = { current: of(clients) };
  return { secrets: new IssuedSecrets(state), becomes: (...those: Client[]) => (state.current = of(those)) };
}

describe('an issued secret', () => {
  it('is nothing that scanners overlook, nor that anybody guesses, and its digest is what the file may have', () => {
    expect(older).toMatch(/^wths_[0-9a-f]{48}$/);
    expect(older).not.toBe(newer);
    expect(digestOf(older)).toMatch(SECRET_DIGEST);
  });

  it('stands for one client and one app, and so does the second one', () => {
    const legacy = client('legacy', { shop: [older, newer], crm: [another] });
    const { secrets } = live(client('plain'), legacy);
    const holders = [older, newer, another].map((secret) => secrets.holderOf(secret));
    expect(holders.map((holder) => holder && [holder.client, holder.app, holder.digest])).toEqual([
      [legacy, 'shop', digestOf(older)],
      [legacy, 'shop', digestOf(newer)],
      [legacy, 'crm', digestOf(another)],
    ]);
    expect(secrets.withDigest(digestOf(another))).toBe(holders[2]);
  });

  it.each(['', 'wths_', older.toUpperCase(), `${older} `, digestOf(older), `sha256:${older}`])(
    'is not to be had with %j',
    (shown) => {
      expect(live(client('legacy', { shop: [older] })).secrets.holderOf(shown)).toBeUndefined();
    },
  );

  it('is nobody’s from the moment of its revocation, and stands for the client as it is now', () => {
    const { secrets, becomes } = live(client('legacy', { shop: [older] }));
    expect(secrets.holderOf(older)?.client.name).toBe('legacy');
    const changed = client('legacy', { shop: [newer] });
    becomes(changed);
    expect([secrets.holderOf(older), secrets.holderOf(newer)?.client]).toEqual([undefined, changed]);
    becomes();
    expect(secrets.holderOf(newer)).toBeUndefined();
  });
});
