import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { type Certificate, certificateIn } from '../../test/certificate.fixture.js';
import { ConfigurationError, Faults } from './faults.js';
import { SecretReader } from './secret-reader.js';
import { readTls, type TlsSettings } from './tls-settings.js';

const folder = mkdtempSync(join(tmpdir(), 'tls-'));
let hub: Certificate;
let other: Certificate;
beforeAll(() => {
  hub = certificateIn(folder, 'hub');
  other = certificateIn(folder, 'other');
});
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

/** What is read, or the faults of it. */
function read(environment: Readonly<Record<string, string>>): TlsSettings | undefined | readonly string[] {
  const faults = new Faults();
  const secrets = new SecretReader(environment);
  const settings = readTls(environment, secrets, faults);
  try {
    faults.refuse(secrets.files);
  } catch (error) {
    if (error instanceof ConfigurationError) return error.faults;
    throw error;
  }
  return settings;
}

const pair = () => ({ TLS_CERT_FILE: hub.certFile, TLS_KEY_FILE: hub.keyFile });

describe('TLS', () => {
  it('is not spoken unless it is wanted', () => {
    expect(read({})).toBeUndefined();
  });

  it('takes a certificate and its key, and whoever signs those of clients', () => {
    expect(read(pair())).toMatchObject({ cert: hub.cert.trimEnd() });
    expect(read({ ...pair(), TLS_CLIENT_CA_FILE: other.certFile })).toMatchObject({ clientCa: other.cert.trimEnd() });
  });

  it('shows the key to nobody', () => {
    expect(inspect(read(pair()), { depth: 5 })).not.toContain(hub.key.slice(30, 60));
  });

  it.each<[string, (files: { hub: Certificate; other: Certificate }) => Record<string, string>, string[]]>([
    ['a certificate alone', ({ hub }) => ({ TLS_CERT_FILE: hub.certFile }), ['TLS_KEY_FILE']],
    ['a key alone', ({ hub }) => ({ TLS_KEY_FILE: hub.keyFile }), ['TLS_CERT_FILE']],
    ['clients alone', ({ other }) => ({ TLS_CLIENT_CA_FILE: other.certFile }), ['TLS_CLIENT_CA_FILE']],
    ['the key of another', ({ other }) => ({ ...pair(), TLS_KEY_FILE: other.keyFile }), ['TLS_KEY_FILE']],
    [
      'files that are not there',
      () => ({ TLS_CERT_FILE: '/no/a', TLS_KEY_FILE: '/no/b' }),
      ['TLS_CERT_FILE', 'TLS_KEY_FILE'],
    ],
    [
      'the two in each place of the other',
      ({ hub }) => ({ TLS_CERT_FILE: hub.keyFile, TLS_KEY_FILE: hub.certFile }),
      ['TLS_CERT_FILE', 'TLS_KEY_FILE'],
    ],
    [
      'a certificate cut short',
      ({ hub }) => ({ ...pair(), TLS_CERT_FILE: file('short', hub.cert.slice(0, 200)) }),
      ['TLS_CERT_FILE'],
    ],
    ['text', () => ({ ...pair(), TLS_KEY_FILE: file('text', 'canary') }), ['TLS_KEY_FILE']],
    [
      'no certificate for clients',
      () => ({ ...pair(), TLS_CLIENT_CA_FILE: file('text', 'canary') }),
      ['TLS_CLIENT_CA_FILE'],
    ],
  ])('refuses %s, by the name of the setting and without a word of what is in it', (_, environment, settings) => {
    const faults = read(environment({ hub, other })) as string[];
    expect(faults.map((fault) => fault.replace(/:.*/, ''))).toEqual(settings);
    expect(faults.join()).not.toMatch(/canary|BEGIN|\/no\//);
  });
});
