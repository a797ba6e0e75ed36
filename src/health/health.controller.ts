import { Controller, Get, Res, ServiceUnavailableException } from '@nestjs/common';
import { type HealthCheckResult, HealthCheckService, type HealthIndicatorResult } from '@nestjs/terminus';
import type { Response } from 'express';
import { MEMBERS, sendLongList } from '../long-list.js';
import { CredentialsHealth } from './credentials.health.js';

/** What Kubernetes and operators ask: is the process alive, and should it get requests? */
@Controller('health')
export class HealthController {
  constructor(
    private readonly checks: HealthCheckService,
    private readonly health: CredentialsHealth,
  ) {}

  /** Depends on nothing: a hub that turns is not helped by being killed. */
  @Get('live')
  live(): object {
    return { status: 'ok' };
  }

  @Get('ready')
  async ready(@Res() response: Response): Promise<void> {
    const overview = await this.health.overview();
    const { status, result } = await this.checked([
      this.health.hub(),
      this.health.configuration(),
      this.health.store(overview),
      this.health.credentials(overview),
      ...this.health.audit(),
      ...this.health.issuers(),
    ]);
    await sendLongList(response, status, withPlaceForList(result), this.health.each());
  }

  private async checked(
    indicators: readonly HealthIndicatorResult[],
  ): Promise<{ readonly status: number; readonly result: HealthCheckResult }> {
    try {
      return { status: 200, result: await this.checks.check(indicators.map((indicator) => () => indicator)) };
    } catch (error) {
      // Terminus reports what is down as an exception; its body is the answer that probes want.
      if (!(error instanceof ServiceUnavailableException)) throw error;
      return { status: error.getStatus(), result: error.getResponse() as HealthCheckResult };
    }
  }
}

/** Terminus says twice what is not down. A list of thousands of credentials is said once: where all the rest is, too. */
function withPlaceForList(result: HealthCheckResult): object {
  const { credentials, ...others } = result.details;
  return { ...result, details: { ...others, credentials: { ...credentials, credentials: MEMBERS } } };
}
