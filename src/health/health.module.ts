import { Module } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { CredentialsModule } from '../credentials/credentials.module.js';
import { CredentialsHealth } from './credentials.health.js';
import { HealthController } from './health.controller.js';

/** Liveness and readiness. */
@Module({
  imports: [CredentialsModule, TerminusModule.forRoot({ logger: false })],
  controllers: [HealthController],
  providers: [CredentialsHealth],
})
export class HealthModule {}
