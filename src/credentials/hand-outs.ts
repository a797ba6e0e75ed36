import type { Audit } from '../audit/audit.js';
import { type AuditRecord, RecurringRecord } from '../audit/record.js';
import type { ClientRequest } from '../auth/client.guard.js';
import { Recent } from '../auth/recent.js';
import type { Verifier } from '../auth/verifier.js';
import type { Action } from '../config/hub-file.js';
import { appFor, isStill } from './access.js';
import {
  type Format,
  hasVersion,
  preparationOf,
  send,
  type Sender,
  type Subject,
  type Times,
  viewOf,
} from './answer.js';
import type { CredentialsService } from './credentials.service.js';
import type { HostedApp } from './hosted-app.js';
import type { Credential } from './policy.js';
import type { Source } from './source.js';
import type { CredentialView } from './views.js';

/** The client asked for a ticket type that the app's platform does not have. */
export class UnknownTicketType extends Error {
  constructor(readonly types: readonly string[]) {
    super(`The type must be one of ${types.join(', ')}.`);
    this.name = 'UnknownTicketType';
  }
}

/** Which credential is asked for, and how. */
export interface Read {
  /** The name of the app. */
  readonly app: string;
  /** The `type` of a ticket; absent for the access token. */
  readonly type?: string;
  /** The form in which it is given, unless the client wants another more. */
  readonly preferred: Format;
  /** The value that is to be replaced, if it still is the current one. */
  readonly refused?: string | undefined;
}

/** A target that was asked for before, with what the router and the schema made of it. */
export interface FamiliarRead {
  readonly read: Read;
  readonly route: { readonly path: string };
}

/** WeChat calls the mobile SDK's ticket `2`, as the original hub's clients do. */
const TYPE_ALIASES: Readonly<Record<string, string>> = { '2': 'sdk' };
/** More than most hubs have credentials; each is a short text. */
const MOST_TARGETS = 20_000;
/** Targets beyond are nobody's but a stranger's. */
const LONGEST_TARGET = 256;

/** Hands out credentials: decides whether a client may have what it asks for, keeps a record of it, and answers. */
export class HandOuts {
  private readonly familiar = new Recent<FamiliarRead>(MOST_TARGETS);

  constructor(
    readonly credentials: CredentialsService,
    readonly audit: Audit,
    readonly verifier: Pick<Verifier, 'verify'>,
  ) {}

  /** What a target stands for, if it was asked for before. Depends on nothing but the target. */
  familiarRead(target: string): FamiliarRead | undefined {
    return this.familiar.get(target);
  }

  /** Answers a read that came by the router, whose target is familiar from then on. */
  async answerRouted(request: ClientRequest, response: Sender, read: Read): Promise<void> {
    await this.answer(request, response, read);
    const { originalUrl } = request;
    const route = request.route as FamiliarRead['route'];
    if (read.refused === undefined && originalUrl.length <= LONGEST_TARGET)
      this.familiar.set(originalUrl, { read, route });
  }

  /**
   * Answers a read of a client that is known: within the call, as far as nobody has to be waited for.
   * @throws, at once or later: UnknownApp, Forbidden, UnknownTicketType, AuditUnavailable, and what obtaining the
   *   credential throws; Unauthenticated, where the client is gone by then.
   */
  answer(request: ClientRequest, response: Sender, read: Read): Promise<void> | void {
    const app = appFor(this, request, actionOf(read), read.app);
    const source = sourceFor(app, read);
    const ready = read.refused === undefined ? source.ready : undefined;
    if (ready) return this.give(request, response, read, { app, source, credential: ready });
    return this.obtainAndGive(request, response, read, app, source);
  }

  private async obtainAndGive(
    request: ClientRequest,
    response: Sender,
    read: Read,
    app: HostedApp,
    source: Source,
  ): Promise<void> {
    const { refused } = read;
    const credential = await (refused === undefined ? source.get() : app.rotate(source, refused));
    if (!(await isStill(app, this, request, actionOf(read), read.app))) return this.answer(request, response, read);
    return this.give(request, response, read, { app, source, credential });
  }

  /** Hands out what was found, once that is on record. */
  private give(request: ClientRequest, response: Sender, read: Read, found: Found): Promise<void> | void {
    if (this.audit.isOn) {
      const record = this.recordFor(read, found, hasVersion(request, found.credential));
      return this.audit.give(request, record).then(() => this.send(request, response, read, found));
    }
    this.send(request, response, read, found);
  }

  private send(request: ClientRequest, response: Sender, read: Read, { app, source, credential }: Found): void {
    const about = (): readonly [Subject, Times] => this.about(source, read.app, app, typeOf(read));
    send(request, response, preparationOf(source, credential), read.preferred, about);
  }

  private recordFor(read: Read, { source, credential }: Found, isKnown: boolean): AuditRecord | RecurringRecord {
    const outcome = isKnown ? 'not-modified' : 'given';
    const { refused } = read;
    if (refused !== undefined) {
      return { ...recordOf('rotation', outcome, credential, typeOf(read)), shown: refused };
    }
    const { records } = preparationOf(source, credential);
    return (records[outcome] ??= new RecurringRecord(recordOf('hand-out', outcome, credential, typeOf(read))));
  }

  /** A credential as it is written down for a client at this moment. */
  view(credential: Credential, source: Source, name: string, app: HostedApp): CredentialView {
    return viewOf(credential, ...this.about(source, name, app));
  }

  private about(source: Source, app: string, { appid }: HostedApp, type?: string): readonly [Subject, Times] {
    const { clock } = this.credentials;
    const times = { now: clock.now(), drift: clock.drift(), renewalAt: source.renewalAt };
    return [{ app, appid, ...(type !== undefined && { type }) }, times];
  }
}

/** What a read has come to. */
interface Found {
  readonly app: HostedApp;
  readonly source: Source;
  readonly credential: Credential;
}

function actionOf({ refused }: Read): Action {
  return refused === undefined ? 'read' : 'rotate';
}

function typeOf({ type }: Read): string | undefined {
  return type === undefined ? undefined : (TYPE_ALIASES[type] ?? type);
}

/** @throws UnknownTicketType */
function sourceFor(app: HostedApp, read: Read): Source {
  const type = typeOf(read);
  const source = type === undefined ? app.accessToken : app.ticket(type);
  if (!source) throw new UnknownTicketType(app.ticketTypes);
  return source;
}

/** What a client is given, for the audit. */
export function recordOf(
  event: 'hand-out' | 'rotation' | 'report',
  outcome: string,
  { version, value }: Credential,
  type?: string,
): AuditRecord {
  return { event, outcome, kind: type === undefined ? 'access-token' : `ticket/${type}`, version, value };
}
