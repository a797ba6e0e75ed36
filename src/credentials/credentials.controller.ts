import { Body, Controller, Get, HttpCode, Param, Post, Query, Req, Res, UseGuards } from '@nestjs/common';
import type { Response } from 'express';
import type { z } from 'zod';
import { Audit } from '../audit/audit.js';
import type { AuditRecord } from '../audit/record.js';
import { ClientGuard, type ClientRequest } from '../auth/client.guard.js';
import { Forbidden, sees } from '../auth/rights.js';
import { DEFAULT_APP } from '../config/configuration.js';
import type { Action } from '../config/hub-file.js';
import { appFor } from './access.js';
import { hasVersion, send, viewOf } from './answer.js';
import { CredentialsService } from './credentials.service.js';
import type { HostedApp, JssdkConfig } from './hosted-app.js';
import { noQuery, reportBody, signBody, ticketQuery, tokenQuery } from './parameters.js';
import type { Credential } from './policy.js';
import type { Source } from './source.js';
import type { AppsView, CredentialView } from './views.js';

type TokenQuery = z.infer<typeof tokenQuery>;
type TicketQuery = z.infer<typeof ticketQuery>;

/** The client asked for a ticket type that the app's platform does not have. */
export class UnknownTicketType extends Error {
  constructor(readonly types: readonly string[]) {
    super(`The type must be one of ${types.join(', ')}.`);
    this.name = 'UnknownTicketType';
  }
}

/** WeChat calls the mobile SDK's ticket `2`, as the original hub's clients do. */
const TYPE_ALIASES: Readonly<Record<string, string>> = { '2': 'sdk' };

/** As long as a name in the DNS can be. */
const LONGEST_HOST = 253;

/** Hands out credentials, and hears what clients have to say about them. */
@Controller()
@UseGuards(ClientGuard)
export class CredentialsController {
  constructor(
    readonly credentials: CredentialsService,
    readonly audit: Audit,
  ) {}

  @Get(['access-token', 'access_token'])
  defaultToken(
    @Req() request: ClientRequest,
    @Res() response: Response,
    @Query({ schema: tokenQuery }) query: TokenQuery,
  ): Promise<void> {
    return this.handOut(request, response, DEFAULT_APP, 'text', undefined, query.rotate_token);
  }

  @Get('ticket')
  defaultTicket(
    @Req() request: ClientRequest,
    @Res() response: Response,
    @Query({ schema: ticketQuery }) query: TicketQuery,
  ): Promise<void> {
    return this.handOut(request, response, DEFAULT_APP, 'text', query.type, query.rotate_ticket);
  }

  @Get('apps')
  apps(@Req() { client }: ClientRequest, @Query({ schema: noQuery }) _query: object): AppsView {
    if (!client.may.has('read')) throw new Forbidden();
    const apps = [...this.credentials.all].filter(([name]) => sees(client, name));
    return {
      apps: apps.map(([name, app]) => ({
        name,
        platform: app.platform,
        appid: app.appid,
        kinds: ['access-token', 'ticket'],
        ticket_types: app.ticketTypes,
      })),
    };
  }

  @Get('apps/:app/access-token')
  token(
    @Req() request: ClientRequest,
    @Res() response: Response,
    @Param('app') app: string,
    @Query({ schema: tokenQuery }) query: TokenQuery,
  ): Promise<void> {
    return this.handOut(request, response, app, 'json', undefined, query.rotate_token);
  }

  @Get('apps/:app/ticket')
  ticket(
    @Req() request: ClientRequest,
    @Res() response: Response,
    @Param('app') app: string,
    @Query({ schema: ticketQuery }) query: TicketQuery,
  ): Promise<void> {
    return this.handOut(request, response, app, 'json', query.type, query.rotate_ticket);
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
    await this.audit.give(request, {
      ...recordOf('report', verdict, credential),
      shown: 'token' in reported ? reported.token : undefined,
      errcode,
    });
    return { verdict, ...this.view(credential, app.accessToken, name, app) };
  }

  @Post('apps/:app/jssdk-config')
  @HttpCode(200)
  async sign(
    @Req() request: ClientRequest,
    @Param('app') name: string,
    @Query({ schema: noQuery }) _query: object,
    @Body({ schema: signBody }) { url }: z.infer<typeof signBody>,
  ): Promise<JssdkConfig> {
    const config = await this.find(request, 'sign', name).signPage(url);
    const site = new URL(url).host.slice(0, LONGEST_HOST);
    await this.audit.give(request, { event: 'signing', outcome: 'signed', kind: 'ticket/jsapi', site });
    return config;
  }

  private async handOut(
    request: ClientRequest,
    response: Response,
    name: string,
    preferred: 'text' | 'json',
    typeAsked: string | undefined,
    refused: string | undefined,
  ): Promise<void> {
    const app = this.find(request, refused === undefined ? 'read' : 'rotate', name);
    const type = typeAsked === undefined ? undefined : (TYPE_ALIASES[typeAsked] ?? typeAsked);
    const source = type === undefined ? app.accessToken : app.ticket(type);
    if (!source) throw new UnknownTicketType(app.ticketTypes);
    const credential = await (refused === undefined ? source.get() : app.rotate(source, refused));
    await this.audit.give(request, {
      ...recordOf(
        refused === undefined ? 'hand-out' : 'rotation',
        hasVersion(request, credential) ? 'not-modified' : 'given',
        credential,
        type,
      ),
      shown: refused,
    });
    send(request, response, credential, this.view(credential, source, name, app, type), preferred);
  }

  private find(request: ClientRequest, action: Action, name: string): HostedApp {
    return appFor(this, request, action, name);
  }

  private view(credential: Credential, source: Source, name: string, app: HostedApp, type?: string): CredentialView {
    const { clock } = this.credentials;
    const times = { now: clock.now(), drift: clock.drift(), renewalAt: source.renewalAt };
    return viewOf(credential, { app: name, appid: app.appid, ...(type !== undefined && { type }) }, times);
  }
}

/** What a client is given, for the audit. */
function recordOf(
  event: 'hand-out' | 'rotation' | 'report',
  outcome: string,
  { version, value }: Credential,
  type?: string,
): AuditRecord {
  return { event, outcome, kind: type === undefined ? 'access-token' : `ticket/${type}`, version, value };
}
