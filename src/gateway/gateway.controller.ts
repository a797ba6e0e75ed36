import { Controller, Get, HttpCode, Param, Post, Req, Res, UseGuards } from '@nestjs/common';
import type { Response } from 'express';
import { Audit } from '../audit/audit.js';
import { ClientGuard, type ClientRequest } from '../auth/client.guard.js';
import { assertMayCall, Forbidden } from '../auth/rights.js';
import { appFor } from '../credentials/access.js';
import { CredentialsService } from '../credentials/credentials.service.js';
import type { HostedApp } from '../credentials/hosted-app.js';
import { MalformedRequest } from '../http/query.js';
import { RawBody } from '../http/raw-body.js';
import { Gateway, type PlainPassage } from './gateway.js';
import { handlingOf, isPlain } from './target.js';

/** The same gateway for programs of one's own: they show their JWT, and need neither token nor secret of WeChat's. */
@Controller()
@RawBody()
@UseGuards(ClientGuard)
export class GatewayController {
  constructor(
    readonly credentials: CredentialsService,
    readonly audit: Audit,
    private readonly gateway: Gateway,
  ) {}

  @Get('apps/:app/wechat/*path')
  get(@Req() request: ClientRequest, @Res() response: Response, @Param('app') name: string): Promise<void> {
    return this.call(request, response, name);
  }

  @Post('apps/:app/wechat/*path')
  // WeChat says itself what came of it.
  @HttpCode(200)
  post(@Req() request: ClientRequest, @Res() response: Response, @Param('app') name: string): Promise<void> {
    return this.call(request, response, name);
  }

  private async call(request: ClientRequest, response: Response, name: string): Promise<void> {
    const app = appFor(this, request, 'proxy', name);
    const [written = '', ...rest] = request.originalUrl.split('?');
    const path = written.slice(written.indexOf('/wechat/') + '/wechat'.length);
    const query = rest.join('?');
    if (!isPlain(path)) throw new MalformedRequest("The path is none of WeChat's API.");
    assertMayCall(request.client, path);
    const handling = handlingOf(path);
    if (handling === 'served') throw new MalformedRequest('Tokens and tickets are at endpoints of the hub’s own.');
    if (handling === 'none') throw new Forbidden();
    if (handling !== 'passed') return this.passForUser({ request, response, path, dialect: app.dialect }, app, query);
    assertLeftOut(query, 'access_token');
    const targetWith = (token: string): string => `${path}?${withMore(query, { access_token: token })}`;
    await this.gateway.pass({ request, response, app, path, targetWith });
  }

  /** What is below `/sns/` goes by what the user brought; for a login the hub shows what the app is. */
  private passForUser(passage: Omit<PlainPassage, 'target'>, app: HostedApp, query: string): Promise<void> {
    const { request, path } = passage;
    if (request.method !== 'GET') throw new MalformedRequest('This is a GET at WeChat.');
    if (handlingOf(path) === 'of-users') return this.gateway.passPlainly({ ...passage, target: `${path}?${query}` });
    assertLeftOut(query, 'appid', 'secret', 'access_token');
    const secret = app.secret.reveal();
    const target = `${path}?${withMore(query, { appid: app.appid, secret })}`;
    return this.gateway.passPlainly({ ...passage, target, secret });
  }
}

/** @throws MalformedRequest when a client brings what is the hub's to add. */
function assertLeftOut(query: string, ...names: readonly string[]): void {
  const parameters = new URLSearchParams(query);
  for (const name of names) {
    if (parameters.has(name)) throw new MalformedRequest(`The ${name} is the hub’s to add.`);
  }
}

function withMore(query: string, more: Readonly<Record<string, string>>): string {
  const added = Object.entries(more).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  return [...(query === '' ? [] : [query]), ...added].join('&');
}
