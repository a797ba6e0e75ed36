import { Controller, Get, ServiceUnavailableException } from '@nestjs/common';
import { type HealthCheckResult, HealthCheckService } from '@nestjs/terminus';
import { CredentialsHealth } from './credentials.health.js';

/** What Kubernetes and operators ask: is the process alive, and should it get requests? */
@Controller('health')
export class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly credentials: CredentialsHealth,
  ) {}

  /** Depends on nothing: a hub that turns is not helped by being killed. */
  @Get('live')
  live(): object {
    return { status: 'ok' };
  }

  @Get('ready')
  async ready(): Promise<HealthCheckResult> {
    try {
      return listedOnce(
        await this.health.check([
          () => this.credentials.hub(),
          () => this.credentials.configuration(),
          () => this.credentials.store(),
          () => this.credentials.credentials(),
          ...[...this.credentials.audit(), ...this.credentials.issuers()].map((indicator) => () => indicator),
        ]),
      );
    } catch (error) {
      if (!(error instanceof ServiceUnavailableException)) throw error;
      throw new ServiceUnavailableException(listedOnce(error.getResponse() as HealthCheckResult));
    }
  }
}

/** Terminus says twice what is not down. A list of thousands of credentials is said once: where all the rest is, too. */
function listedOnce(result: HealthCheckResult): HealthCheckResult {
  const { credentials, ...others } = result.info ?? {};
  return { ...result, info: { ...others, ...(credentials && { credentials: { status: credentials.status } }) } };
}
