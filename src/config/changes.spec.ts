import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { inOneGo } from '../turns.js';
import { type Change, changesBetween } from './changes.js';
import type { Client, Issuer } from './clients.js';
import type { Action } from './hub-file.js';
import { Secret } from './secret.js';

type Compared = Parameters<typeof changesBetween>[0];

const changesOf = (before: Compared, after: Compared): Change[] => inOneGo(changesBetween(before, after));

const secret = createSecretKey(randomBytes(32));
const keyOf = (key: KeyObject): Client['keys'][number] => ({ key, algorithms: ['HS256'] });
const issuerOf = (name: string, subject: string): Issuer => ({
  name,
  keySet: { root: new URL('https://issuer.example/keys') },
  clients: new Map([[subject, client()]]),
});

const client = (change: Partial<Client> = {}): Client => ({
  name: 'web',
  keys: [keyOf(createSecretKey(secret.export()))],
  apps: new Set(['shop']),
  may: new Set<Action>(['read']),
  ...change,
});
const having = (
  apps: Record<string, string>,
  clients: Record<string, Client> = {},
  appSecret = 'an AppSecret',
): Compared => ({
  apps: new Map(Object.entries(apps).map(([name, identity]) => [name, { identity, secret: new Secret(appSecret) }])),
  clients: new Map(Object.entries(clients)),
});

describe('what a configuration changed', () => {
  it('is nothing if it only was written anew', () => {
    const before = having({ shop: 'wx1/stable' }, { web: client() });
    expect(changesOf(before, having({ shop: 'wx1/stable' }, { web: client() }))).toEqual([]);
  });

  it('are the apps that came and went; with another account behind it a name is another app', () => {
    const changes = changesOf(having({ a: '1', b: '2', c: '3' }), having({ b: '2', c: '4', d: '5' }));
    expect(changes).toEqual([
      { event: 'app-removed', app: 'a' },
      { event: 'app-removed', app: 'c' },
      { event: 'app-added', app: 'c' },
      { event: 'app-added', app: 'd' },
    ]);
  });

  it('are the secrets of apps that stay, and of those alone', () => {
    const before = having({ a: '1', b: '2' });
    expect(changesOf(before, having({ a: '1', b: '3', c: '4' }, {}, 'another AppSecret'))).toEqual([
      { event: 'app-removed', app: 'b' },
      { event: 'secret-changed', app: 'a' },
      { event: 'app-added', app: 'b' },
      { event: 'app-added', app: 'c' },
    ]);
  });

  it.each<[what: string, change: Partial<Client>]>([
    ['another', { keys: [keyOf(createSecretKey(randomBytes(32)))] }],
    ['one more', { keys: [keyOf(secret), keyOf(createSecretKey(randomBytes(32)))] }],
    ['those of an issuer', { keys: [], issuer: issuerOf('https://issuer.example', 'web') }],
  ])('are the keys of clients, in the place of which there is %s', (_, change) => {
    const [before, after] = [having({}, { web: client() }), having({}, { web: client(change) })];
    expect(changesOf(before, after)).toEqual([{ event: 'key-changed', client: 'web' }]);
    expect(changesOf(after, before)).toEqual([{ event: 'key-changed', client: 'web' }]);
    const both = having({}, { web: client({ ...change, apps: '*' }) });
    expect(changesOf(before, both)).toEqual([
      { event: 'key-changed', client: 'web' },
      { event: 'client-changed', client: 'web' },
    ]);
  });

  it.each<[what: string, change: Partial<Client>]>([
    ['every app', { apps: '*' }],
    ['another app', { apps: new Set(['crm']) }],
    ['one app more', { apps: new Set(['shop', 'crm']) }],
    ['one right more', { may: new Set<Action>(['read', 'rotate']) }],
    ['no right', { may: new Set<Action>() }],
  ])('are the clients that have %s', (_, change) => {
    const [before, after] = [having({}, { web: client() }), having({}, { web: client(change) })];
    expect(changesOf(before, after)).toEqual([{ event: 'client-changed', client: 'web' }]);
    expect(changesOf(after, before)).toEqual([{ event: 'client-changed', client: 'web' }]);
  });

  it("are the clients of an issuer that are another of its subjects now, or another issuer's", () => {
    const of = (issuer: string, subject: string) =>
      having({}, { web: client({ keys: [], issuer: issuerOf(issuer, subject) }) });
    const before = of('https://issuer.example', 'web');
    expect(changesOf(before, of('https://issuer.example', 'web'))).toEqual([]);
    for (const after of [of('https://issuer.example', 'crm'), of('https://other.example', 'web')]) {
      expect(changesOf(before, after)).toEqual([{ event: 'key-changed', client: 'web' }]);
    }
  });

  it('are the clients that came and went', () => {
    const changes = changesOf(having({}, { web: client() }), having({}, { crm: client() }));
    expect(changes).toEqual([
      { event: 'client-removed', client: 'web' },
      { event: 'client-added', client: 'crm' },
    ]);
  });
});
