import { Inject, Injectable } from '@nestjs/common';
import { type HealthIndicatorResult, HealthIndicatorService } from '@nestjs/terminus';
import { Audit } from '../audit/audit.js';
import { KeyRing } from '../auth/key-ring.js';
import { LiveConfiguration } from '../config/live-configuration.js';
import { explain, meaningOf, refusalIn } from '../credentials/chronicle.js';
import { CredentialsService } from '../credentials/credentials.service.js';
import { secondsLeft } from '../credentials/policy.js';
import type { KeySetStatus } from '../auth/key-set.js';
import type { Source } from '../credentials/source.js';
import { inTurns } from '../turns.js';
import type { CredentialHealth, IssuerHealth } from './views.js';

/** How the credentials are that somebody has asked for, all together. */
export interface Overview {
  readonly isWell: boolean;
  /** Whether there is anything at all that clients can be given. */
  readonly hasUsable: boolean;
}

/** Says how the hub is, for those who watch it. Nothing that WeChat does makes a hub unready: others are no better off. */
@Injectable()
export class CredentialsHealth {
  constructor(
    private readonly indicators: HealthIndicatorService,
    private readonly service: CredentialsService,
    @Inject(LiveConfiguration)
    private readonly live: LiveConfiguration<{ readonly identity: string }>,
    private readonly records: Audit,
    private readonly ring: KeyRing,
  ) {}

  hub(): HealthIndicatorResult {
    const indicator = this.indicators.check('hub');
    return this.service.draining ? indicator.down('The hub is shutting down.') : indicator.up();
  }

  configuration(): HealthIndicatorResult {
    const indicator = this.indicators.check('configuration');
    const { refused } = this.live;
    if (!refused) return indicator.up();
    return indicator.degraded({ message: 'The newest configuration was refused.', faults: refused.faults });
  }

  /** Without the shared store a hub is of use as long as it remembers something. */
  store({ hasUsable }: Overview): HealthIndicatorResult {
    const indicator = this.indicators.check('store');
    const status = this.service.storeStatus;
    if (!status || (status.reachable && status.faults.size === 0)) return indicator.up();
    if (status.reachable) return indicator.degraded({ message: [...status.faults].map(meaningOf).join(' ') });
    const seconds = Math.round((this.service.clock.now() - status.since) / 1000);
    const details = { message: `The shared store cannot be reached: ${status.reason ?? 'unknown reason'}.`, seconds };
    return hasUsable ? indicator.degraded(details) : indicator.down(details);
  }

  /** Nothing where there is none. One that is required and cannot be written leaves nothing to give. */
  audit(): HealthIndicatorResult[] {
    const indicator = this.indicators.check('audit');
    const { status } = this.records;
    if (!status) return [];
    if (!status.trouble) return [indicator.up()];
    const seconds = Math.round((Date.now() - status.trouble.since) / 1000);
    const details = { message: `The audit cannot be written: ${status.trouble.reason}.`, seconds };
    return [status.isRequired ? indicator.down(details) : indicator.degraded(details)];
  }

  /** Nothing where no token of an issuer has come. */
  issuers(): HealthIndicatorResult[] {
    const indicator = this.indicators.check('issuers');
    const clients = [...this.ring.issued].map(([client, status]) => issuerHealthOf(client, status));
    if (clients.length === 0) return [];
    return [
      clients.every(({ state }) => state === 'good') ? indicator.up({ clients }) : indicator.degraded({ clients }),
    ];
  }

  credentials({ isWell }: Overview): HealthIndicatorResult {
    const indicator = this.indicators.check('credentials');
    return isWell ? indicator.up() : indicator.degraded();
  }

  /** Looks whether anything is wrong with any credential. */
  async overview(): Promise<Overview> {
    let isWell = true;
    let hasUsable = false;
    for await (const some of this.each()) {
      isWell &&= some.every(({ state, stored }) => state === 'good' && stored);
      hasUsable ||= some.some(({ state }) => state !== 'unusable');
    }
    return { isWell, hasUsable };
  }

  /** How each credential is, some of them for each turn of the event loop. */
  async *each(): AsyncGenerator<CredentialHealth[], void, undefined> {
    for await (const apps of inTurns(this.service.all)) {
      yield apps.flatMap(([app, { sources }]) => sources.flatMap((source) => this.healthOf(app, source)));
    }
  }

  /** Nothing for a credential that nobody has asked for yet. */
  private healthOf(app: string, source: Source): CredentialHealth[] {
    const { kind } = source;
    const { credential, usable, failure, unsaved, foreignMints } = source.status;
    if (!credential && !failure) return [];
    const now = this.service.clock.now();
    const errcode = refusalIn(failure?.error)?.errcode;
    const health: CredentialHealth = {
      app,
      kind,
      state: !usable ? 'unusable' : failure ? 'failing' : 'good',
      ...(credential && { version: credential.version, seconds_left: secondsLeft(credential, now) }),
      stored: credential !== undefined && !unsaved,
      ...(foreignMints.lastAt !== undefined && {
        foreign_mints: foreignMints.count,
        last_foreign_mint: new Date(foreignMints.lastAt + this.service.clock.drift()).toISOString(),
      }),
      ...(failure && {
        error: {
          ...(errcode !== undefined && { errcode }),
          advice: explain(failure.error),
          ...(failure.by !== undefined && { met_by: failure.by }),
          retry_in: Math.max(0, Math.ceil((failure.retryAt - now) / 1000)),
        },
      }),
    };
    return [health];
  }
}

/** How the keys of the issuer of a client stand. */
function issuerHealthOf(client: string, { keys, failure }: KeySetStatus): IssuerHealth {
  if (!failure) return { client, state: keys > 0 ? 'good' : 'unusable', keys };
  const then = keys > 0 ? 'Those at hand are used on.' : 'Until they are there, the client is refused.';
  const advice = `The keys of its issuer could not be fetched: ${failure.reason}. ${then} See whether jwks, ca and token are right, and whether the hub may reach it; it asks again when a token comes.`;
  return { client, state: keys > 0 ? 'failing' : 'unusable', keys, error: { advice, seconds: failure.seconds } };
}
