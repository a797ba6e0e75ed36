import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Audit } from '../audit/audit.js';
import type { ClientRequest } from '../auth/client.guard.js';
import type { HostedApp } from '../credentials/hosted-app.js';
import { TooManyRequests } from '../http/client-budgets.js';
import { PassingBody } from '../wechat/passing-body.js';
import type { WechatRelay } from '../wechat/wechat.relay.js';
import { type Dialect, WechatRefusal, WechatUnreachable } from '../wechat/wechat.error.js';
import { Beginning } from './beginning.js';
import { Breaker } from './breaker.js';

/** What a client sends along that concerns WeChat; whose it is and where it comes from does not. */
const PASSED_ON = ['accept', 'accept-language', 'content-type', 'user-agent'] as const;
/** What is between WeChat and the hub alone, or is said by the hub itself. */
const NOT_PASSED_BACK = new Set([
  ...['connection', 'keep-alive', 'proxy-authenticate', 'te', 'trailer', 'transfer-encoding', 'upgrade'],
  ...['set-cookie', 'strict-transport-security', 'x-request-id'],
]);

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
  private readonly breakers = new WeakMap<object, Map<string, Breaker>>();

  constructor(private readonly surroundings: Surroundings) {}

  /**
   * Makes a call in the name of an app.
   * @throws TooManyRequests when WeChat refused the client several times in a row, Unavailable when the app has no token,
   *   WechatUnreachable when no answer comes, AuditUnavailable.
   */
  async pass(passage: Passage): Promise<void> {
    const { request, response, app } = passage;
    const { audit, replayLimit } = this.surroundings;
    const now = (): number => this.surroundings.now();
    const breaker = this.breakerOf(passage);
    if (!breaker.allows(now())) throw new TooManyRequests(breaker.retryAt);
    audit.assertKept();
    const { value: first } = await app.accessToken.get();
    const body = await PassingBody.of(request, replayLimit);
    const gone = goneWith(response);
    const call = async (token: string): Promise<[IncomingMessage, Beginning]> => {
      const answer = await this.send(request, app.dialect, passage.targetWith(token), body, gone);
      return [answer, await beginningOf(answer)];
    };
    try {
      let [answer, beginning] = await call(first);
      let outcome = 'passed';
      if (isBlamed(app, beginning.errcode)) {
        const other = await app.accessToken.condemn(first).catch(() => undefined);
        if (other && other.value !== first && body.isWhole) {
          beginning.discard();
          [answer, beginning] = await call(other.value);
          outcome = 'replayed';
        }
      }
      if (isBlamed(app, beginning.errcode)) breaker.fail(now());
      else breaker.succeed();
      await audit.give(request, { event: 'call', outcome, api: passage.path, errcode: beginning.errcode });
      await passBack(answer, beginning, response);
    } catch (error) {
      if (error instanceof WechatUnreachable && !gone.aborted) breaker.fail(now());
      throw error;
    }
  }

  /** Makes a call as it is, and only once. @throws WechatUnreachable, AuditUnavailable */
  async passPlainly({ request, response, path, target, dialect }: PlainPassage): Promise<void> {
    const { audit, replayLimit } = this.surroundings;
    const body = await PassingBody.of(request, replayLimit);
    const answer = await this.send(request, dialect, target, body, goneWith(response));
    const beginning = await beginningOf(answer);
    await audit.give(request, { event: 'call', outcome: 'passed', api: path, errcode: beginning.errcode });
    await passBack(answer, beginning, response);
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

  private breakerOf({ request, app }: Passage): Breaker {
    const breakers = this.breakers.get(request.client) ?? new Map<string, Breaker>();
    const breaker = breakers.get(app.identity) ?? new Breaker();
    this.breakers.set(request.client, breakers.set(app.identity, breaker));
    return breaker;
  }
}

/** Whether WeChat says that the token is to blame. */
function isBlamed({ dialect }: HostedApp, errcode: number | undefined): boolean {
  return errcode !== undefined && new WechatRefusal(dialect, errcode, '', true).remedy === 'credential';
}

async function beginningOf(answer: IncomingMessage): Promise<Beginning> {
  try {
    return await Beginning.of(answer);
  } catch (error) {
    throw new WechatUnreachable((error as NodeJS.ErrnoException).code ?? 'unknown error', true);
  }
}

async function passBack(answer: IncomingMessage, beginning: Beginning, response: ServerResponse): Promise<void> {
  response.statusCode = answer.statusCode ?? 502;
  for (const [name, value] of Object.entries(answer.headersDistinct)) {
    if (value && !NOT_PASSED_BACK.has(name)) response.setHeader(name, value.length === 1 ? (value[0] ?? '') : value);
  }
  // If it breaks off on either side, the other side sees that, too: nothing is left to say.
  await beginning.pour(response).catch(() => response.destroy());
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
