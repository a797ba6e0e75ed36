import { Buffer } from 'node:buffer';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { join } from 'node:path';
import { CERTIFICATE } from '../../test/issuer.fixture.js';
import { type Configuration } from './configuration.js';
import type { Environment } from './secret-reader.js';
import {
  type App,
  APPID,
  ENOUGH,
  faultsOf,
  file,
  folder,
  read,
  readFile,
  refusal,
} from '../../test/configuration.fixture.js';

describe('the key of a client', () => {
  it('belongs to the kid that its variable names, upper and lower case included', () => {
    const { clients } = read({
      ...ENOUGH,
      'JWT_KEY_Web-2.0_x': 'a'.repeat(32),
      JWT_KEY_WEB: 'b'.repeat(32),
      JWT_KEY_shop_FILE: file('shop', 'c'.repeat(32)),
    });
    expect([...clients.keys()].sort()).toEqual(['WEB', 'Web-2.0_x', 'shop', 'web']);
    expect(clients.get('WEB')?.keys[0]?.key.export()).toEqual(Buffer.from('b'.repeat(32)));
  });

  it.each(['', '-web', '.web', 'we b', 'wéb', 'a/b', 'x'.repeat(65)])('cannot have the kid %j', (kid) => {
    expect(faultsOf(() => read({ ...ENOUGH, [`JWT_KEY_${kid}`]: 'k'.repeat(32) }))).toEqual([
      expect.stringMatching(/: the kid must match /),
    ]);
  });

  it.each([
    ['JWT_KEY_X_SERVICE_HOST', '10.96.0.7'],
    ['JWT_KEY_X_SERVICE_HOST', 'fd00:10:96::7'],
    ['JWT_KEY_X_SERVICE_PORT', '80'],
    ['JWT_KEY_X_SERVICE_PORT_HTTP', '80'],
    ['JWT_KEY_X_SERVICE_PORT_HTTP_METRICS', '9090'],
    ['JWT_KEY_X_PORT', 'tcp://10.96.0.7:80'],
    ['JWT_KEY_X_PORT', 'tcp://[fd00:10:96::7]:80'],
    ['JWT_KEY_X_PORT_80_TCP', 'tcp://10.96.0.7:80'],
    ['JWT_KEY_X_PORT_53_UDP', 'udp://10.96.0.7:53'],
    ['JWT_KEY_X_PORT_80_TCP_ADDR', '10.96.0.7'],
    ['JWT_KEY_X_PORT_80_TCP_PORT', '80'],
    ['JWT_KEY_X_PORT_80_TCP_PROTO', 'tcp'],
    ['JWT_KEY_SERVICE_HOST', '10.96.0.7'],
    ['JWT_KEY_PORT', 'tcp://10.96.0.7:80'],
  ])('is not what Kubernetes sets for a Service of that name: %s', (variable, address) => {
    expect([...read({ ...ENOUGH, [variable]: address }).clients.keys()]).toEqual(['web']);
    expect(faultsOf(() => read({ APPID, APPSECRET: 's', [variable]: address }))).toEqual([
      expect.stringMatching(/^JWT_KEY_\{kid\}: no client is configured/),
    ]);
  });

  it.each([
    'X_SERVICE_HOST',
    'X_SERVICE_PORT',
    'X_SERVICE_PORT_HTTP',
    'X_PORT',
    'X_PORT_80_TCP',
    'X_PORT_80_TCP_ADDR',
    'X_PORT_80_TCP_PORT',
    'X_PORT_80_TCP_PROTO',
  ])('may belong to the kid %s all the same', (kid) => {
    expect([...read({ ...ENOUGH, [`JWT_KEY_${kid}`]: 'k'.repeat(32) }).clients.keys()]).toEqual([kid, 'web']);
    const inFile = { ...ENOUGH, [`JWT_KEY_${kid}_FILE`]: file('key', 'k'.repeat(32)) };
    expect([...read(inFile).clients.keys()]).toEqual([kid, 'web']);
  });

  const pem = '-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\n-----END PUBLIC KEY-----\n';
  const certificate = '-----BEGIN CERTIFICATE-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\n-----END CERTIFICATE-----\n';
  it.each([
    ['a PEM key', pem, 'a PEM key or certificate'],
    ['a PEM key after a blank line', `\n  ${pem}`, 'a PEM key or certificate'],
    ['a certificate', certificate, 'a PEM key or certificate'],
    ['a PEM key in base64', Buffer.from(pem).toString('base64'), 'a PEM key or certificate'],
    ['a certificate in base64', Buffer.from(certificate).toString('base64'), 'a PEM key or certificate'],
    ['a JWK', '{"kty":"RSA","n":"AQAB","e":"AQAB"}', 'a JWK'],
    ['a JWK over several lines', '{\n  "use": "sig",\n  "kty": "EC"\n}', 'a JWK'],
    ['a JWKS', '{"keys":[{"kty":"oct","k":"AQAB"}]}', 'a JWK'],
    ['an RSA key for ssh', 'ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQC7 me@home', 'an ssh key'],
    ['an Ed25519 key for ssh', 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE me@home', 'an ssh key'],
    ['an ECDSA key for ssh', 'ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTY me@home', 'an ssh key'],
    ['a key of a security key', 'sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5 me@home', 'an ssh key'],
  ])('is a shared secret, and not %s', (_, key, what) => {
    expect(faultsOf(() => read({ ...ENOUGH, JWT_KEY_web: key }))).toEqual([
      `JWT_KEY_web: looks like ${what}; an HS256 key is a random shared secret`,
    ]);
  });

  it.each(['', ' ', '\t\n'])('is not blank, as %j is', (key) => {
    expect(faultsOf(() => read({ ...ENOUGH, JWT_KEY_web: key }))).toEqual(['JWT_KEY_web: is blank']);
  });

  it('is weak under 32 bytes, which is a warning each', () => {
    const text = 'clients: { shop: { key: { env: SHOP_KEY }, apps: [default] } }';
    const keys = { JWT_KEY_web: 'k'.repeat(31), JWT_KEY_cjk: '密'.repeat(11), SHOP_KEY: 'short' };
    expect(readFile(text, { ...ENOUGH, ...keys }).warnings).toEqual([
      'HUB_CONFIG.clients.shop.key: the key is shorter than 32 bytes',
      'JWT_KEY_web: the key is shorter than 32 bytes',
    ]);
  });

  it('is refused under 32 bytes when AUTH_STRICT is set, and otherwise good', () => {
    const strict = { ...ENOUGH, AUTH_STRICT: 'true' };
    expect(faultsOf(() => read({ ...strict, JWT_KEY_web: 'k'.repeat(31), JWT_KEY_shop: 'k' }))).toEqual([
      'JWT_KEY_shop: is shorter than 32 bytes, which AUTH_STRICT forbids',
      'JWT_KEY_web: is shorter than 32 bytes, which AUTH_STRICT forbids',
    ]);
    expect(read({ ...strict, JWT_KEY_web: 'k'.repeat(32) }).warnings).toEqual([]);
  });
});

describe('the keys of a client in the configuration file', () => {
  const pem = (pair: { publicKey: KeyObject }): string =>
    pair.publicKey.export({ type: 'spki', format: 'pem' }) as string;
  const ed25519 = generateKeyPairSync('ed25519');
  const clientOf = (key: string): string => `clients: { web: { ${key}, apps: '*' } }`;
  const SECRETS = { APPID, APPSECRET: 'app-secret', OLD: 'o'.repeat(32), NEW: 'n'.repeat(32), SHORT: 's' };
  const readKeys = (key: string, environment: Environment = SECRETS): Configuration<App> =>
    readFile(clientOf(key), environment);
  const algorithmsOf = ({ clients }: Configuration<App>) =>
    clients.get('web')?.keys.map(({ algorithms }) => algorithms);

  it('may be public, in a file that is followed', () => {
    const path = file('keys/web.pem', pem(ed25519));
    const configuration = readKeys('key: { publicKey: { file: keys/web.pem } }');
    expect(algorithmsOf(configuration)).toEqual([['EdDSA']]);
    expect(configuration.files).toContain(path);
  });

  it('may be public, in a variable or the file that it names', () => {
    const key = 'key: { publicKey: { env: WEB_PEM } }';
    expect(algorithmsOf(readKeys(key, { ...SECRETS, WEB_PEM: pem(ed25519) }))).toEqual([['EdDSA']]);
    expect(algorithmsOf(readKeys(key, { ...SECRETS, WEB_PEM_FILE: file('web.pem', pem(ed25519)) }))).toEqual([
      ['EdDSA'],
    ]);
  });

  it('may be two at a time, of any kinds', () => {
    file('web.pem', pem(ed25519));
    expect(algorithmsOf(readKeys('keys: [{ env: OLD }, { env: NEW }]'))).toEqual([['HS256'], ['HS256']]);
    expect(algorithmsOf(readKeys('keys: [{ env: OLD }, { publicKey: { file: web.pem } }]'))).toEqual([
      ['HS256'],
      ['EdDSA'],
    ]);
    expect(algorithmsOf(readKeys('keys: [{ env: NEW }]'))).toEqual([['HS256']]);
  });

  it.each<[string, RegExp]>([
    ['key: { publicKey: { env: NOWHERE } }', /^\.key\.publicKey: the variable NOWHERE is not set/],
    ['key: { publicKey: { env: OLD } }', /^\.key\.publicKey: must be one public key/],
    ['key: { publicKey: { file: private.pem } }', /^\.key\.publicKey: is a private key, which the hub must not have/],
    ['key: { publicKey: { file: weak.pem } }', /^\.key\.publicKey: is an RSA key of less than 2048 bits$/],
    ['key: { file: web.pem }', /^\.key: looks like a PEM key or certificate/],
    ['key: { publicKey: canary-7f3a }', /^\.key: must be .* a key itself has no place in this file$/],
    ['key: { publicKey: { file: web.pem }, env: OLD }', /^\.key: must be /],
    ['key: [{ env: OLD }]', /^\.key: must be /],
    ['key: { env: OLD }, keys: [{ env: NEW }]', /^\.key: is there beside keys: one of them must go$/],
    ['may: [read]', /^\.key: is missing; a client of SDKs alone needs none once it has a secret/],
    ['keys: []', /^\.keys: must be one or two$/],
    ['keys: [{ env: OLD }, { env: NEW }, { file: web.pem }]', /^\.keys: must be one or two$/],
    ['keys: { env: OLD }', /^\.keys: must be a list$/],
    ['keys: [{ env: OLD }, canary-7f3a]', /^\.keys\.1: must be /],
    ['keys: [{ env: OLD }, { env: NOWHERE }]', /^\.keys\.1: the variable NOWHERE is not set/],
    ['keys: [{ env: OLD }, { env: OLD }]', /^\.keys: are one and the same$/],
    ['keys: [{ env: OLD }, { jwks: "https://a", issuer: a, subject: b }]', /^\.keys\.1: must be /],
  ])('are not %s', (key, fault) => {
    file('web.pem', pem(ed25519));
    file('weak.pem', pem(generateKeyPairSync('rsa', { modulusLength: 1024 })));
    file('private.pem', ed25519.privateKey.export({ type: 'pkcs8', format: 'pem' }));
    const { faults, message } = refusal(() => readKeys(key));
    expect(faults.map((one) => one.replace('HUB_CONFIG.clients.web', ''))).toEqual([expect.stringMatching(fault)]);
    expect(message).not.toContain('7f3a');
  });

  it('are each weak or strong by themselves', () => {
    const keys = 'keys: [{ env: OLD }, { env: SHORT }]';
    expect(readKeys(keys).warnings).toEqual(['HUB_CONFIG.clients.web.keys.1: the key is shorter than 32 bytes']);
    expect(faultsOf(() => readKeys(keys, { ...SECRETS, AUTH_STRICT: 'true' }))).toEqual([
      'HUB_CONFIG.clients.web.keys.1: is shorter than 32 bytes, which AUTH_STRICT forbids',
    ]);
    file('web.pem', pem(ed25519));
    const isPublic = readKeys('key: { publicKey: { file: web.pem } }', { ...SECRETS, AUTH_STRICT: 'true' });
    expect(isPublic.warnings).toEqual([]);
  });
});

describe('the issuer of the tokens of a client', () => {
  const API_SERVER = 'https://kubernetes.default.svc/openid/v1/jwks';
  const ISSUER = 'https://kubernetes.default.svc.cluster.local';
  const APP = { APPID, APPSECRET: 'app-secret' };

  /** Reads clients, each with its issuer. */
  const readIssued = (
    clients: Readonly<Record<string, object>>,
    environment: Environment = APP,
  ): Configuration<App> => {
    const written = Object.entries(clients).map(([name, key]) => [name, { key, apps: '*' }]);
    return readFile(JSON.stringify({ clients: Object.fromEntries(written) as unknown }), environment);
  };
  const shop = { jwks: API_SERVER, issuer: ISSUER, subject: 'system:serviceaccount:shop:web' };

  it('is known by its name, and its clients by their subjects', () => {
    const { clients, issuers } = readIssued({ shop, crm: { ...shop, subject: 'system:serviceaccount:crm:crm' } });
    const issuer = issuers.get(ISSUER);
    expect([...issuers.keys()]).toEqual([ISSUER]);
    expect([...(issuer?.clients ?? [])].map(([subject, { name }]) => [subject, name])).toEqual([
      ['system:serviceaccount:shop:web', 'shop'],
      ['system:serviceaccount:crm:crm', 'crm'],
    ]);
    expect(issuer?.keySet).toEqual({ root: new URL(API_SERVER) });
    expect(clients.get('shop')).toMatchObject({ name: 'shop', keys: [], apps: '*', may: new Set(['read', 'report']) });
    expect(clients.get('shop')?.issuer).toBe(issuer);
  });

  it('may be reached by an authority of its own and with a token, whose file is not followed', () => {
    const ca = file('tls/ca.pem', CERTIFICATE);
    const key = { ...shop, ca: { file: 'tls/ca.pem' }, token: { file: 'token' } };
    const { issuers, files } = readIssued({ shop: key });
    expect(issuers.get(ISSUER)?.keySet).toMatchObject({ ca: CERTIFICATE.trim(), tokenFile: join(folder, 'token') });
    expect([...files]).toEqual([join(folder, 'hub.yaml'), ca]);
  });

  it.each(['http://127.0.0.1:8001/jwks', 'http://localhost/jwks', 'http://[::1]/jwks', 'https://id.example/k?p=a'])(
    'may show its keys at %s',
    (jwks) => {
      expect(readIssued({ shop: { ...shop, jwks } }).issuers.get(ISSUER)?.keySet.root.href).toBe(jwks);
    },
  );

  it.each([
    'http://id.example/jwks',
    'http://127.0.0.1.id.example/jwks',
    'http://localhost.id.example/jwks',
    'http://10.0.0.1/jwks',
    'https://user:canary-7f3a@id.example/jwks',
    'https://id.example/jwks#7f3a',
    'file:///jwks.json',
    'id.example',
    '',
  ])('does not show them at %s', (jwks) => {
    const { faults, message } = refusal(() => readIssued({ shop: { ...shop, jwks } }));
    expect(faults).toEqual([expect.stringMatching(/^HUB_CONFIG\.clients\.shop\.key\.jwks: must be an https address/)]);
    expect(message).not.toContain('7f3a');
  });

  it.each<[object, string]>([
    [{ jwks: 7 }, 'jwks: must be an address'],
    [{ issuer: undefined }, 'issuer: must be the iss of the tokens, as a text'],
    [{ issuer: '' }, 'issuer: must be the iss of the tokens, and not empty'],
    [{ subject: undefined }, 'subject: must be the sub of the tokens, as a text'],
    [{ subject: 12_345 }, 'subject: must be the sub of the tokens, as a text'],
    [{ ca: 'ca.pem' }, 'ca: must be { file: path }'],
    [{ ca: { file: 'nowhere' } }, 'ca: the file cannot be read (ENOENT)'],
    [{ ca: { file: 'hub.yaml' } }, 'ca: must be certificates in PEM'],
    [{ token: 'token' }, 'token: must be { file: path }'],
  ])('is not written with %j', (more, fault) => {
    expect(faultsOf(() => readIssued({ shop: { ...shop, ...more } }))).toEqual([
      `HUB_CONFIG.clients.shop.key.${fault}`,
    ]);
  });

  it.each([{ jwks: 'https://other.example/jwks' }, { token: { file: 'other' } }])(
    'has its keys at one place, and not at %j too',
    (other) => {
      const two = { shop, crm: { ...shop, subject: 'system:serviceaccount:crm:crm', ...other } };
      expect(faultsOf(() => readIssued(two))).toEqual([
        'HUB_CONFIG.clients.crm.key: has another jwks, ca or token than another client of the same issuer',
      ]);
    },
  );

  it('has one client for each subject', () => {
    expect(faultsOf(() => readIssued({ shop, crm: shop }))).toEqual([
      'HUB_CONFIG.clients.crm.key: has the issuer and the subject of the client shop',
    ]);
    const others = { shop, crm: { ...shop, issuer: 'https://id.example' } };
    expect([...readIssued(others).issuers.keys()]).toEqual([ISSUER, 'https://id.example']);
  });

  it('makes a client that needs no key in the environment, and must not have one', () => {
    expect(readIssued({ shop }).warnings).toEqual([]);
    expect(faultsOf(() => readIssued({ shop }, { ...APP, JWT_KEY_shop: 'k'.repeat(32) }))).toEqual([
      'JWT_KEY_shop: the environment and HUB_CONFIG both hold a key for this kid',
    ]);
  });
});

describe('the secrets of an SDK in the configuration file', () => {
  const ONE = `sha256:${'1'.repeat(64)}`;
  const TWO = `sha256:${'2'.repeat(64)}`;
  const clientsOf = (...clients: string[]): string =>
    `clients: { ${clients.map((client, i) => `sdk${i}: { ${client} }`).join(', ')} }`;
  const faultsIn = (...clients: string[]): readonly string[] =>
    refusal(() => readFile(clientsOf(...clients), ENOUGH)).faults;

  it('need no key beside them, and may be two for an app', () => {
    const text = clientsOf(`secrets: { default: [${ONE}, ${TWO}] }, apps: [default], paths: [/cgi-bin/user/*]`);
    const client = readFile(text, ENOUGH).clients.get('sdk0');
    expect(client).toMatchObject({ keys: [], paths: ['/cgi-bin/user/*'] });
    expect([...(client?.secrets ?? [])]).toEqual([['default', [ONE, TWO]]]);
  });

  it.each([
    ['a secret itself', 'secrets: { default: [wths_canary-7f3a] }', /^\.secrets\.default\.0: must be sha256: with 64/],
    ['none', 'secrets: { default: [] }', /^\.secrets\.default: must be one or two$/],
    ['three', `secrets: { default: [${ONE}, ${TWO}, sha256:${'3'.repeat(64)}] }`, /: must be one or two$/],
    ['a list', `secrets: [${ONE}]`, /^\.secrets: must be names of apps, each with the digests of its secrets$/],
    ['for an app that the client does not see', `secrets: { other: [${ONE}] }`, /^\.secrets\.other: is not among/],
    [
      'with a path that is none',
      `secrets: { default: [${ONE}] }, paths: ['cgi-bin/user']`,
      /^\.paths\.0: must be a path/,
    ],
    ['with no path', `secrets: { default: [${ONE}] }, paths: []`, /^\.paths: must not be empty$/],
  ])('are not %s', (_, client, fault) => {
    const faults = faultsIn(`${client}, apps: [default]`);
    expect(faults.map((one) => one.replace('HUB_CONFIG.clients.sdk0', ''))).toEqual([expect.stringMatching(fault)]);
    expect(faults.join('')).not.toContain('7f3a');
  });

  it('are each of one client, and of one app', () => {
    const client = `secrets: { default: [${ONE}] }, apps: '*'`;
    expect(faultsIn(client, client)).toEqual([
      'HUB_CONFIG.clients.sdk1.secrets.default: has a secret of the client sdk0',
    ]);
  });
});
