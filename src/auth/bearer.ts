import { isUtf8 } from 'node:buffer';
import { depthOf, parseStrictJson } from '../config/strict-json.js';
import { Recent } from './recent.js';

/** Who it is that asks cannot be told. The reason is for the log alone; whoever asks hears the same for every one. */
export class Unauthenticated extends Error {
  /** @param kid what the token says its key is, when it can be told safely. */
  constructor(
    readonly reason: string,
    readonly kid?: string,
  ) {
    // Where it was thrown nobody reads, and for Node to find that out takes as long as to verify a signature.
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super(reason);
    Error.stackTraceLimit = stackTraceLimit;
    this.name = 'Unauthenticated';
  }
}

/** A JWT that is well-formed, in the one way of writing it, and names a key. Nothing of it is verified yet. */
export interface Bearer {
  readonly token: string;
  readonly kid: string;
  readonly alg: string;
  readonly claims: Claims;
}

/** What a token says of its holder. */
export type Claims = Readonly<Record<string, unknown>>;

const MAX_TOKEN_LENGTH = 4096;
/** More than most hubs have keys; some megabytes at most. */
const MOST_HEADERS = 4000;
/** A header that is longer no library writes: it is neither remembered nor worth a look that has to be quick. */
const LONGEST_USUAL_HEADER = 256;
const MAX_DEPTH = 8;
/** As the configuration has it, and also with a hyphen or an underscore in front: issuers call keys by their hash. */
const KID = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$/;
/** Members that would change how a token is read, or bring a key along. */
const FOREIGN_MEMBERS = ['crit', 'b64', 'zip', 'jku', 'jwk', 'x5u', 'x5c', 'cty'];

/**
 * Finds the one Authorization header of a request.
 * @param rawHeaders names and values in turn, as they came in.
 * @throws Unauthenticated when there is none, or more than one.
 */
export function authorizationIn(rawHeaders: readonly string[]): string {
  const place = placeOf('authorization', rawHeaders);
  const value = rawHeaders[place];
  if (value === undefined) throw new Unauthenticated('there is no Authorization header');
  if (placeOf('authorization', rawHeaders, place) >= 0) {
    throw new Unauthenticated('there are several Authorization headers');
  }
  return value;
}

/**
 * Where the value of a header stands; of a header that comes in several lines Node keeps but one for some names.
 * @param rawHeaders names and values in turn, as they came in.
 * @param after the place of the line before.
 * @returns -1 where there is none.
 */
export function placeOf(name: string, rawHeaders: readonly string[], after = -1): number {
  for (let i = after + 1; i < rawHeaders.length; i += 2) {
    const written = rawHeaders[i] ?? '';
    // Most have another length, which is told at once.
    if (written.length === name.length && written.toLowerCase() === name) return i + 1;
  }
  return -1;
}

/**
 * Reads the bearer token in an Authorization header strictly, so that nothing malformed gets as far as the library that
 * verifies it.
 * @throws Unauthenticated for anything but one canonical JWT (RFC 7519, RFC 7515, RFC 4648 §3.5).
 */
export function readBearer(authorization: string): Bearer {
  const token = /^bearer +([A-Za-z0-9._-]+)$/i.exec(authorization)?.[1];
  if (token === undefined) throw new Unauthenticated('the Authorization header is not Bearer and one token');
  if (token.length > MAX_TOKEN_LENGTH) throw new Unauthenticated('the token is too long');
  const [header, payload, signature] = partsOf(token);
  const { kid, alg } = headerOf(header);
  const claims = readObject(payload, 'payload', kid);
  if (signature.length === 0) throw new Unauthenticated('the signature is empty', kid);
  return { token, kid, alg, claims };
}

type Header = Pick<Bearer, 'kid' | 'alg'>;

/** What usual headers say that were read lately: all tokens of a key have the same. */
const headers = new Recent<Header>(MOST_HEADERS);

function headerOf(part: string): Header {
  let header = headers.get(part);
  if (!header) {
    header = readHeader(part);
    // Whatever a stranger makes up is remembered, too. And a part of a text would keep the whole of it: the token.
    if (part.length <= LONGEST_USUAL_HEADER) headers.set(Buffer.from(part).toString(), header);
  }
  return header;
}

function readHeader(part: string): Header {
  const { kid, alg, typ, ...others } = readObject(part, 'header');
  if (typeof kid !== 'string' || !KID.test(kid)) throw new Unauthenticated('the kid is no kid');
  if (typeof alg !== 'string') throw new Unauthenticated('the alg is no text', kid);
  if (typ !== undefined && typeof typ !== 'string') throw new Unauthenticated('the typ is no text', kid);
  const foreign = FOREIGN_MEMBERS.find((member) => Object.hasOwn(others, member));
  if (foreign) throw new Unauthenticated(`the header has ${foreign}`, kid);
  return { kid, alg };
}

/** It begins as an object does. */
const HEADER_AT_A_GLANCE = new RegExp(`^bearer +(ey[\\w-]{1,${LONGEST_USUAL_HEADER - 2}})\\.`, 'i');

/** The kid that a token seems to have, at a glance: whether it has, and whether the token is one at all, is not looked at. */
export function kidAtAGlance(authorization: string): string | undefined {
  const header = HEADER_AT_A_GLANCE.exec(authorization)?.[1];
  if (header === undefined) return undefined;
  const known = headers.get(header);
  if (known) return known.kid;
  try {
    const { kid } = JSON.parse(Buffer.from(header, 'base64url').toString()) as { readonly kid?: unknown };
    return typeof kid === 'string' ? kid : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Takes a token apart into header, payload and signature; whether the signature holds is for `signature.ts` to say.
 * @param token of the letters that there are in one, and no others.
 * @throws Unauthenticated when they are not three, each in the one canonical form.
 */
function partsOf(token: string): [header: string, payload: string, signature: string] {
  const parts = token.split('.');
  if (parts.length !== 3) throw new Unauthenticated('the token has not three parts');
  if (!parts.every(isCanonical)) throw new Unauthenticated('a part is not canonical base64url');
  return parts as [string, string, string];
}

/** By how many are behind the last four: the letters that can be the last, as its bits that say nothing are zero. */
const LAST_LETTERS = [undefined, '', 'AQgw', 'AEIMQUYcgkosw048'] as const;

/**
 * Whether letters of base64url are in the one form that says what they say (RFC 4648 §3.5): no padding, and no bits
 * that say nothing.
 */
export function isCanonical(letters: string): boolean {
  const last = LAST_LETTERS[letters.length % 4];
  return last === undefined || last.includes(letters.charAt(letters.length - 1));
}

function readObject(letters: string, part: string, kid?: string): Record<string, unknown> {
  const bytes = Buffer.from(letters, 'base64url');
  try {
    if (!isUtf8(bytes)) throw new Error('no UTF-8');
    const value = parseStrictJson(bytes.toString());
    if (depthOf(value) > MAX_DEPTH) throw new Error('too deep');
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // What is wrong in detail nobody needs to know.
  }
  throw new Unauthenticated(`the ${part} is not a plain JSON object`, kid);
}
