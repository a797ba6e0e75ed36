import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';

const HEADER = 'X-Request-Id';
/** What an id of a request may look like. */
export const REQUEST_ID = /^[A-Za-z0-9._~:/+=-]{1,128}$/;

/** Gives every request an id, the client's own where it is well-formed, and sends it back. */
export function giveRequestId(request: IncomingMessage, response: ServerResponse): void {
  const asked = request.headers['x-request-id'];
  const requestId = typeof asked === 'string' && REQUEST_ID.test(asked) ? asked : randomUUID();
  Object.assign(request, { requestId });
  response.setHeader(HEADER, requestId);
}

/** The id of the request that is being answered. */
export function requestIdOf(response: ServerResponse): string {
  return String(response.getHeader(HEADER));
}
