import { randomUUID } from 'node:crypto';
import type { HubRequest } from './messages.js';

/** What an id of a request may look like. */
export const REQUEST_ID = /^[A-Za-z0-9._~:/+=-]{1,128}$/;

/** The id of a request: the client's own where it is well-formed, else a new one. */
export function requestIdFor({ headers }: HubRequest): string {
  const asked = headers['x-request-id'];
  return typeof asked === 'string' && REQUEST_ID.test(asked) ? asked : randomUUID();
}
