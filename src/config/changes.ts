import type { Steps } from '../turns.js';
import { type Client, isSameAddress } from './clients.js';
import type { Configuration } from './configuration.js';
import type { Secret } from './secret.js';

/** What a new configuration has changed, by the name of the client or app. */
export interface Change {
  readonly event:
    | 'client-added'
    | 'client-removed'
    /** What it may do. */
    | 'client-changed'
    /** By which its tokens are told. */
    | 'key-changed'
    | 'app-added'
    | 'app-removed'
    | 'secret-changed';
  readonly client?: string;
  readonly app?: string;
}

type Compared = Pick<Configuration<{ readonly identity: string; readonly secret: Secret }>, 'apps' | 'clients'>;

/**
 * Tells what is different after a change. An app with another account behind its name is another app; of a secret or a
 * key it is told that it is another one, and no more.
 */
export function* changesBetween(before: Compared, after: Compared): Steps<Change[]> {
  const isKept = (app: string): boolean => before.apps.get(app)?.identity === after.apps.get(app)?.identity;
  const changes: Change[] = [];
  for (const app of before.apps.keys()) {
    if (!isKept(app)) changes.push({ event: 'app-removed', app });
    yield;
  }
  for (const [app, { secret }] of after.apps) {
    if (!isKept(app)) changes.push({ event: 'app-added', app });
    else if (before.apps.get(app)?.secret.equals(secret) === false) changes.push({ event: 'secret-changed', app });
    yield;
  }
  for (const client of before.clients.keys()) {
    if (!after.clients.has(client)) changes.push({ event: 'client-removed', client });
  }
  for (const [kid, client] of after.clients) {
    const known = before.clients.get(kid);
    if (!known) changes.push({ event: 'client-added', client: kid });
    else {
      if (!isToldAlike(known, client)) changes.push({ event: 'key-changed', client: kid });
      if (!mayTheSame(known, client)) changes.push({ event: 'client-changed', client: kid });
    }
  }
  return changes;
}

/** Whether a client sees the same apps, and may do the same with them. */
function mayTheSame(one: Client, other: Client): boolean {
  return (
    isSameSet(one.apps, other.apps) &&
    isSameSet(one.may, other.may) &&
    isSameSet(new Set(one.paths), new Set(other.paths))
  );
}

function secretsOf({ secrets }: Client): Set<string> {
  return new Set([...(secrets ?? [])].flatMap(([app, digests]) => digests.map((digest) => `${app} ${digest}`)));
}

/** Whether a client is told by the same tokens and secrets. */
function isToldAlike(one: Client, other: Client): boolean {
  const areKeysSame =
    isSameSet(secretsOf(one), secretsOf(other)) &&
    one.keys.length === other.keys.length &&
    one.keys.every(({ key }, i) => other.keys[i]?.key.equals(key));
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
