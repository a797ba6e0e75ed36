import { type Client, isSameAddress } from './clients.js';
import type { Configuration } from './configuration.js';

/** What a new configuration has changed, by the name of the client or app. */
export interface Change {
  readonly event: 'client-added' | 'client-removed' | 'client-changed' | 'app-added' | 'app-removed';
  readonly client?: string;
  readonly app?: string;
}

type Compared = Pick<Configuration<{ readonly identity: string }>, 'apps' | 'clients'>;

/** Tells what is different after a change. An app with another account behind its name is another app. */
export function changesBetween(before: Compared, after: Compared): Change[] {
  const isKept = (app: string): boolean => before.apps.get(app)?.identity === after.apps.get(app)?.identity;
  const changes: Change[] = [];
  for (const app of before.apps.keys()) if (!isKept(app)) changes.push({ event: 'app-removed', app });
  for (const app of after.apps.keys()) if (!isKept(app)) changes.push({ event: 'app-added', app });
  for (const client of before.clients.keys()) {
    if (!after.clients.has(client)) changes.push({ event: 'client-removed', client });
  }
  for (const [kid, client] of after.clients) {
    const known = before.clients.get(kid);
    if (!known) changes.push({ event: 'client-added', client: kid });
    else if (!isSame(known, client)) changes.push({ event: 'client-changed', client: kid });
  }
  return changes;
}

/** Whether a client is told by the same tokens and secrets, sees the same apps, and may do the same. */
function isSame(one: Client, other: Client): boolean {
  return (
    isToldAlike(one, other) &&
    isSameSet(one.apps, other.apps) &&
    isSameSet(one.may, other.may) &&
    isSameSet(new Set(one.paths), new Set(other.paths)) &&
    isSameSet(secretsOf(one), secretsOf(other))
  );
}

function secretsOf({ secrets }: Client): Set<string> {
  return new Set([...(secrets ?? [])].flatMap(([app, digests]) => digests.map((digest) => `${app} ${digest}`)));
}

function isToldAlike(one: Client, other: Client): boolean {
  const areKeysSame =
    one.keys.length === other.keys.length && one.keys.every(({ key }, i) => other.keys[i]?.key.equals(key));
  if (!one.issuer || !other.issuer) return areKeysSame && one.issuer === other.issuer;
  return (
    one.issuer.name === other.issuer.name &&
    isSameAddress(one.issuer.keySet, other.issuer.keySet) &&
    subjectOf(one) === subjectOf(other)
  );
}

function subjectOf({ name, issuer }: Client): string | undefined {
  for (const [subject, client] of issuer?.clients ?? []) if (client.name === name) return subject;
  return undefined;
}

function isSameSet(one: '*' | ReadonlySet<string>, other: '*' | ReadonlySet<string>): boolean {
  if (one === '*' || other === '*') return one === other;
  return one.size === other.size && [...one].every((member) => other.has(member));
}
