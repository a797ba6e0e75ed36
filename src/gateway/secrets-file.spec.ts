import { parse } from 'yaml';
import { digestOf } from '../config/issued-secret.js';
import { SecretsFile, SecretsFileRefused } from './secrets-file.js';

const FILE = `# our apps
apps:
  shop: {}
clients:
  # the old shop
  legacy:
    apps: [shop]
    may: [proxy]
  all:
    apps: '*'
`;

describe('a file with issued secrets', () => {
  it('keeps of a secret its digest alone, and everything else as it was', () => {
    const file = new SecretsFile(FILE);
    const secret = file.issue('legacy', 'shop');
    expect(secret).toMatch(/^wths_[0-9a-f]{48}$/);
    expect(file.text).toContain('# the old shop');
    expect(file.text).not.toContain(secret);
    const digests = [digestOf(secret)];
    expect(file.list()).toEqual([{ client: 'legacy', app: 'shop', digests }]);
    expect(parse(file.text)).toEqual({
      apps: { shop: {} },
      clients: { legacy: { apps: ['shop'], may: ['proxy'], secrets: { shop: digests } }, all: { apps: '*' } },
    });
  });

  it('stays JSON if it was JSON', () => {
    const file = new SecretsFile(JSON.stringify({ clients: { legacy: { apps: ['shop'] } } }));
    const digests = [digestOf(file.issue('legacy', 'shop'))];
    expect(JSON.parse(file.text)).toEqual({ clients: { legacy: { apps: ['shop'], secrets: { shop: digests } } } });
  });

  it('holds two for a client and an app, and revokes the older one unless told which', () => {
    const file = new SecretsFile(FILE);
    const digests = [file.issue('all', 'shop'), file.issue('all', 'shop')].map(digestOf);
    expect(() => file.issue('all', 'shop')).toThrow(SecretsFileRefused);
    expect(file.revoke('all', 'shop')).toBe(digests[0]);
    file.issue('all', 'shop');
    const [, newest = ''] = file.list()[0]?.digests ?? [];
    expect(file.revoke('all', 'shop', newest.slice('sha256:'.length, 20))).toBe(newest);
    expect(file.revoke('all', 'shop')).toBe(digests[1]);
    expect(parse(file.text)).toEqual(parse(FILE));
    expect(() => file.revoke('all', 'shop')).toThrow(SecretsFileRefused);
  });

  it.each([
    ['a client that is not there', 'nobody', 'shop'],
    ['an app that the client does not see', 'legacy', 'crm'],
  ])('refuses %s', (_, client, app) => {
    expect(() => new SecretsFile(FILE).issue(client, app)).toThrow(SecretsFileRefused);
  });

  it.each(['clients:\n', 'clients:\n  new:\n', 'clients: { new: { secrets: } }', ''])(
    'has no secrets where nothing is written yet: %j',
    (text) => {
      expect(new SecretsFile(text).list()).toEqual([]);
    },
  );

  it('is not read if it is no YAML', () => {
    expect(() => new SecretsFile('clients: [')).toThrow(SecretsFileRefused);
  });
});
