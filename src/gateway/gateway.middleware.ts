import { Injectable, type NestMiddleware } from '@nestjs/common';
import type { NextFunction, Response } from 'express';
import type { ClientRequest } from '../auth/client.guard.js';
import { assertMayCall, Forbidden } from '../auth/rights.js';
import { ClientBudgets } from '../http/client-budgets.js';
import { type Caller, Callers } from './callers.js';
import { DialectFilter } from './dialect.filter.js';
import { Gateway } from './gateway.js';
import { Saying } from './saying.js';
import { isPlain, type Target, targetOf, withoutParameter, withParameter } from './target.js';

/** What the hub answers itself. */
const SERVED = new Set([
  ...['/cgi-bin/token', '/cgi-bin/stable_token', '/cgi-bin/ticket/getticket'],
  ...['/cgi-bin/gettoken', '/cgi-bin/get_jsapi_ticket', '/cgi-bin/ticket/get'],
]);
/** Logins of users, made with the AppSecret. */
const LOGINS = new Set(['/sns/oauth2/access_token', '/sns/jscode2session']);
/** What goes on with a user's own token, of which the hub knows nothing. */
const OF_USERS = new Set(['/sns/oauth2/refresh_token', '/sns/userinfo', '/sns/auth']);
/** Its label in the metrics. */
const ROUTE = { path: 'wechat' };

/** Whatever else of WeChat's an SDK asks for: it goes through to WeChat, and the answer comes back. */
@Injectable()
export class GatewayMiddleware implements NestMiddleware {
  constructor(
    private readonly gateway: Gateway,
    private readonly callers: Callers,
    private readonly budgets: ClientBudgets,
    private readonly errors: DialectFilter,
  ) {}

  use(request: ClientRequest, response: Response, next: NextFunction): void {
    const target = targetOf(request);
    if (!target) {
      next();
    } else if (SERVED.has(target.path)) {
      // For the router there is one way of writing a path.
      request.url = target.query === '' ? target.path : `${target.path}?${target.query}`;
      next();
    } else {
      Object.assign(request, { route: ROUTE });
      this.pass(target, request, response).catch((error: unknown) => this.errors.answer(error, request, response));
    }
  }

  private async pass(target: Target, request: ClientRequest, response: Response): Promise<void> {
    const { dialect, path, query } = target;
    if (!isPlain(path)) throw new Saying(dialect, 'badAddress');
    if (request.method !== 'GET' && request.method !== 'POST') throw new Saying(dialect, 'postWanted');
    const parameters = new URLSearchParams(query);
    if (path.startsWith('/sns/')) return this.passForUser(target, parameters, request, response);
    const token = parameters.get('access_token') ?? undefined;
    const caller = this.callers.byToken(dialect, token);
    if (!caller.isVirtual)
      throw new Saying(dialect, 'notAllowed', 'it shows the real token, which WeChat itself takes');
    this.admit(caller, request, path);
    const { app } = caller;
    const targetWith = (real: string): string => `${path}?${withParameter(query, 'access_token', real) ?? ''}`;
    if (withParameter(query, 'access_token', '') === undefined) throw new Saying(dialect, 'badAddress');
    return this.gateway.pass({ request, response, app, path, targetWith });
  }

  /** Tokens of users are none of the hub's: nothing is replaced there, and nothing tried again. */
  private passForUser(
    { dialect, path, query }: Target,
    parameters: URLSearchParams,
    request: ClientRequest,
    response: Response,
  ): Promise<void> {
    const passage = { request, response, path, dialect };
    if (OF_USERS.has(path)) return this.gateway.passPlainly({ ...passage, target: `${path}?${query}` });
    if (!LOGINS.has(path)) throw new Saying(dialect, 'notAllowed');
    const [appid, secret] = [parameters.get('appid') ?? undefined, parameters.get('secret') ?? undefined];
    const caller = this.callers.bySecret(dialect, { appid, secret });
    this.admit(caller, request, path);
    // Some SDKs send their token along everywhere. Here nobody wants it, and WeChat never issued it.
    const real = withParameter(withoutParameter(query, 'access_token'), 'secret', caller.app.secret.reveal());
    if (real === undefined) throw new Saying(dialect, 'badAddress');
    return this.gateway.passPlainly({ ...passage, target: `${path}?${real}` });
  }

  private admit({ client, name }: Caller, request: ClientRequest, path: string): void {
    if (!client) throw new Forbidden();
    Object.assign(request, { client, about: name, action: 'proxy' });
    this.budgets.take(client);
    if (!client.may.has('proxy')) throw new Forbidden();
    assertMayCall(client, path);
  }
}
