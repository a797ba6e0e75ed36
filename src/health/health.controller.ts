import { Controller, Get } from '@nestjs/common';
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
  ready(): Promise<HealthCheckResult> {
    return this.health.check([
      () => this.credentials.hub(),
      () => this.credentials.configuration(),
      () => this.credentials.store(),
      () => this.credentials.credentials(),
      ...[...this.credentials.audit(), ...this.credentials.issuers()].map((indicator) => () => indicator),
    ]);
  }
}
