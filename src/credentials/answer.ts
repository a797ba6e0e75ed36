import type { IncomingMessage } from 'node:http';
import { WholeAnswer } from '../whole-answer.js';
import type { RecurringRecord } from '../audit/record.js';
import { type Credential, secondsLeft } from './policy.js';
import type { Prepared } from './recollection.js';
import type { Source } from './source.js';
import type { CredentialView } from './views.js';

/** Which credential of which app an answer is about. */
export interface Subject {
  readonly app: string;
  readonly appid: string;
  /** The `type` of a ticket; absent for the access token. */
  readonly type?: string;
}

/** Tells the two times that an answer needs. */
export interface Times {
  /** Epoch milliseconds of the steady clock. */
  readonly now: number;
  /** Milliseconds to add for the wall clock's time. */
  readonly drift: number;
  /** When a new value can be expected, epoch milliseconds of the steady clock. */
  readonly renewalAt: number;
}

/** After a renewal is due it takes a moment; asking right at the instant would give the old value once more. */
const RENEWAL_TAKES_MS = 2000;

/** What is left of a credential at some moment, for a client: it is the same for a good part of a second. */
interface Life {
  readonly expiresIn: number;
  /** Epoch seconds of the wall clock. */
  readonly expiresAt: number;
  readonly refreshAfter: number;
}

/** Honest about the life that is left at this moment. */
function lifeOf(credential: Credential, { now, drift, renewalAt }: Times): Life {
  const expiresIn = secondsLeft(credential, now);
  const refreshAfter = Math.ceil((renewalAt + RENEWAL_TAKES_MS - now) / 1000);
  return {
    expiresIn,
    expiresAt: Math.floor((now + drift) / 1000) + expiresIn,
    refreshAfter: Math.min(expiresIn, Math.max(1, refreshAfter)),
  };
}

/** Writes a credential down for a client. */
export function viewOf(credential: Credential, subject: Subject, times: Times): CredentialView {
  return written(credential, subject, lifeOf(credential, times));
}

function written(credential: Credential, { app, appid, type }: Subject, life: Life): CredentialView {
  const rest = {
    version: credential.version,
    expires_in: life.expiresIn,
    expires_at: new Date(life.expiresAt * 1000).toISOString().replace(/\.\d+Z$/, 'Z'),
    refresh_after: life.refreshAfter,
  };
  return type === undefined
    ? { app, appid, kind: 'access-token', access_token: credential.value, ...rest }
    : { app, appid, kind: 'ticket', type, ticket: credential.value, ...rest };
}

/** Whether the client has this very version already, and is given nothing new. */
export function hasVersion({ headers }: IncomingMessage, { version }: Credential): boolean {
  const known = headers['if-none-match'];
  return known !== undefined && knows(known, etagOf(version));
}

/** What an answer is sent by. */
export interface Sender {
  sendWhole(answer: WholeAnswer): void;
}

/** The forms in which a credential can be given. */
export type Format = 'text' | 'json';

/** What is made ready of a credential, once for each version: answers and records, as far as they are the same for everybody. */
export class Preparation implements Prepared {
  readonly unchanged: WholeAnswer;
  readonly text: WholeAnswer;
  /** By what came of a hand-out. */
  readonly records: Partial<Record<'given' | 'not-modified', RecurringRecord>> = {};
  /** As it was written down last. */
  private json: { readonly app: string; readonly life: Life; readonly answer: WholeAnswer } | undefined;

  constructor(readonly credential: Credential) {
    const head = headOf(credential);
    this.unchanged = new WholeAnswer(304, head, '');
    this.text = new WholeAnswer(200, [...head, 'Content-Type', 'text/plain; charset=utf-8'], credential.value);
  }

  /** JSON is written anew when another second is left, and when the app has another name. */
  jsonOf(subject: Subject, times: Times): WholeAnswer {
    const life = lifeOf(this.credential, times);
    if (this.json?.app !== subject.app || !isSame(this.json.life, life)) {
      const body = JSON.stringify(written(this.credential, subject, life));
      const head = [...headOf(this.credential), 'Content-Type', 'application/json; charset=utf-8'];
      this.json = { app: subject.app, life, answer: new WholeAnswer(200, head, body) };
    }
    return this.json.answer;
  }
}

/** What was made ready of a credential, which keeps it with its source: V8 takes long to go through tables of weak references. */
export function preparationOf(source: Pick<Source, 'prepared' | 'current'>, credential: Credential): Preparation {
  const { prepared } = source;
  if (prepared instanceof Preparation && prepared.credential === credential) return prepared;
  const preparation = new Preparation(credential);
  // Who had to wait may be given what was replaced meanwhile, and that nobody keeps.
  if (source.current === credential) source.prepared = preparation;
  return preparation;
}

/**
 * Sends a credential as text or JSON, whichever the client prefers, or 304 when it has this very version.
 * @param about for where it is sent as JSON.
 */
export function send(
  request: IncomingMessage,
  response: Sender,
  preparation: Preparation,
  preferred: Format,
  about: () => readonly [Subject, Times],
): void {
  if (hasVersion(request, preparation.credential)) response.sendWhole(preparation.unchanged);
  else if (formatFor(request.headers.accept, preferred) === 'text') response.sendWhole(preparation.text);
  else response.sendWhole(preparation.jsonOf(...about()));
}

function headOf({ version }: Credential): string[] {
  return ['ETag', etagOf(version), 'Vary', 'Accept'];
}

function isSame(one: Life, other: Life): boolean {
  return (
    one.expiresIn === other.expiresIn && one.expiresAt === other.expiresAt && one.refreshAfter === other.refreshAfter
  );
}

function etagOf(version: number): string {
  return `"${version}"`;
}

const MEDIA_TYPES = { text: 'text/plain', json: 'application/json' } as const;

/**
 * The format that a client wants more, or the preferred one where it wants both alike: some libraries name both in
 * every request, and their users still expect of the original's paths what the original gave.
 */
function formatFor(accept: string | undefined, preferred: Format): Format {
  if (accept === undefined || accept === '*/*') return preferred;
  const other = preferred === 'text' ? 'json' : 'text';
  return wishFor(accept, MEDIA_TYPES[other]) > wishFor(accept, MEDIA_TYPES[preferred]) ? other : preferred;
}

/** How much a media type is wanted (RFC 9110 §12.5.1); being named counts, where the weights are the same. */
function wishFor(accept: string, type: string): number {
  const weights = new Map(accept.toLowerCase().split(',').map(weightOf));
  const [family = ''] = type.split('/');
  const names = [type, `${family}/*`, '*/*'];
  const found = names.findIndex((name) => weights.has(name));
  const weight = weights.get(names[found] ?? '') ?? 0;
  // A weight has three decimals at most.
  return weight === 0 ? 0 : weight - found / 10_000;
}

function weightOf(range: string): [name: string, weight: number] {
  const [name = '', ...parameters] = range.split(';').map((part) => part.trim());
  const weight = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2) ?? '1';
  return [name, Number(weight) || 0];
}

function knows(ifNoneMatch: string, etag: string): boolean {
  const tags = ifNoneMatch.split(',').map((tag) => tag.trim().replace(/^W\//, ''));
  return tags.includes(etag) || tags.includes('*');
}
