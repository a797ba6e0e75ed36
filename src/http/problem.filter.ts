import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException, Logger } from '@nestjs/common';
import { type Audit, AuditUnavailable } from '../audit/audit.js';
import type { AuditRecord } from '../audit/record.js';
import { Unauthenticated } from '../auth/bearer.js';
import { type Asking, clientOf } from '../auth/client.guard.js';
import { Forbidden, UnknownApp } from '../auth/rights.js';
import { AllowanceSpent } from '../credentials/allowance.js';
import { explain, refusalIn } from '../credentials/chronicle.js';
import { UnknownTicketType } from '../credentials/hand-outs.js';
import { Closed, NotReplaced, Undecided, WechatGaveNothing } from '../credentials/unavailable.js';
import { StoreUnreachable } from '../credentials/store/store.js';
import { WechatError, WechatUnreachable } from '../wechat/wechat.error.js';
import { TooManyRequests } from './client-budgets.js';
import type { HubAdapter } from './hub.adapter.js';
import type { HubResponse } from './messages.js';
import { originOf } from './origin.js';
import { MalformedRequest } from './query.js';
import type { RefusedLines } from './refused-lines.js';
import { PROBLEMS, type Problem, type Refusal, sendProblem, UNAUTHENTICATED } from './problems.js';

/** Statuses that the framework itself gives, before or instead of a handler of ours. */
const BY_STATUS: Readonly<Record<number, Problem>> = {
  400: PROBLEMS.malformed,
  404: PROBLEMS.notFound,
  413: PROBLEMS.tooLarge,
  415: PROBLEMS.unsupported,
};

/** What there is to say of those whose bodies are not constant. */
const DETAILS: Readonly<Record<number, string>> = {
  400: 'The body is not valid JSON.',
  415: 'The body must be neither compressed nor in another charset.',
};

/** Turns the errors of the domain into HTTP, in one place; what it does not know is a 500 that shows nothing. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  private readonly logger = new Logger('Http');

  /**
   * @param now epoch milliseconds of the clock by which errors tell when to try again.
   * @param adapter hears of tokens that were none.
   */
  constructor(
    private readonly now: () => number,
    private readonly audit: Pick<Audit, 'note' | 'noteStranger'>,
    private readonly adapter: Pick<HubAdapter, 'learnOfFailure'>,
    private readonly lines: Pick<RefusedLines, 'isWritten'>,
  ) {}

  async catch(error: unknown, host: ArgumentsHost): Promise<void> {
    const response = host.switchToHttp().getResponse<HubResponse>();
    await this.answer(error, host.switchToHttp().getRequest<Asking>(), response);
  }

  /** Answers a request that came to nothing. */
  async answer(error: unknown, request: Asking, response: HubResponse): Promise<void> {
    const { kind, particulars, headers } = this.replyTo(error);
    if (this.lines.isWritten(request, kind.status >= 500)) this.note(error, kind, request);
    if (error instanceof Unauthenticated) this.adapter.learnOfFailure(request);
    const recorded = isRefusal(kind) ? this.record(error, kind, request) : undefined;
    if (recorded) await recorded;
    // Constant bodies show nothing of the request, and its id is part of that.
    const instance = particulars && { ...particulars, instance: request.requestId };
    sendProblem(response, kind, instance, headers);
  }

  /** What was refused, and why, goes to the log under the id that the client got. */
  private note(error: unknown, { status, type }: Problem, request: Asking): void {
    const { requestId, about } = request;
    const client = clientOf(request);
    const line = {
      event: 'refused',
      requestId,
      ...(client && { client: client.name }),
      ...(about !== undefined && { app: about }),
      status,
      type,
      msg: `Request ${requestId}: ${status} ${type}.`,
    };
    if (error instanceof Unauthenticated) {
      const who = error.kid === undefined ? '' : ` of the kid ${error.kid}`;
      this.logger.warn({ ...line, msg: `Request ${requestId}: refused a token${who}: ${error.reason}.` });
    } else if (status >= 500) this.logger.warn(line);
    else this.logger.log(line);
  }

  private record(error: unknown, { type, status }: Problem, request: Asking): Promise<void> | undefined {
    const describe = (): AuditRecord => ({
      event: 'refusal',
      outcome: type.replace('/problems/', ''),
      status,
      action: request.action,
    });
    if (!(error instanceof Unauthenticated)) return this.audit.note(describe(), request);
    return this.audit.noteStranger(() => ({ ...describe(), claimed: error.kid, reason: error.reason }), request);
  }

  private replyTo(error: unknown): Refusal {
    if (error instanceof Unauthenticated) return UNAUTHENTICATED;
    if (error instanceof UnknownApp) return { kind: PROBLEMS.notFound };
    if (error instanceof Forbidden) return { kind: PROBLEMS.forbidden };
    if (error instanceof MalformedRequest) return { kind: PROBLEMS.malformed, particulars: { detail: error.message } };
    if (error instanceof UnknownTicketType) {
      return { kind: PROBLEMS.unknownTicketType, particulars: { detail: error.message } };
    }
    if (error instanceof TooManyRequests) {
      return { kind: PROBLEMS.tooMany, headers: this.retryAfter(error.retryAt) };
    }
    if (error instanceof AllowanceSpent) {
      const detail = 'The present value stays as it was. Ask for it without rotating, or report it as refused.';
      return { kind: PROBLEMS.budgetSpent, particulars: { detail }, headers: this.retryAfter(error.retryAt) };
    }
    if (error instanceof AuditUnavailable) {
      const detail = 'Nothing is handed out without a record of it. The hub tries again by itself, every second.';
      return { kind: PROBLEMS.auditUnavailable, particulars: { detail }, headers: { 'Retry-After': '1' } };
    }
    if (error instanceof Closed) {
      return { kind: PROBLEMS.closing, particulars: { detail: error.message }, headers: { 'Retry-After': '1' } };
    }
    if (error instanceof WechatGaveNothing) return this.wechatFailed(error);
    if (error instanceof WechatUnreachable) {
      const detail = `${error.message}. See whether it did what it was asked before you ask again.`;
      return { kind: PROBLEMS.callFailed, particulars: { detail }, headers: { 'Retry-After': '1' } };
    }
    const status = statusOf(error);
    const kind = BY_STATUS[status];
    // Express says so of a path that is not properly percent-encoded.
    const isPath = error instanceof HttpException && error.cause instanceof URIError;
    const detail = isPath ? 'The path is not properly percent-encoded.' : DETAILS[status];
    if (kind) return { kind, ...(detail !== undefined && { particulars: { detail } }) };
    this.logger.error(`A request failed in a way that nobody foresaw: ${originOf(error)}`);
    return { kind: PROBLEMS.internal, particulars: {} };
  }

  private wechatFailed(error: WechatGaveNothing): Refusal {
    const { cause, retryAt } = error;
    const refusal = refusalIn(cause);
    const [refused, silent] = kindsOf(error);
    const known = cause instanceof WechatError || cause instanceof StoreUnreachable || refusal !== undefined;
    return {
      kind: refusal ? refused : silent,
      particulars: {
        detail: known ? explain(cause) : 'The hub asks again by itself.',
        ...(refusal && { errcode: refusal.errcode, errmsg: refusal.errmsg }),
        ...(refusal?.rid !== undefined && { rid: refusal.rid }),
      },
      headers: this.retryAfter(retryAt),
    };
  }

  private retryAfter(retryAt: number): Readonly<Record<string, string>> {
    return { 'Retry-After': String(Math.max(1, Math.ceil((retryAt - this.now()) / 1000))) };
  }
}

/** Whether somebody was denied something, and not only misunderstood. */
function isRefusal({ status }: Problem): boolean {
  return [401, 403, 404, 429].includes(status) || status >= 500;
}

/** What it is when WeChat refused, and when it said nothing. */
function kindsOf(error: WechatGaveNothing): [Problem, Problem] {
  if (error instanceof NotReplaced) return [PROBLEMS.refusedToReplace, PROBLEMS.notReplaced];
  if (error instanceof Undecided) return [PROBLEMS.refusedToDecide, PROBLEMS.undecided];
  if (error.cause instanceof StoreUnreachable) return [PROBLEMS.refused, PROBLEMS.storeUnreachable];
  return [PROBLEMS.refused, PROBLEMS.unreachable];
}

/** The status that Nest, or a library of Express, gave an error; 0 for errors that have none. */
function statusOf(error: unknown): number {
  if (error instanceof HttpException) return error.getStatus();
  const { status } = error as { readonly status?: unknown };
  return typeof status === 'number' ? status : 0;
}
