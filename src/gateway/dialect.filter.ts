import { type ArgumentsHost, Catch, type ExceptionFilter, Injectable, Logger } from '@nestjs/common';
import type { ServerResponse } from 'node:http';
import { Audit, AuditUnavailable } from '../audit/audit.js';
import { type Asking, clientOf } from '../auth/client.guard.js';
import { Forbidden, UnknownApp } from '../auth/rights.js';
import { AllowanceSpent } from '../credentials/allowance.js';
import { explain, refusalIn } from '../credentials/chronicle.js';
import { Closed, WechatGaveNothing } from '../credentials/unavailable.js';
import { TooManyRequests } from '../http/client-budgets.js';
import { originOf } from '../http/origin.js';
import { RefusedLines } from '../http/refused-lines.js';
import { type Dialect, WechatUnreachable } from '../wechat/wechat.error.js';
import { Saying, type SayingName } from './saying.js';
import { targetOf } from './target.js';

/** Of the hub's own secret and appid: said to a client, it would look for the fault in its own. */
const OF_THE_HUB = new Set([40001, 40013, 40014, 40125, 40243, 41002, 41004, 42001]);

/** Where somebody was denied something, and not only misunderstood. */
const DENIALS = new Set<SayingName>(['wrongSecret', 'unknownToken', 'expiredToken', 'notAllowed']);

/**
 * Tells SDKs of errors as WeChat would: with status 200 and in JSON, whatever it is. One of them prints the address, and
 * the secret in it, when it meets another status.
 */
@Injectable()
@Catch()
export class DialectFilter implements ExceptionFilter {
  private readonly logger = new Logger('Sdk');

  constructor(
    private readonly audit: Audit,
    private readonly lines: RefusedLines,
  ) {}

  async catch(error: unknown, host: ArgumentsHost): Promise<void> {
    const http = host.switchToHttp();
    await this.answer(error, http.getRequest<Asking>(), http.getResponse<ServerResponse>());
  }

  /** Answers a request that came to nothing, if nothing was answered yet. */
  async answer(error: unknown, request: Asking, response: ServerResponse): Promise<void> {
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return;
    }
    const { errcode, errmsg, reason, isDenial, isFault } = this.wordsFor(error, targetOf(request)?.dialect ?? 'wechat');
    const { requestId, about } = request;
    const client = clientOf(request)?.name;
    const who = { ...(client !== undefined && { client }), ...(about !== undefined && { app: about }) };
    const msg = `Request ${requestId}: errcode ${errcode} (${reason}).`;
    if (this.lines.isWritten(request, isFault)) this.logger.log({ event: 'refused', requestId, ...who, errcode, msg });
    if (isDenial) {
      const refusal = { event: 'refusal', outcome: 'refused', status: 200, errcode, reason } as const;
      await (client === undefined
        ? this.audit.noteStranger(() => refusal, request)
        : this.audit.note(refusal, request));
    }
    sendJson(response, { errcode, errmsg: `${errmsg}, hub request id: ${requestId}` });
  }

  private wordsFor(error: unknown, dialect: Dialect): Words {
    const say = (kind: SayingName, reason?: string): Words => wordsOf(new Saying(dialect, kind, reason));
    if (error instanceof Saying) return wordsOf(error);
    if (error instanceof UnknownApp || error instanceof Forbidden) return say('notAllowed', error.message);
    if (error instanceof TooManyRequests) return say('tooMany', error.message);
    if (error instanceof AllowanceSpent) return say('budgetSpent', error.message);
    if (error instanceof WechatGaveNothing) {
      const refusal = refusalIn(error.cause);
      const isTold = refusal && !OF_THE_HUB.has(refusal.errcode);
      const words = isTold ? refusal : say('busy');
      return { errcode: words.errcode, errmsg: words.errmsg, reason: explain(error.cause), ...OF_A_FAULT };
    }
    const isForeseen = [WechatUnreachable, Closed, AuditUnavailable].some((kind) => error instanceof kind);
    if (isForeseen) return say('busy', (error as Error).message);
    this.logger.error(`A request of an SDK failed in a way that nobody foresaw: ${originOf(error)}`);
    return say('busy', 'nobody foresaw it');
  }
}

interface Words {
  readonly errcode: number;
  readonly errmsg: string;
  /** For the log. */
  readonly reason: string;
  readonly isDenial: boolean;
  /** Whether it is the hub, or WeChat, that fails whoever asks. */
  readonly isFault: boolean;
}

const OF_A_FAULT = { isDenial: false, isFault: true } as const;

function wordsOf({ errcode, errmsg, reason, kind }: Saying): Words {
  return { errcode, errmsg, reason, isDenial: DENIALS.has(kind), isFault: kind === 'busy' };
}

/** Sends what WeChat would. */
export function sendJson(response: ServerResponse, body: object): void {
  const text = Buffer.from(JSON.stringify(body));
  response.statusCode = 200;
  response.setHeader('Content-Type', 'application/json; charset=utf-8');
  response.setHeader('Content-Length', text.length);
  response.end(text);
}
