import type { Client, Configuration } from './configuration.js';

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

/** Whether a client has the same key, sees the same apps, and may do the same. */
function isSame(one: Client, other: Client): boolean {
  return one.key.equals(other.key) && isSameSet(one.apps, other.apps) && isSameSet(one.may, other.may);
}

function isSameSet(one: '*' | ReadonlySet<string>, other: '*' | ReadonlySet<string>): boolean {
  if (one === '*' || other === '*') return one === other;
  return one.size === other.size && [...one].every((member) => other.has(member));
}
