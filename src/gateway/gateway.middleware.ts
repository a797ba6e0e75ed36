import { Injectable, type NestMiddleware } from '@nestjs/common';
import type { NextFunction, Response } from 'express';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ClientRequest } from '../auth/client.guard.js';
import { assertMayCall, Forbidden } from '../auth/rights.js';
import { ClientBudgets } from '../http/client-budgets.js';
import type { Problem } from '../http/problems.js';
import { sourceNetworkOf } from '../http/source-address.js';
import { type Caller, Callers } from './callers.js';
import { DialectFilter } from './dialect.filter.js';
import { Gateway } from './gateway.js';
import { Passersby } from './passersby.js';
import { Saying } from './saying.js';
import { handlingOf, isPlain, type Target, targetOf, withoutParameter, withParameter } from './target.js';

/** Its label in the metrics. */
const ROUTE = { path: 'wechat' };

/** Whatever else of WeChat's an SDK asks for: it goes through to WeChat, and the answer comes back. */
@Injectable()
export class GatewayMiddleware implements NestMiddleware {
  constructor(
    private readonly gateway: Gateway,
    private readonly callers: Callers,
    private readonly budgets: ClientBudgets,
    private readonly passersby: Passersby,
    private readonly errors: DialectFilter,
  ) {}

  use(request: ClientRequest, response: Response, next: NextFunction): void {
    const target = targetOf(request);
    if (!target) {
      next();
    } else if (handlingOf(target.path) === 'served') {
      // For the router there is one way of writing a path.
      request.url = target.query === '' ? target.path : `${target.path}?${target.query}`;
      next();
    } else {
      Object.assign(request, { route: ROUTE });
      this.pass(target, request, response).catch((error: unknown) => this.errors.answer(error, request, response));
    }
  }

  /** Tells an SDK of a request that is not as HTTP has it; nobody else. */
  refuseFlawed(request: IncomingMessage, response: ServerResponse, { type }: Problem): boolean {
    const target = targetOf(request);
    if (!target) return false;
    void this.errors.answer(new Saying(target.dialect, 'badAddress', type), request as ClientRequest, response);
    return true;
  }

  private async pass(target: Target, request: ClientRequest, response: Response): Promise<void> {
    const { dialect, path, query } = target;
    if (!isPlain(path)) throw new Saying(dialect, 'badAddress');
    if (request.method !== 'GET' && request.method !== 'POST') throw new Saying(dialect, 'postWanted');
    const parameters = new URLSearchParams(query);
    if (handlingOf(path) !== 'passed') return this.passForUser(target, parameters, request, response);
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
    const handling = handlingOf(path);
    if (handling === 'none') throw new Saying(dialect, 'notAllowed');
    if (request.method !== 'GET') throw new Saying(dialect, 'getWanted');
    if (handling === 'of-users') {
      this.passersby.take(sourceNetworkOf(request));
      return this.gateway.passPlainly({ ...passage, target: `${path}?${query}` });
    }
    const [appid, secret] = [parameters.get('appid') ?? undefined, parameters.get('secret') ?? undefined];
    const caller = this.callers.bySecret(dialect, { appid, secret });
    this.admit(caller, request, path);
    const real = caller.app.secret.reveal();
    // Some SDKs send their token along everywhere. Here nobody wants it, and WeChat never issued it.
    const login = withParameter(withoutParameter(query, 'access_token'), 'secret', real);
    if (login === undefined || parameters.getAll('appid').length > 1) throw new Saying(dialect, 'badAddress');
    return this.gateway.passPlainly({ ...passage, target: `${path}?${login}`, secret: real });
  }

  private admit({ client, name }: Caller, request: ClientRequest, path: string): void {
    if (!client) throw new Forbidden();
    Object.assign(request, { client, about: name, action: 'proxy' });
    this.budgets.take(client);
    if (!client.may.has('proxy')) throw new Forbidden();
    assertMayCall(client, path);
  }
}
