import { isDeepStrictEqual } from 'node:util';
import { isMap, isScalar, isSeq, parseDocument, stringify, type Document, type YAMLMap } from 'yaml';
import { digestOf, issueSecret } from '../config/issued-secret.js';
import { CollectionText } from './collection-text.js';

/** What stands in the way of a change; the file is as it was. */
export class SecretsFileRefused extends Error {}

/** Two, so that a client can change from one to the other without an outage. */
const MOST = 2;

/**
 * A configuration file, as far as it is about issued secrets. What else stands in it, comments included, stays as it is.
 */
export class SecretsFile {
  private document: Document;
  private readonly isJson: boolean;

  /**
   * @param text as it is to be written, changed or not.
   * @throws SecretsFileRefused when it is no YAML or JSON.
   */
  constructor(public text: string) {
    this.isJson = text.startsWith('{');
    this.document = parseDocument(text);
    if (this.document.errors.length > 0) throw new SecretsFileRefused('The file is not valid YAML or JSON.');
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
    const edited = this.edited(client, app, digests);
    const path = ['clients', client, 'secrets'];
    if (!isMap(this.document.getIn(path))) this.document.deleteIn(path);
    if (digests.length > 0) this.document.setIn([...path, app], this.document.createNode(digests));
    else this.document.deleteIn([...path, app]);
    const secrets: unknown = this.document.getIn(path);
    if (isMap(secrets) && secrets.items.length === 0) this.document.deleteIn(path);
    // There are more ways to write YAML than can be changed in place; then all of it is written anew.
    this.text = edited !== undefined && this.means(edited) ? edited : this.rendered;
    this.document = parseDocument(this.text);
  }

  /** The text in which one digest has come or gone, and every other byte is as it was; nothing if it cannot be had so. */
  private edited(client: string, app: string, digests: readonly string[]): string | undefined {
    const described = this.document.getIn(['clients', client], true) as YAMLMap;
    const secrets = described.get('secrets', true) as unknown;
    const list: unknown = isMap(secrets) ? secrets.get(app, true) : undefined;
    const present = isSeq(list) ? (list.toJSON() as string[]) : [];
    const fresh = digests.find((digest) => !present.includes(digest));
    const gone = present.findIndex((digest) => !digests.includes(digest));
    if (fresh !== undefined) {
      const [name, digest] = [this.written(app), this.written(fresh)];
      if (isSeq(list) && list.items.length > 0) return this.in(list).with([`- ${digest}`], digest);
      const [lines, inline] = [[`${name}:`, `  - ${digest}`], `${name}: [${digest}]`];
      if (isMap(secrets) && secrets.items.length > 0) return this.in(secrets).with(lines, inline);
      const key = this.written('secrets');
      return this.in(described).with([`${key}:`, ...lines.map((line) => `  ${line}`)], `${key}: {${inline}}`);
    }
    if (!isSeq(list) || !isMap(secrets) || gone === -1) return undefined;
    if (list.items.length > 1) return this.in(list).without(gone);
    if (secrets.items.length > 1) return this.in(secrets).without(placeOf(secrets, app));
    return this.in(described).without(placeOf(described, 'secrets'));
  }

  private in(collection: ConstructorParameters<typeof CollectionText>[1]): CollectionText {
    return new CollectionText(this.text, collection);
  }

  private written(word: string): string {
    return this.isJson ? JSON.stringify(word) : stringify(word).trim();
  }

  private means(text: string): boolean {
    const read = parseDocument(text);
    return read.errors.length === 0 && isDeepStrictEqual(read.toJS(), this.document.toJS());
  }

  private get rendered(): string {
    if (this.isJson) return `${JSON.stringify(this.document.toJS(), undefined, 2)}\n`;
    return this.document.toString({ lineWidth: 0, flowCollectionPadding: false });
  }
}

function placeOf({ items }: YAMLMap, name: string): number {
  return items.findIndex(({ key }) => (isScalar(key) ? key.value : key) === name);
}

interface Clients {
  readonly secrets?: Record<string, string[] | null> | null;
}
