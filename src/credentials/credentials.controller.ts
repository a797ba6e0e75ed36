import { Body, Controller, Get, HttpCode, Param, Post, Query, Req, Res, UseGuards } from '@nestjs/common';
import type { ServerResponse } from 'node:http';
import type { z } from 'zod';
import { Audit } from '../audit/audit.js';
import { ClientGuard, type ClientRequest } from '../auth/client.guard.js';
import { Forbidden, sees, UnknownApp } from '../auth/rights.js';
import { Verifier } from '../auth/verifier.js';
import { DEFAULT_APP } from '../config/configuration.js';
import type { Client } from '../config/clients.js';
import type { Action } from '../config/hub-file.js';
import { MEMBERS, sendLongList } from '../long-list.js';
import { inTurns } from '../turns.js';
import { appFor, isStill } from './access.js';
import type { Sender } from './answer.js';
import { CredentialsService } from './credentials.service.js';
import { HandOuts, recordOf } from './hand-outs.js';
import type { HostedApp, JssdkConfig } from './hosted-app.js';
import { noQuery, reportBody, signBody, ticketQuery, tokenQuery } from './parameters.js';
import type { AppView } from './views.js';

type TokenQuery = z.infer<typeof tokenQuery>;
type TicketQuery = z.infer<typeof ticketQuery>;

/** As long as a name in the DNS can be. */
const LONGEST_HOST = 253;

/**
 * Hands out credentials, and hears what clients have to say about them. Of its reads, all that decides is in the guard's
 * verifier, the budgets and {@link HandOuts}: a familiar target goes there by the read lane, past whatever stands here.
 */
@Controller()
@UseGuards(ClientGuard)
export class CredentialsController {
  constructor(
    private readonly handOuts: HandOuts,
    readonly credentials: CredentialsService,
    readonly audit: Audit,
    readonly verifier: Verifier,
  ) {}

  @Get(['access-token', 'access_token'])
  defaultToken(
    @Req() request: ClientRequest,
    @Res() response: Sender,
    @Query({ schema: tokenQuery }) query: TokenQuery,
  ): Promise<void> {
    const { rotate_token: refused } = query;
    return this.handOuts.answerRouted(request, response, { app: DEFAULT_APP, preferred: 'text', refused });
  }

  @Get('ticket')
  defaultTicket(
    @Req() request: ClientRequest,
    @Res() response: Sender,
    @Query({ schema: ticketQuery }) query: TicketQuery,
  ): Promise<void> {
    const { type, rotate_ticket: refused } = query;
    return this.handOuts.answerRouted(request, response, { app: DEFAULT_APP, type, preferred: 'text', refused });
  }

  @Get('apps')
  async apps(
    @Req() { client }: ClientRequest,
    @Res() response: ServerResponse,
    @Query({ schema: noQuery }) _query: object,
  ): Promise<void> {
    if (!client.may.has('read')) throw new Forbidden();
    await sendLongList(response, 200, { apps: MEMBERS }, this.appsOf(client));
  }

  private async *appsOf(client: Client): AsyncGenerator<AppView[]> {
    for await (const some of inTurns(this.credentials.all)) {
      yield some
        .filter(([name]) => sees(client, name))
        .map(([name, { platform, appid, ticketTypes }]) => {
          return { name, platform, appid, kinds: ['access-token', 'ticket'], ticket_types: ticketTypes };
        });
    }
  }

  @Get('apps/:app/access-token')
  token(
    @Req() request: ClientRequest,
    @Res() response: Sender,
    @Param('app') app: string,
    @Query({ schema: tokenQuery }) query: TokenQuery,
  ): Promise<void> {
    const { rotate_token: refused } = query;
    return this.handOuts.answerRouted(request, response, { app, preferred: 'json', refused });
  }

  @Get('apps/:app/ticket')
  ticket(
    @Req() request: ClientRequest,
    @Res() response: Sender,
    @Param('app') app: string,
    @Query({ schema: ticketQuery }) query: TicketQuery,
  ): Promise<void> {
    const { type, rotate_ticket: refused } = query;
    return this.handOuts.answerRouted(request, response, { app, type, preferred: 'json', refused });
  }

  @Post('apps/:app/access-token/report')
  @HttpCode(200)
  async report(
    @Req() request: ClientRequest,
    @Param('app') name: string,
    @Query({ schema: noQuery }) _query: object,
    @Body({ schema: reportBody }) reported: z.infer<typeof reportBody>,
  ): Promise<object> {
    const app = this.find(request, 'report', name);
    const { errcode } = reported;
    const { verdict, credential } = await app.report(reported, {
      client: request.client.name,
      requestId: request.requestId,
      ...(errcode !== undefined && { errcode }),
    });
    await this.confirm(app, request, 'report', name);
    await this.audit.give(request, {
      ...recordOf('report', verdict, credential),
      shown: 'token' in reported ? reported.token : undefined,
      errcode,
    });
    return { verdict, ...this.handOuts.view(credential, app.accessToken, name, app) };
  }

  @Post('apps/:app/jssdk-config')
  @HttpCode(200)
  async sign(
    @Req() request: ClientRequest,
    @Param('app') name: string,
    @Query({ schema: noQuery }) _query: object,
    @Body({ schema: signBody }) { url }: z.infer<typeof signBody>,
  ): Promise<JssdkConfig> {
    const app = this.find(request, 'sign', name);
    const config = await app.signPage(url);
    await this.confirm(app, request, 'sign', name);
    const site = new URL(url).host.slice(0, LONGEST_HOST);
    await this.audit.give(request, { event: 'signing', outcome: 'signed', kind: 'ticket/jsapi', site });
    return config;
  }

  private find(request: ClientRequest, action: Action, name: string): HostedApp {
    return appFor(this, request, action, name);
  }

  /** After a wait: by then it may be another app. */
  private async confirm(app: HostedApp, request: ClientRequest, action: Action, name: string): Promise<void> {
    if (!(await isStill(app, this, request, action, name))) throw new UnknownApp();
  }
}
