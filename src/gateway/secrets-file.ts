import { isMap, isSeq, parseDocument, type Document } from 'yaml';
import { digestOf, issueSecret } from '../config/issued-secret.js';

/** What stands in the way of a change; the file is as it was. */
export class SecretsFileRefused extends Error {}

/** Two, so that a client can change from one to the other without an outage. */
const MOST = 2;

/**
 * A configuration file, as far as it is about issued secrets. What else stands in it, comments included, stays as it is.
 */
export class SecretsFile {
  private readonly document: Document;
  private readonly isJson: boolean;

  /** @throws SecretsFileRefused when it is no YAML or JSON. */
  constructor(text: string) {
    this.isJson = text.startsWith('{');
    this.document = parseDocument(text);
    if (this.document.errors.length > 0) throw new SecretsFileRefused('The file is not valid YAML or JSON.');
  }

  /** The file as it is to be written. */
  get text(): string {
    if (this.isJson) return `${JSON.stringify(this.document.toJS(), undefined, 2)}\n`;
    return this.document.toString({ lineWidth: 0 });
  }

  /**
   * Issues a secret to a client for one of its apps.
   * @returns the secret, of which the file keeps the digest alone.
   */
  issue(client: string, app: string): string {
    const digests = this.digestsOf(client, app);
    if (digests.length >= MOST) {
      throw new SecretsFileRefused(`${client} has ${MOST} secrets for ${app} already: revoke the older one first.`);
    }
    const secret = issueSecret();
    this.write(client, app, [...digests, digestOf(secret)]);
    return secret;
  }

  /**
   * Revokes one secret of a client: the older, or the one whose digest begins so, with or without `sha256:`.
   * @returns the digest that is gone.
   */
  revoke(client: string, app: string, beginning = ''): string {
    const digests = this.digestsOf(client, app);
    const found = digests.filter((digest) =>
      digest.replace('sha256:', '').startsWith(beginning.replace('sha256:', '')),
    );
    const [revoked] = found;
    if (revoked === undefined) throw new SecretsFileRefused(`${client} has no such secret for ${app}.`);
    this.write(
      client,
      app,
      digests.filter((digest) => digest !== revoked),
    );
    return revoked;
  }

  /** Who has which secrets, by their digests, the older first. */
  list(): { readonly client: string; readonly app: string; readonly digests: readonly string[] }[] {
    const { clients } = (this.document.toJS() ?? {}) as { clients?: Record<string, Clients | null> | null };
    // Where nothing is written behind a name yet, YAML has a null.
    return Object.entries(clients ?? {}).flatMap(([client, described]) =>
      Object.entries(described?.secrets ?? {}).map(([app, digests]) => ({ client, app, digests: digests ?? [] })),
    );
  }

  private digestsOf(client: string, app: string): readonly string[] {
    if (!isMap(this.document.getIn(['clients', client]))) {
      throw new SecretsFileRefused(`There is no client ${client} in the file: describe it there first.`);
    }
    const apps: unknown = this.document.getIn(['clients', client, 'apps']);
    const seen = isSeq(apps) ? apps.toJSON() : [apps];
    if (!seen.includes('*') && !seen.includes(app)) {
      throw new SecretsFileRefused(`${app} is not among the apps of the client ${client}.`);
    }
    const digests: unknown = this.document.getIn(['clients', client, 'secrets', app]);
    return isSeq(digests) ? (digests.toJSON() as string[]) : [];
  }

  private write(client: string, app: string, digests: readonly string[]): void {
    const path = ['clients', client, 'secrets'];
    if (digests.length > 0) this.document.setIn([...path, app], this.document.createNode(digests));
    else this.document.deleteIn([...path, app]);
    const secrets: unknown = this.document.getIn(path);
    if (isMap(secrets) && secrets.items.length === 0) this.document.deleteIn(path);
  }
}

interface Clients {
  readonly secrets?: Record<string, string[] | null> | null;
}
