import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Audit } from '../audit/audit.js';
import { type ClientRequest, clientOf } from '../auth/client.guard.js';
import type { HostedApp } from '../credentials/hosted-app.js';
import { TooManyRequests } from '../http/client-budgets.js';
import { PassingBody } from '../wechat/passing-body.js';
import type { WechatRelay } from '../wechat/wechat.relay.js';
import { type Dialect, WechatRefusal, WechatUnreachable } from '../wechat/wechat.error.js';
import { Beginning } from './beginning.js';
import { Standing } from './standing.js';
import { Veil } from './veil.js';
import { within } from './within.js';

/** What a client sends along that concerns WeChat; whose it is and where it comes from does not. */
const PASSED_ON = ['accept', 'accept-language', 'content-type', 'range', 'user-agent'] as const;
/** What is between WeChat and the hub alone, or is said by the hub itself. */
const NOT_PASSED_BACK = new Set([
  ...['connection', 'keep-alive', 'proxy-authenticate', 'proxy-connection', 'te', 'trailer', 'transfer-encoding'],
  ...['upgrade', 'set-cookie', 'strict-transport-security', 'x-request-id', 'cache-control', 'x-content-type-options'],
  ...['content-security-policy', 'referrer-policy', 'cross-origin-resource-policy'],
]);
/** So long a client waits to hear whether the token is to blame, where its word is not enough. */
const QUESTION_WITHIN_MS = 2000;

/** A call of a client that is to reach WeChat in the name of one of its apps. */
export interface Passage {
  readonly request: ClientRequest;
  readonly response: ServerResponse;
  readonly app: HostedApp;
  /** The path at WeChat. */
  readonly path: string;
  /** Path and query at WeChat with the app's token in it. */
  targetWith(token: string): string;
}

/** A call that is made as it is, once: it carries the code of a user's login, or a user's own token. */
export interface PlainPassage extends Pick<Passage, 'request' | 'response' | 'path'> {
  /** Path and query at WeChat. */
  readonly target: string;
  readonly dialect: Dialect;
  /** What of it the client does not know. */
  readonly secret?: string;
}

/** What came of a call, as far as it has come. */
interface Outcome {
  readonly answer: IncomingMessage;
  readonly beginning: Beginning;
  /** With which it was made. */
  readonly token: string;
}

/** What the gateway needs of the rest of the hub. */
export interface Surroundings {
  readonly relay: Pick<WechatRelay, 'send'>;
  readonly audit: Pick<Audit, 'give' | 'assertKept'>;
  /** How many bytes of a body are kept for sending it again. */
  readonly replayLimit: number;
  /** Epoch milliseconds. */
  now(): number;
}

/**
 * Passes calls of clients on to WeChat with the real token in them, and the answers back. When WeChat blames the token, it
 * is replaced and the call made once more: the client sees one call, and no error.
 */
export class Gateway {
  private readonly standings = new WeakMap<object, Map<string, Standing>>();

  constructor(private readonly surroundings: Surroundings) {}

  /**
   * Makes a call in the name of an app.
   * @throws TooManyRequests when WeChat refused the client several times in a row, Unavailable when the app has no token,
   *   WechatUnreachable when no answer comes, AuditUnavailable.
   */
  async pass(passage: Passage): Promise<void> {
    const { request, app } = passage;
    const { audit, replayLimit } = this.surroundings;
    const standing = this.standingOf(passage);
    const now = this.surroundings.now();
    if (!standing.breaker.allows(now)) throw new TooManyRequests(standing.breaker.retryAt);
    audit.assertKept();
    const { value: first } = await app.accessToken.get();
    const length = lengthOf(request);
    const isKept = standing.keep(length);
    try {
      const body = await PassingBody.of(request, isKept ? replayLimit : 0);
      await this.passBody(passage, body, first, standing);
    } finally {
      if (isKept) standing.release(length);
    }
  }

  /** Makes a call as it is, and only once. @throws WechatUnreachable, AuditUnavailable */
  async passPlainly({ request, response, path, target, dialect, secret }: PlainPassage): Promise<void> {
    const { audit } = this.surroundings;
    const body = await PassingBody.of(request, 0);
    const answer = await this.send(request, dialect, target, body, goneWith(response));
    const beginning = await beginningOf(answer);
    // Of what users do with tokens of their own nothing is on record: nobody was given anything.
    if (clientOf(request)) await this.record(request, 'passed', path, beginning);
    else audit.assertKept();
    await passBack(answer, beginning, response, secret);
  }

  private async passBody(passage: Passage, body: PassingBody, first: string, standing: Standing): Promise<void> {
    const { request, response, app, path } = passage;
    const { breaker } = standing;
    const gone = goneWith(response);
    const call = async (token: string): Promise<Outcome> => {
      const answer = await this.send(request, app.dialect, passage.targetWith(token), body, gone);
      return { answer, beginning: await beginningOf(answer), token };
    };
    try {
      let made = await call(first);
      let outcome = 'passed';
      if (isBlamed(app, made)) {
        const other = await otherThan(first, passage, !standing.isDoubted);
        // Whether another one would have helped nobody will see.
        if (!body.isWhole) standing.isDoubted = true;
        else if (other !== undefined) {
          made.beginning.discard();
          made = await call(other);
          outcome = 'replayed';
          standing.isDoubted = isBlamed(app, made);
        }
      }
      if (isBlamed(app, made)) breaker.fail(this.surroundings.now());
      else breaker.succeed();
      await this.record(request, outcome, path, made.beginning);
      await passBack(made.answer, made.beginning, response, made.token);
    } catch (error) {
      if (error instanceof WechatUnreachable && !gone.aborted) breaker.fail(this.surroundings.now());
      throw error;
    }
  }

  private async record(request: ClientRequest, outcome: string, api: string, beginning: Beginning): Promise<void> {
    try {
      await this.surroundings.audit.give(request, { event: 'call', outcome, api, errcode: beginning.errcode });
    } catch (error) {
      beginning.discard();
      throw error;
    }
  }

  private send(
    request: IncomingMessage,
    dialect: Dialect,
    target: string,
    body: PassingBody,
    signal: AbortSignal,
  ): Promise<IncomingMessage> {
    const headers: Record<string, string> = {};
    for (const name of PASSED_ON) {
      const value = request.headers[name];
      if (value !== undefined) headers[name] = value;
    }
    return this.surroundings.relay.send({ dialect, method: request.method ?? 'GET', target, headers, body, signal });
  }

  private standingOf({ request, app }: Passage): Standing {
    const standings = this.standings.get(request.client) ?? new Map<string, Standing>();
    const standing = standings.get(app.identity) ?? new Standing(this.surroundings.replayLimit);
    this.standings.set(request.client, standings.set(app.identity, standing));
    return standing;
  }
}

/** How long a body is: nothing if it is not said, or none of it is kept anyway. */
function lengthOf({ headers }: IncomingMessage): number | undefined {
  if (headers['transfer-encoding'] !== undefined) return undefined;
  return Number(headers['content-length'] ?? 0);
}

/** Whether WeChat says that the token is to blame. */
function isBlamed({ dialect }: HostedApp, { beginning: { errcode } }: Outcome): boolean {
  return errcode !== undefined && new WechatRefusal(dialect, errcode, '', true).remedy === 'credential';
}

/**
 * Another token than the one that WeChat blamed, if there is one. WeChat may mean another token than the app's, such as one
 * that the client put into the call itself; each time a token dies for it, the quota is the less. So its calls are
 * believed as long as another token helps them, and after that WeChat is asked by the hub.
 */
async function otherThan(refused: string, { app, request }: Passage, isBelieved: boolean): Promise<string | undefined> {
  const { client, requestId } = request;
  const report = async () => (await app.report({ token: refused }, { client: client.name, requestId })).credential;
  const replaced = isBelieved
    ? app.accessToken.condemn(refused)
    : within(QUESTION_WITHIN_MS, report(), new Error('WeChat is slow'));
  const other = await replaced.catch(() => undefined);
  return other?.value === refused ? undefined : other?.value;
}

async function beginningOf(answer: IncomingMessage): Promise<Beginning> {
  try {
    return await Beginning.of(answer);
  } catch (error) {
    throw new WechatUnreachable((error as NodeJS.ErrnoException).code ?? 'unknown error', true);
  }
}

async function passBack(
  answer: IncomingMessage,
  beginning: Beginning,
  response: ServerResponse,
  credential: string | undefined,
): Promise<void> {
  const veil = credential === undefined ? undefined : new Veil(credential);
  const named = (answer.headers.connection ?? '').toLowerCase().split(/\s*,\s*/);
  response.statusCode = answer.statusCode ?? 502;
  for (const [name, values = []] of Object.entries(answer.headersDistinct)) {
    if (NOT_PASSED_BACK.has(name) || named.includes(name)) continue;
    const [only = '', ...more] = values.map((value) => veil?.over(value) ?? value);
    response.setHeader(name, more.length === 0 ? only : [only, ...more]);
  }
  // If it breaks off on either side, the other side sees that, too: nothing is left to say.
  await beginning.pour(response, veil).catch(() => response.destroy());
}

/** Aborted when the client has gone away before it had its answer. */
function goneWith(response: ServerResponse): AbortSignal {
  const gone = new AbortController();
  if (response.closed) gone.abort();
  response.once('close', () => {
    if (!response.writableFinished) gone.abort();
  });
  return gone.signal;
}
