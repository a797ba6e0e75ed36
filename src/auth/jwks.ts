import { HttpsProxyAgent } from 'https-proxy-agent';
import http from 'node:http';
import https from 'node:https';
import { type ClientKey, keyOfJwk, UnusableKey } from '../config/client-key.js';
import type { Issuer, KeySetAddress } from '../config/clients.js';
import { SecretReader, UnreadableSecret } from '../config/secret-reader.js';
import { parseStrictJson } from '../config/strict-json.js';
import { type AuthEvent, KeySet, KeySetUnavailable } from './key-set.js';

/** One deadline for the whole exchange. */
const DEADLINE_MS = 5000;
const MAX_BYTES = 64 * 1024;

/** The key set of an issuer, which is fetched when somebody wants a key of it. */
export function keySetOf({ name: issuer, keySet }: Issuer, tell: (event: AuthEvent) => void): KeySet {
  return new KeySet({
    fetch: () => fetchKeySet(keySet),
    now: () => performance.now(),
    onFailure: (reason, keepsOlder) => tell({ event: 'keys-unavailable', issuer, reason, keepsOlder }),
  });
}

/**
 * Asks an issuer for its public keys.
 * @returns those with which the hub can verify, by their kid.
 * @throws KeySetUnavailable when no key set of at most 64 KiB comes within 5 s, without a redirect.
 */
export async function fetchKeySet(address: KeySetAddress): Promise<ReadonlyMap<string, ClientKey>> {
  const deadline = AbortSignal.timeout(DEADLINE_MS);
  try {
    return readKeySet(await exchange(address, deadline));
  } catch (error) {
    if (error instanceof KeySetUnavailable) throw error;
    if (error instanceof UnreadableSecret) throw new KeySetUnavailable(`its token: ${error.message}`);
    if (deadline.aborted) throw new KeySetUnavailable(`no answer within ${DEADLINE_MS / 1000} s`);
    throw new KeySetUnavailable((error as NodeJS.ErrnoException).code ?? 'unknown error');
  }
}

async function exchange({ root, proxy, ca, tokenFile }: KeySetAddress, signal: AbortSignal): Promise<string> {
  // Kubernetes renews the file every hour or so.
  const token = tokenFile === undefined ? undefined : new SecretReader({}).fromFile(tokenFile).reveal();
  const { get } = root.protocol === 'https:' ? https : http;
  const options = {
    signal,
    agent: proxy ? new HttpsProxyAgent(proxy) : false,
    ...(ca !== undefined && { ca }),
    headers: {
      Accept: 'application/jwk-set+json, application/json',
      'Accept-Encoding': 'identity',
      ...(token !== undefined && { Authorization: `Bearer ${token}` }),
    },
  };
  const answer = await new Promise<http.IncomingMessage>((resolve, reject) => {
    get(root, options, resolve).on('error', reject);
  });
  try {
    if (answer.statusCode !== 200) throw new KeySetUnavailable(`HTTP status ${answer.statusCode ?? 0}`);
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > MAX_BYTES) throw new KeySetUnavailable('the answer is larger than 64 KiB');
      chunks.push(chunk);
    }
    return Buffer.concat(chunks).toString('utf8');
  } finally {
    answer.destroy();
  }
}

/**
 * Reads a key set (RFC 7517 §5). Keys that are no use here are passed over, as §5 wants it; an empty set is one, too.
 * @throws KeySetUnavailable for anything else, and when a kid names two keys: nobody could tell which is meant.
 */
export function readKeySet(text: string): ReadonlyMap<string, ClientKey> {
  const found = new Map<string, ClientKey>();
  for (const jwk of writtenKeys(text)) {
    const { kid } = jwk;
    if (typeof kid !== 'string') continue;
    try {
      const key = keyOfJwk(jwk);
      if (found.has(kid)) throw new KeySetUnavailable('the answer has two keys of one kid');
      found.set(kid, key);
    } catch (error) {
      if (!(error instanceof UnusableKey)) throw error;
    }
  }
  return found;
}

function writtenKeys(text: string): readonly Readonly<Record<string, unknown>>[] {
  let written: unknown;
  try {
    written = parseStrictJson(text);
  } catch {
    // What is wrong in detail is for the issuer to find out.
  }
  const keys: unknown = isObject(written) ? written['keys'] : undefined;
  if (!Array.isArray(keys)) throw new KeySetUnavailable('the answer is no key set');
  return keys.filter(isObject);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
