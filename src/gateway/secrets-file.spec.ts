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

  it.each<[string, string, string]>([
    [
      'lines, and brackets as the operator likes them',
      "apps: {shop: {  }, x: [ 1,2 ]}   # ours\nclients:\n    a: # the old shop\n        apps:   [shop]\n        key: 'x'   # of May\n\n    # the new one\n    b: {apps: '*'}",
      "apps: {shop: {  }, x: [ 1,2 ]}   # ours\nclients:\n    a: # the old shop\n        apps:   [shop]\n        key: 'x'   # of May\n        secrets:\n          shop:\n            - DIGEST\n\n    # the new one\n    b: {apps: '*'}",
    ],
    [
      'a list with remarks',
      'clients:\n  a:\n    secrets:\n      shop:\n      - sha256:1 # of May\n    apps: "*" # all\n',
      'clients:\n  a:\n    secrets:\n      shop:\n      - sha256:1 # of May\n      - DIGEST\n    apps: "*" # all\n',
    ],
    [
      'a list in brackets',
      'clients:\n  a: { apps: [ shop ], secrets: { shop: [ sha256:1 ] }, may: [ proxy ] }\n',
      'clients:\n  a: { apps: [ shop ], secrets: { shop: [ sha256:1, DIGEST ] }, may: [ proxy ] }\n',
    ],
    [
      'brackets without one yet',
      'clients: {a: {apps: [shop]}}\n',
      'clients: {a: {apps: [shop], secrets: {shop: [DIGEST]}}}\n',
    ],
    [
      'secrets of another app, and no end of the last line',
      'clients:\n  a:\n    apps: [shop, crm]\n    secrets:\n      crm: [sha256:1]',
      'clients:\n  a:\n    apps: [shop, crm]\n    secrets:\n      crm: [sha256:1]\n      shop:\n        - DIGEST\n',
    ],
    [
      'lines as Windows ends them',
      'clients:\r\n  a:\r\n    apps: [shop]\r\n',
      'clients:\r\n  a:\r\n    apps: [shop]\r\n    secrets:\r\n      shop:\r\n        - DIGEST\r\n',
    ],
    [
      'JSON',
      '{\n  "clients": {\n    "a": {\n      "apps": ["shop"]\n    }\n  }\n}',
      '{\n  "clients": {\n    "a": {\n      "apps": ["shop"],\n      "secrets": {"shop": ["DIGEST"]}\n    }\n  }\n}',
    ],
  ])('changes no byte but its own: %s', (_, before, after) => {
    const file = new SecretsFile(before);
    const { text } = file;
    const digest = digestOf(file.issue('a', 'shop'));
    expect(file.text).toBe(after.replace('DIGEST', digest));
    expect(file.revoke('a', 'shop', digest)).toBe(digest);
    expect(file.text.replace(/\n?$/, '')).toBe(text.replace(/\n?$/, ''));
  });

  it('leaves a remark beside a secret with its secret', () => {
    const file = new SecretsFile(
      'clients:\n  a:\n    apps: "*"\n    secrets:\n      shop:\n        - sha256:1 # of May\n        - sha256:2 # of June\n',
    );
    file.revoke('a', 'shop');
    expect(file.text).toBe('clients:\n  a:\n    apps: "*"\n    secrets:\n      shop:\n        - sha256:2 # of June\n');
  });

  it.each([
    'clients:\n  a:\n    apps: "*"\n    secrets:\n',
    'clients: {a: {apps: "*", secrets: {shop: }}}',
    '{clients: {a: {apps: "*",},},}',
  ])('is written anew where it cannot be changed in place: %j', (text) => {
    const file = new SecretsFile(text);
    const digest = digestOf(file.issue('a', 'shop'));
    expect(new SecretsFile(file.text).list()).toEqual([{ client: 'a', app: 'shop', digests: [digest] }]);
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
