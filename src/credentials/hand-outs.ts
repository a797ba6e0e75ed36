import type { Audit } from '../audit/audit.js';
import type { AuditRecord } from '../audit/record.js';
import type { ClientRequest } from '../auth/client.guard.js';
import { Recent } from '../auth/recent.js';
import type { Verifier } from '../auth/verifier.js';
import type { Action } from '../config/hub-file.js';
import { appFor, isStill } from './access.js';
import { type Format, hasVersion, send, type Sender, type Subject, type Times, viewOf } from './answer.js';
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
  private readonly records = new WeakMap<Credential, Partial<Record<Outcome, AuditRecord>>>();
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
   * Answers a read of a client that is known.
   * @throws UnknownApp, Forbidden, UnknownTicketType, AuditUnavailable, and what obtaining the credential throws;
   *   Unauthenticated, where the client is gone by then.
   */
  async answer(request: ClientRequest, response: Sender, read: Read): Promise<void> {
    const { refused, preferred } = read;
    const action: Action = refused === undefined ? 'read' : 'rotate';
    const app = appFor(this, request, action, read.app);
    const type = read.type === undefined ? undefined : (TYPE_ALIASES[read.type] ?? read.type);
    const source = type === undefined ? app.accessToken : app.ticket(type);
    if (!source) throw new UnknownTicketType(app.ticketTypes);
    const ready = refused === undefined ? source.ready : undefined;
    const credential = ready ?? (await (refused === undefined ? source.get() : app.rotate(source, refused)));
    if (!ready && !(await isStill(app, this, request, action, read.app))) return this.answer(request, response, read);
    if (this.audit.isOn) {
      const outcome = hasVersion(request, credential) ? 'not-modified' : 'given';
      await this.audit.give(
        request,
        refused === undefined
          ? this.handOutOf(credential, type, outcome)
          : { ...recordOf('rotation', outcome, credential, type), shown: refused },
      );
    }
    send(request, response, credential, preferred, () => this.about(source, read.app, app, type));
  }

  /** The record of a hand-out, the same for all who are given the same. */
  private handOutOf(credential: Credential, type: string | undefined, outcome: Outcome): AuditRecord {
    let records = this.records.get(credential);
    if (!records) this.records.set(credential, (records = {}));
    return (records[outcome] ??= recordOf('hand-out', outcome, credential, type));
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

type Outcome = 'given' | 'not-modified';

/** What a client is given, for the audit. */
export function recordOf(
  event: 'hand-out' | 'rotation' | 'report',
  outcome: string,
  { version, value }: Credential,
  type?: string,
): AuditRecord {
  return { event, outcome, kind: type === undefined ? 'access-token' : `ticket/${type}`, version, value };
}
