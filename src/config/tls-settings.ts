import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import type { Faults } from './faults.js';
import { type Environment, type SecretReader, UnreadableSecret } from './secret-reader.js';
import type { Secret } from './secret.js';

/** What the hub shows to those who connect by TLS, and what they have to show. */
export interface TlsSettings {
  /** The certificate and those that it rests on, as PEM. */
  readonly cert: string;
  readonly key: Secret;
  /** Those who may sign the certificates of clients, as PEM; absent, clients need none. */
  readonly clientCa?: string;
}

const CERT = 'TLS_CERT_FILE';
const KEY = 'TLS_KEY_FILE';
const CLIENT_CA = 'TLS_CLIENT_CA_FILE';

/** Reads certificate and key, if the hub is to speak TLS; what is wrong with them goes to `faults`. */
export function readTls(environment: Environment, secrets: SecretReader, faults: Faults): TlsSettings | undefined {
  const read = (setting: string): Secret | undefined => {
    const path = environment[setting];
    try {
      if (path === '') throw new UnreadableSecret('names no file');
      return path === undefined ? undefined : secrets.fromFile(path);
    } catch (error) {
      if (!(error instanceof UnreadableSecret)) throw error;
      faults.add(setting, error.message);
      return undefined;
    }
  };
  const wanted = [CERT, KEY].filter((setting) => environment[setting] !== undefined);
  if (wanted.length === 1) faults.add(wanted[0] === CERT ? KEY : CERT, `has to be set, too, with ${wanted.join()}`);
  if (wanted.length === 0 && environment[CLIENT_CA] !== undefined) {
    faults.add(CLIENT_CA, `says nothing without ${CERT} and ${KEY}`);
  }
  const [cert, key, clientCa] = [read(CERT)?.reveal(), read(KEY), read(CLIENT_CA)?.reveal()];
  const certificate = cert === undefined ? undefined : certificateIn(cert);
  const privateKey = key && privateKeyIn(key);
  if (cert !== undefined && !certificate) faults.add(CERT, 'is no certificate in PEM');
  if (key && !privateKey) faults.add(KEY, 'is no private key in PEM, or one with a passphrase');
  if (clientCa !== undefined && !certificateIn(clientCa)) faults.add(CLIENT_CA, 'is no certificate in PEM');
  if (cert === undefined || !key || !certificate || !privateKey) return undefined;
  if (!certificate.checkPrivateKey(privateKey)) faults.add(KEY, `is not the key of the certificate in ${CERT}`);
  else if (!isAccepted(cert, key)) faults.add(CERT, 'is not accepted by OpenSSL: too weak, or a broken chain');
  return { cert, key, ...(clientCa !== undefined && { clientCa }) };
}

function certificateIn(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}

function privateKeyIn(pem: Secret): KeyObject | undefined {
  try {
    return createPrivateKey(pem.reveal());
  } catch {
    return undefined;
  }
}

function isAccepted(cert: string, key: Secret): boolean {
  try {
    createSecureContext({ cert, key: key.reveal() });
    return true;
  } catch {
    return false;
  }
}
