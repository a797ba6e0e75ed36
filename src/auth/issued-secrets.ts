import type { Client } from '../config/clients.js';
import type { Configuration } from '../config/configuration.js';
import { digestOf } from '../config/issued-secret.js';

/** Whom an issued secret stands for: one client, and one of its apps. */
export interface SecretHolder {
  readonly client: Client;
  /** The name of the app. */
  readonly app: string;
  /** Of the secret that was shown; another secret of the same client and app has another. */
  readonly digest: string;
}

/** The configuration in force, as far as it is about clients. */
interface Clients {
  readonly current: Pick<Configuration<unknown>, 'clients'>;
}

/** Knows who shows an issued secret, by the configuration in force: one that was revoked is nobody's at once. */
export class IssuedSecrets {
  private indexed: Clients['current'] | undefined;
  private holders: ReadonlyMap<string, SecretHolder> = new Map();

  constructor(private readonly configuration: Clients) {}

  /** Whose secret it is; nobody's, if it was never issued or is revoked. */
  holderOf(secret: string): SecretHolder | undefined {
    return this.withDigest(digestOf(secret));
  }

  /** Whose secret it is of which only the digest is at hand. */
  withDigest(digest: string): SecretHolder | undefined {
    const { current } = this.configuration;
    if (this.indexed !== current) {
      this.holders = indexOf(current.clients.values());
      this.indexed = current;
    }
    return this.holders.get(digest);
  }
}

function indexOf(clients: Iterable<Client>): ReadonlyMap<string, SecretHolder> {
  const holders = new Map<string, SecretHolder>();
  for (const client of clients) {
    for (const [app, digests] of client.secrets ?? []) {
      for (const digest of digests) holders.set(digest, { client, app, digest });
    }
  }
  return holders;
}
