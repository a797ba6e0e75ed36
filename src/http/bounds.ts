import type { IncomingMessage, ServerOptions } from 'node:http';
import { placeOf } from '../auth/bearer.js';
import { type Particulars, PROBLEMS, type Refusal } from './problems.js';

/** What does not get on is given up within ten seconds: this, the time until somebody looks, and some for a busy machine. */
const RECEIVE_MS = 9000;
const LOOK_MS = 250;
/** Longer than the idle time of the usual load balancers, which must be the first to close. */
const KEEP_ALIVE_MS = 75_000;
/** A client that does not read what it asked for. The longest chain of calls to WeChat is shorter. */
const STUCK_MS = 60_000;

/** The bounds that Node watches over. It looks at connections that have sent nothing at all, too. */
export const SERVER_BOUNDS = {
  headersTimeout: RECEIVE_MS,
  requestTimeout: RECEIVE_MS,
  keepAliveTimeout: KEEP_ALIVE_MS,
  connectionsCheckingInterval: LOOK_MS,
  maxHeaderSize: 16 * 1024,
  // Refused by us, in the form of our errors.
  requireHostHeader: false,
} as const satisfies ServerOptions;

/** Those that are none of HTTP's. */
export const CONNECTION_BOUNDS = { handshakeMs: RECEIVE_MS, stuckMs: STUCK_MS } as const;

/** Requests that a connection may bring before the first of them is answered. */
export const MAX_PIPELINED = 128;

const MAX_HEADER_LINES = 64;
const MAX_TARGET_LENGTH = 2048;
/** What a request is that Node could not read, or should not have. */
export const NOT_HTTP: Particulars = { detail: 'This is not HTTP as RFC 9112 has it.' };
const NO_BODY: Particulars = { detail: 'A GET has no body.' };
/** The connection ends with the answer: nothing that comes after may be taken for another request. */
const AND_CLOSE = { Connection: 'close' } as const;

/** What is wrong with a request as such, whatever it wants and whoever asks. */
export function flawOf(request: IncomingMessage): Refusal | undefined {
  const { rawHeaders, headers, method, url = '' } = request;
  // Node's own bound on their number drops the rest unseen.
  if (rawHeaders.length > 2 * MAX_HEADER_LINES) return { kind: PROBLEMS.headersTooLarge, headers: AND_CLOSE };
  if (url.length > MAX_TARGET_LENGTH) return { kind: PROBLEMS.uriTooLong };
  if (!isProper(request)) return { kind: PROBLEMS.malformed, particulars: NOT_HTTP, headers: AND_CLOSE };
  const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
  if (hasBody && (method === 'GET' || method === 'HEAD')) {
    return { kind: PROBLEMS.malformed, particulars: NO_BODY, headers: AND_CLOSE };
  }
  return undefined;
}

/** What a name and a port are written with (RFC 3986 §3.2). */
const HOST = /^[\w.~%!$&'()*+,;=:[\]-]*$/;

/** Whether it has what RFC 9112 (§2.3, §3.2) wants of every request, and Node lets pass. */
function isProper({ httpVersion, rawHeaders, url = '' }: IncomingMessage): boolean {
  const place = placeOf('host', rawHeaders);
  const host = rawHeaders[place];
  if (host !== undefined && placeOf('host', rawHeaders, place) >= 0) return false;
  if (!HOST.test(host ?? '') || url.includes('#')) return false;
  return httpVersion === '1.0' || (httpVersion === '1.1' && host !== undefined);
}
