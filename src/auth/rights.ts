import type { Client } from '../config/clients.js';
import type { Action } from '../config/hub-file.js';

/** There is no such app, as far as this client is concerned. */
export class UnknownApp extends Error {
  constructor() {
    super('There is no such app.');
    this.name = 'UnknownApp';
  }
}

/** The client is known, and sees the app, but may not do this. */
export class Forbidden extends Error {
  constructor() {
    super('This client may not do that.');
    this.name = 'Forbidden';
  }
}

/** Whether the app exists for this client. */
export function sees({ apps }: Client, app: string): boolean {
  return apps === '*' || apps.has(app);
}

/** @throws UnknownApp when the client does not see the app, Forbidden when it sees it but may not do this with it. */
export function assertMay(client: Client, action: Action, app: string): void {
  if (!sees(client, app)) throw new UnknownApp();
  if (!client.may.has(action)) throw new Forbidden();
}

/** @throws Forbidden when the client may not call this path of WeChat's API through the hub. */
export function assertMayCall({ paths }: Client, path: string): void {
  const isAllowed = (pattern: string): boolean =>
    pattern.endsWith('*') ? path.startsWith(pattern.slice(0, -1)) : path === pattern;
  if (paths && !paths.some(isAllowed)) throw new Forbidden();
}
