import { WholeAnswer } from '../whole-answer.js';
import type { HubResponse } from './messages.js';

/** A kind of error that clients meet: its stable name is part of the API. */
export interface Problem {
  readonly type: string;
  readonly status: number;
  readonly title: string;
}

const problem = (status: number, name: string, title: string): Problem => ({
  type: `/problems/${name}`,
  status,
  title,
});

/** Every kind of error of the native API. `docs/problems.md` tells what to do about each. */
export const PROBLEMS = {
  malformed: problem(400, 'malformed-request', 'The request is malformed'),
  unknownTicketType: problem(400, 'unknown-ticket-type', 'The ticket type is unknown'),
  unauthenticated: problem(401, 'unauthenticated', 'No valid token came with the request'),
  forbidden: problem(403, 'forbidden', 'This client may not do that'),
  notFound: problem(404, 'not-found', 'There is nothing here'),
  methodNotAllowed: problem(405, 'method-not-allowed', 'The method is not allowed here'),
  requestTimeout: problem(408, 'request-timeout', 'The request came too slowly'),
  tooLarge: problem(413, 'content-too-large', 'The body is too large'),
  uriTooLong: problem(414, 'uri-too-long', 'The address is too long'),
  unsupported: problem(415, 'unsupported-encoding', 'The body must be plain JSON in UTF-8'),
  headersTooLarge: problem(431, 'headers-too-large', 'The header is too large'),
  budgetSpent: problem(429, 'rotation-budget', 'The rotation budget is used up'),
  tooMany: problem(429, 'too-many-requests', 'There are too many requests'),
  internal: problem(500, 'internal-error', 'The hub failed'),
  refused: problem(502, 'wechat-refused', 'WeChat refused, and nothing usable is left'),
  unreachable: problem(503, 'wechat-unreachable', 'WeChat cannot be asked, and nothing usable is left'),
  storeUnreachable: problem(503, 'store-unreachable', 'The shared store cannot be reached, and nothing usable is left'),
  refusedToReplace: problem(502, 'not-replaced', 'WeChat refused a new value; the present one stays'),
  notReplaced: problem(503, 'not-replaced', 'WeChat could not be asked for a new value; the present one stays'),
  refusedToDecide: problem(502, 'undecided', 'WeChat refused to say whether the value is alive; it stays'),
  undecided: problem(503, 'undecided', 'WeChat could not be asked whether the value is alive; it stays'),
  callFailed: problem(503, 'call-failed', 'WeChat gave no answer; it may have got the call all the same'),
  auditUnavailable: problem(503, 'audit-unavailable', 'What is handed out cannot be recorded'),
  closing: problem(503, 'shutting-down', 'The hub is shutting down'),
} as const satisfies Record<string, Problem>;

/** What a request is refused with. */
export interface Refusal {
  readonly kind: Problem;
  readonly particulars?: Particulars;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Every failure of authentication, whatever it was. */
export const UNAUTHENTICATED = {
  kind: PROBLEMS.unauthenticated,
  headers: { 'WWW-Authenticate': 'Bearer error="invalid_token"' },
} as const satisfies Refusal;

/** What a particular error adds to its kind. */
export interface Particulars {
  readonly detail?: string;
  readonly instance?: string;
  readonly errcode?: number;
  readonly errmsg?: string;
  readonly rid?: string;
}

/** The media type of RFC 9457. */
export const PROBLEM_JSON = 'application/problem+json';

/** An error as it is sent: kind first, then what is particular. */
export function bodyOf({ type, title, status }: Problem, particulars: Particulars = {}): string {
  return JSON.stringify({ type, title, status, ...particulars });
}

/** Sends an error, if the answer has not begun. */
export function sendProblem(
  response: HubResponse,
  kind: Problem,
  particulars: Particulars = {},
  headers: Readonly<Record<string, string>> = {},
): void {
  if (response.headersSent) return;
  response.removeHeader('ETag');
  if (kind === PROBLEMS.unauthenticated) response.sendWithOthers(toStrangers);
  else response.sendWhole(answerOf(kind, particulars, headers));
}

function answerOf(kind: Problem, particulars: Particulars, headers: Readonly<Record<string, string>>): WholeAnswer {
  const head = ['Content-Type', PROBLEM_JSON, ...Object.entries(headers).flat()];
  return new WholeAnswer(kind.status, head, bodyOf(kind, particulars));
}

/** What all who are not known hear, who may be very many. */
const toStrangers = answerOf(UNAUTHENTICATED.kind, {}, UNAUTHENTICATED.headers);
