import { Controller, Get, HttpCode, Param, Post, Req, Res, UseGuards } from '@nestjs/common';
import type { Response } from 'express';
import { Audit } from '../audit/audit.js';
import { ClientGuard, type ClientRequest } from '../auth/client.guard.js';
import { assertMayCall } from '../auth/rights.js';
import { appFor } from '../credentials/access.js';
import { CredentialsService } from '../credentials/credentials.service.js';
import { MalformedRequest } from '../http/query.js';
import { RawBody } from '../http/raw-body.js';
import { Gateway } from './gateway.js';
import { isPlain } from './target.js';

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
    if (/(^|&)access_token=/.test(query)) throw new MalformedRequest('The access_token is the hub’s to add.');
    assertMayCall(request.client, path);
    const before = query === '' ? '' : `${query}&`;
    const targetWith = (token: string): string => `${path}?${before}access_token=${encodeURIComponent(token)}`;
    await this.gateway.pass({ request, response, app, path, targetWith });
  }
}
