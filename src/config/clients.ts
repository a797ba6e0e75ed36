import { X509Certificate } from 'node:crypto';
import { resolve } from 'node:path';
import { type ClientKey, isShort, publicKey, sharedKey, STRONG_KEY_BYTES, UnusableKey } from './client-key.js';
import { keyVariable, type Rate, type Upstream, upstream } from './environment.js';
import type { Faults } from './faults.js';
import {
  type Action,
  type HubFile,
  type IssuerReference,
  KID,
  type KeyReference,
  type SecretReference,
} from './hub-file.js';
import { type Environment, type SecretReader, UnreadableSecret } from './secret-reader.js';
import type { Secret } from './secret.js';

/** A program that may ask the hub: how its tokens are told, the apps it sees, and what it may do with them. */
export interface Client {
  /** By which the configuration and the log speak of it, and its tokens too, as their `kid`, if they are its own. */
  readonly name: string;
  /** Its own keys: one, or two while it changes from one to the other; none if its tokens are an issuer's. */
  readonly keys: readonly ClientKey[];
  /** Who makes its tokens, if it does not itself. */
  readonly issuer?: Issuer;
  readonly apps: '*' | ReadonlySet<string>;
  readonly may: ReadonlySet<Action>;
  /** Of the secrets that were issued to it in place of AppSecrets: their digests, one or two for each app. */
  readonly secrets?: ReadonlyMap<string, readonly string[]>;
  /** The paths of WeChat's API that it may call through the hub; absent, all. A `*` at the end is for all below. */
  readonly paths?: readonly string[] | undefined;
  /** What it may ask of each hub; absent, as much as all. */
  readonly rate?: Rate | undefined;
}

/** Who makes tokens for clients that have no key of their own: a cluster for its pods, or any OpenID provider. */
export interface Issuer {
  /** What its tokens have as `iss`. */
  readonly name: string;
  readonly keySet: KeySetAddress;
  /** The clients, by the `sub` of their tokens. */
  readonly clients: ReadonlyMap<string, Client>;
}

/** Where an issuer shows its public keys, and how to get there. */
export interface KeySetAddress extends Upstream {
  /** The only authorities to trust there, in PEM, if not the usual. */
  readonly ca?: string;
  /** The file of the bearer token to show there; its content changes too often to be followed. */
  readonly tokenFile?: string;
}

const NO_KEY =
  'is missing; a client of SDKs alone needs none once it has a secret (npm run secret -- issue --client … --app …)';
const ENVIRONMENT_CLIENT_MAY: ReadonlySet<Action> = new Set<Action>(['read', 'rotate', 'report', 'sign']);

/** Where keys are, and how strictly they are looked at. */
export interface KeySource {
  readonly environment: Environment;
  readonly secrets: SecretReader;
  /** Where relative paths of the configuration file start. */
  readonly folder: string;
  /** Whether short shared secrets are refused, as AUTH_STRICT says. */
  readonly strict: boolean;
}

/** Gathers the clients of the configuration file and of the environment, and what is wrong with them. */
export class ClientReader {
  readonly found = new Map<string, Client>();
  readonly issuers = new Map<string, Issuer & { readonly clients: Map<string, Client> }>();
  /** How many there would be if all were right. */
  written = 0;
  private readonly holders = new Map<string, string>();

  constructor(
    private readonly source: KeySource,
    private readonly warnings: string[],
    private readonly faults: Faults,
  ) {}

  /** Adds a client of the configuration file. */
  add(name: string, written: HubFile['clients'][string], setting: string): void {
    const { key, keys, apps, may, rate, paths } = written;
    const sight = apps === '*' || apps.includes('*') ? ('*' as const) : new Set(apps);
    const secrets = this.secrets(name, written.secrets ?? {}, sight, `${setting}.secrets`);
    const rights = { apps: sight, may: new Set(may), rate, paths, secrets };
    const isNamed = this.isNamed(name, `${setting}.key`);
    const hasKeys = key !== undefined || keys !== undefined;
    if (!hasKeys && secrets.size > 0) {
      if (isNamed) this.found.set(name, { name, keys: [], ...rights });
    } else if (!hasKeys || (key && keys)) {
      this.faults.add(`${setting}.key`, key ? 'is there beside keys: one of them must go' : NO_KEY);
    } else if (key && 'jwks' in key) {
      const issuer = this.issuer(key, `${setting}.key`);
      if (!issuer || !isNamed) return;
      const client = { name, keys: [], issuer, ...rights };
      const holder = issuer.clients.get(key.subject);
      if (holder) this.faults.add(`${setting}.key`, `has the issuer and the subject of the client ${holder.name}`);
      issuer.clients.set(key.subject, client);
      this.found.set(name, client);
    } else {
      const own = key
        ? [this.key(key, `${setting}.key`)]
        : (keys ?? []).map((one, i) => this.key(one, `${setting}.keys.${i}`));
      const [first, second] = own;
      if (first && second?.key.equals(first.key)) this.faults.add(`${setting}.keys`, 'are one and the same');
      if (isNamed) this.found.set(name, { name, keys: own.filter((one) => one !== undefined), ...rights });
    }
  }

  /** Adds the client whose key the environment holds. */
  addOfEnvironment(kid: string): void {
    const variable = keyVariable(kid);
    const isNamed = this.isNamed(kid, variable);
    const key = this.key({ env: variable }, variable);
    if (key && isNamed) this.found.set(kid, { name: kid, keys: [key], apps: '*', may: ENVIRONMENT_CLIENT_MAY });
  }

  private secrets(
    client: string,
    written: Readonly<Record<string, readonly string[]>>,
    sight: Client['apps'],
    setting: string,
  ): ReadonlyMap<string, readonly string[]> {
    for (const [app, digests] of Object.entries(written)) {
      if (sight !== '*' && !sight.has(app))
        this.faults.add(`${setting}.${app}`, 'is not among the apps of this client');
      for (const digest of digests) {
        const holder = this.holders.get(digest);
        if (holder !== undefined) this.faults.add(`${setting}.${app}`, `has a secret of the client ${holder}`);
        this.holders.set(digest, client);
      }
    }
    return new Map(Object.entries(written));
  }

  private isNamed(name: string, setting: string): boolean {
    this.written += 1;
    const fault = !KID.test(name)
      ? `the kid must match ${KID.source}`
      : this.found.has(name)
        ? 'the environment and HUB_CONFIG both hold a key for this kid'
        : undefined;
    if (fault !== undefined) this.faults.add(setting, fault);
    return fault === undefined;
  }

  private key(reference: KeyReference, setting: string): ClientKey | undefined {
    if ('publicKey' in reference) {
      return this.attempt(`${setting}.publicKey`, () => publicKey(this.read(reference.publicKey).reveal()));
    }
    return this.attempt(setting, () => {
      const key = sharedKey(this.read(reference));
      if (!isShort(key)) return key;
      if (this.source.strict) {
        throw new UnusableKey(`is shorter than ${STRONG_KEY_BYTES} bytes, which AUTH_STRICT forbids`);
      }
      this.warnings.push(`${setting}: the key is shorter than ${STRONG_KEY_BYTES} bytes`);
      return key;
    });
  }

  private issuer({ jwks, issuer: name, ca, token }: IssuerReference, setting: string) {
    const { environment, folder } = this.source;
    const authorities = ca && this.attempt(`${setting}.ca`, () => certificates(this.read(ca).reveal()));
    // Only what is on this machine may be asked without TLS, and that is on no proxy's way.
    const way = jwks.protocol === 'https:' ? upstream(jwks, environment, this.faults) : { root: jwks };
    const keySet: KeySetAddress = {
      ...way,
      ...(authorities !== undefined && { ca: authorities }),
      ...(token && { tokenFile: resolve(folder, token.file) }),
    };
    if (ca && authorities === undefined) return undefined;
    const known = this.issuers.get(name);
    if (known && !isSameAddress(known.keySet, keySet)) {
      this.faults.add(setting, 'has another jwks, ca or token than another client of the same issuer');
      return undefined;
    }
    const issuer = known ?? { name, keySet, clients: new Map<string, Client>() };
    this.issuers.set(name, issuer);
    return issuer;
  }

  private read(reference: SecretReference): Secret {
    return this.source.secrets.referred(reference, this.source.folder);
  }

  private attempt<T>(setting: string, read: () => T): T | undefined {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof UnreadableSecret || error instanceof UnusableKey)) throw error;
      this.faults.add(setting, error.message);
      return undefined;
    }
  }
}

/** Whether two issuers show their keys at the same place, reached in the same way. */
export function isSameAddress(one: KeySetAddress, other: KeySetAddress): boolean {
  return (
    one.root.href === other.root.href &&
    one.proxy?.href === other.proxy?.href &&
    one.ca === other.ca &&
    one.tokenFile === other.tokenFile
  );
}

/** Makes sure that it is certificates, in PEM: of anything else TLS would take no notice, and trust nobody. */
function certificates(pem: string): string {
  try {
    new X509Certificate(pem);
    return pem;
  } catch {
    throw new UnusableKey('must be certificates in PEM');
  }
}
