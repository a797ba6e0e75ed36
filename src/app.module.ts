import { type DynamicModule, Global, Module } from '@nestjs/common';
import { ConfigModule } from '@nestjs/config';
import { Audit } from './audit/audit.js';
import { AuthModule } from './auth/auth.module.js';
import { KeyRing } from './auth/key-ring.js';
import { Verifier } from './auth/verifier.js';
import { LiveConfiguration } from './config/live-configuration.js';
import { Clock } from './credentials/clock.js';
import { CredentialsModule } from './credentials/credentials.module.js';
import { Journal } from './credentials/journal.js';
import { Store } from './credentials/store/store.js';
import { GatewayModule } from './gateway/gateway.module.js';
import { HealthModule } from './health/health.module.js';
import { ClientBudgets } from './http/client-budgets.js';
import { RefusedLines } from './http/refused-lines.js';
import type { Metrics } from './metrics/metrics.js';
import { MetricsModule } from './metrics/metrics.module.js';
import { OpenapiController } from './openapi/openapi.controller.js';
import type { App } from './wechat/platforms/platform.js';

/** What there is one of in a hub, and what is there before the framework is. */
export interface Foundations {
  readonly configuration: LiveConfiguration<App>;
  readonly clock: Clock;
  readonly store: Store;
  readonly journal: Journal;
  readonly audit: Audit;
  readonly ring: KeyRing;
  readonly verifier: Verifier;
  readonly metrics: Metrics;
}

/** The hub, put together on its foundations. */
@Global()
@Module({})
export class AppModule {
  static of({ configuration, clock, store, journal, audit, ring, verifier, metrics }: Foundations): DynamicModule {
    const { metricsPort, clientRate } = configuration.current.settings;
    const now = (): number => clock.now();
    const tellOfMany = (source: string): void => journal.tell({ event: 'many-refusals', source });
    return {
      module: AppModule,
      imports: [
        // Read and checked already; a `.env` beside the hub, or a variable of the same name, must not get in between.
        ConfigModule.forRoot({
          isGlobal: true,
          ignoreEnvFile: true,
          ignoreEnvVars: true,
          skipProcessEnv: true,
          load: [() => ({ ...configuration.current.settings })],
        }),
        AuthModule,
        CredentialsModule,
        GatewayModule,
        HealthModule,
        MetricsModule.of(metrics, { onHubPort: metricsPort === undefined }),
      ],
      controllers: [OpenapiController],
      providers: [
        { provide: LiveConfiguration, useValue: configuration },
        { provide: Clock, useValue: clock },
        { provide: Store, useValue: store },
        { provide: Journal, useValue: journal },
        { provide: Audit, useValue: audit },
        { provide: KeyRing, useValue: ring },
        { provide: Verifier, useValue: verifier },
        { provide: ClientBudgets, useValue: new ClientBudgets(clientRate, now) },
        { provide: RefusedLines, useValue: new RefusedLines({ now, tell: tellOfMany }) },
      ],
      exports: [LiveConfiguration, Clock, Store, Journal, Audit, KeyRing, Verifier, ClientBudgets, RefusedLines],
    };
  }
}
