import { All, Controller, Req, Res, UseFilters } from '@nestjs/common';
import type { Response } from 'express';
import { Audit } from '../audit/audit.js';
import type { ClientRequest } from '../auth/client.guard.js';
import { assertMayCall, Forbidden } from '../auth/rights.js';
import { CredentialsService } from '../credentials/credentials.service.js';
import { type Credential, secondsLeft } from '../credentials/policy.js';
import { ClientBudgets } from '../http/client-budgets.js';
import { RawBody } from '../http/raw-body.js';
import { PassingBody } from '../wechat/passing-body.js';
import type { Dialect } from '../wechat/wechat.error.js';
import { Callers, type Introduction, type SecretCaller } from './callers.js';
import { DialectFilter, sendJson } from './dialect.filter.js';
import { EarlyReturns } from './early-returns.js';
import { Saying } from './saying.js';
import { targetOf } from './target.js';
import { VIRTUAL_LIFE_S } from './virtual-tokens.js';
import { within } from './within.js';

/** SDKs wait three seconds, some of them. */
const ANSWER_WITHIN_MS = 2800;
/** A hint is followed for so long; after that the client gets what there is. */
const HINT_WITHIN_MS = 1500;
const LARGEST_BODY = 16 * 1024;
const GRANT = 'client_credential';

/** The type of a ticket in WeChat's words, and in the hub's. */
const TICKET_TYPES: Readonly<Record<string, string>> = { jsapi: 'jsapi', wx_card: 'wx_card', '2': 'sdk' };

/** What an SDK that wants a token says, wherever it says it. */
interface TokenRequest extends Introduction {
  /** Whether it wants another one than it has. */
  readonly isForced?: boolean;
}

/** WeChat's own endpoints for credentials, so that an SDK that is led here by its base URL alone notices nothing. */
@Controller()
@RawBody()
@UseFilters(DialectFilter)
export class TokenController {
  private readonly earlyReturns: EarlyReturns;

  constructor(
    private readonly credentials: CredentialsService,
    private readonly callers: Callers,
    private readonly budgets: ClientBudgets,
    private readonly audit: Audit,
  ) {
    this.earlyReturns = new EarlyReturns(() => credentials.clock.now());
  }

  @All('cgi-bin/token')
  async token(@Req() request: ClientRequest, @Res() response: Response): Promise<void> {
    assertMethod(request, 'GET', 'wechat');
    const query = queryOf(request);
    const grant = { type: query.get('grant_type') ?? undefined, expected: GRANT };
    const asked = { appid: query.get('appid') ?? undefined, secret: query.get('secret') ?? undefined, grant };
    sendJson(response, await this.give(request, 'wechat', asked));
  }

  @All('cgi-bin/stable_token')
  async stableToken(@Req() request: ClientRequest, @Res() response: Response): Promise<void> {
    assertMethod(request, 'POST', 'wechat');
    const { appid, secret, grant_type, force_refresh } = await jsonOf(request);
    const grant = { type: text(grant_type), expected: GRANT };
    const asked = { appid: text(appid), secret: text(secret), grant, isForced: force_refresh === true };
    sendJson(response, await this.give(request, 'wechat', asked));
  }

  @All('cgi-bin/gettoken')
  async corpToken(@Req() request: ClientRequest, @Res() response: Response): Promise<void> {
    assertMethod(request, 'GET', 'wecom');
    const query = queryOf(request);
    const asked = { appid: query.get('corpid') ?? undefined, secret: query.get('corpsecret') ?? undefined };
    sendJson(response, { errcode: 0, errmsg: 'ok', ...(await this.give(request, 'wecom', asked)) });
  }

  @All('cgi-bin/ticket/getticket')
  async ticket(@Req() request: ClientRequest, @Res() response: Response): Promise<void> {
    const type = queryOf(request).get('type') ?? 'jsapi';
    sendJson(response, await this.giveTicket(request, 'wechat', TICKET_TYPES[type]));
  }

  @All('cgi-bin/get_jsapi_ticket')
  async corpTicket(@Req() request: ClientRequest, @Res() response: Response): Promise<void> {
    sendJson(response, await this.giveTicket(request, 'wecom', 'jsapi'));
  }

  @All('cgi-bin/ticket/get')
  async agentTicket(@Req() request: ClientRequest, @Res() response: Response): Promise<void> {
    const type = queryOf(request).get('type') === 'agent_config' ? 'agent_config' : undefined;
    sendJson(response, await this.giveTicket(request, 'wecom', type));
  }

  private async give(
    request: ClientRequest,
    dialect: Dialect,
    asked: TokenRequest,
  ): Promise<{ access_token: string; expires_in: number }> {
    const caller = this.callers.bySecret(dialect, asked);
    const { client, name, app } = caller;
    Object.assign(request, { client, about: name });
    this.budgets.take(client);
    if (client.may.has('proxy')) {
      // So that its first call need not wait for it; if it fails, that call tells why.
      app.accessToken.get().catch(() => undefined);
      const value = this.callers.virtualTokenOf(caller);
      await this.audit.give(request, { event: 'hand-out', outcome: 'given', kind: 'virtual-token', value });
      return { access_token: value, expires_in: VIRTUAL_LIFE_S };
    }
    if (!client.may.has('read')) throw new Forbidden();
    const credential = await within(ANSWER_WITHIN_MS, this.presentToken(caller, request, asked), slow(dialect));
    // That may have taken a moment, and another configuration may have come into force.
    const present = this.callers.bySecret(dialect, asked);
    if (present.app !== app || !present.client.may.has('read')) throw new Forbidden();
    const { value, version } = credential;
    await this.audit.give(request, { event: 'hand-out', outcome: 'given', kind: 'access-token', version, value });
    this.callers.remember(present, credential);
    this.earlyReturns.remember(client, name, version);
    return { access_token: value, expires_in: this.secondsLeft(credential) };
  }

  /** The token as it is; a client that comes for it too early makes the hub see whether it still lives. */
  private async presentToken(
    { client, name, app }: SecretCaller,
    { requestId }: ClientRequest,
    { isForced = false }: TokenRequest,
  ): Promise<Credential> {
    const credential = await app.accessToken.get();
    const { version } = credential;
    const isHint = isForced || this.earlyReturns.isReturn(client, name, version);
    if (!isHint || !this.earlyReturns.mayAsk(client, name)) return credential;
    const reported = app.report({ version }, { client: client.name, requestId }).then((report) => report.credential);
    return within(HINT_WITHIN_MS, reported, slow(app.dialect)).catch(() => app.accessToken.get());
  }

  private async giveTicket(request: ClientRequest, dialect: Dialect, type: string | undefined): Promise<object> {
    const { path = '' } = targetOf(request) ?? {};
    const token = queryOf(request).get('access_token') ?? undefined;
    const { client, name, app } = this.callers.byToken(dialect, token);
    Object.assign(request, { about: name, ...(client && { client }) });
    if (client) {
      this.budgets.take(client);
      assertMayCall(client, path);
    }
    const source = type === undefined || app.dialect !== dialect ? undefined : app.ticket(type);
    if (!source) throw new Saying(dialect, 'wrongTicketType');
    const credential = await within(ANSWER_WITHIN_MS, source.get(), slow(dialect));
    // As above; a token of which nobody knows whose it is may have been replaced, for this very ticket.
    const present = client && this.callers.byToken(dialect, token).client;
    if (this.credentials.app(name) !== app) throw new Forbidden();
    if (present) assertMayCall(present, path);
    const { value, version } = credential;
    await this.audit.give(request, { event: 'hand-out', outcome: 'given', kind: `ticket/${type}`, version, value });
    return { errcode: 0, errmsg: 'ok', ticket: value, expires_in: this.secondsLeft(credential) };
  }

  private secondsLeft(credential: Credential): number {
    return secondsLeft(credential, this.credentials.clock.now());
  }
}

function queryOf(request: ClientRequest): URLSearchParams {
  return new URLSearchParams(targetOf(request)?.query);
}

function slow(dialect: Dialect): Saying {
  return new Saying(dialect, 'busy', 'WeChat is slow');
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** What cannot be read as JSON is for WeChat as if nothing were there. */
async function jsonOf(request: ClientRequest): Promise<Record<string, unknown>> {
  const body = await PassingBody.of(request, LARGEST_BODY);
  try {
    const parsed: unknown = JSON.parse(body.isWhole ? body.bytes.toString() : '');
    return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function assertMethod({ method }: ClientRequest, wanted: 'GET' | 'POST', dialect: Dialect): void {
  if (method !== wanted) throw new Saying(dialect, wanted === 'GET' ? 'getWanted' : 'postWanted');
}
