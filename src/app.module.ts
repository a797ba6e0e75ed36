import { type DynamicModule, Global, Module } from '@nestjs/common';
import { ConfigModule } from '@nestjs/config';
import { AuthModule } from './auth/auth.module.js';
import { LiveConfiguration } from './config/live-configuration.js';
import { Clock } from './credentials/clock.js';
import { CredentialsModule } from './credentials/credentials.module.js';
import { Store } from './credentials/store/store.js';
import { HealthModule } from './health/health.module.js';
import type { App } from './wechat/platforms/platform.js';

/** The hub, put together around one configuration, one clock and one store. */
@Global()
@Module({})
export class AppModule {
  static of(configuration: LiveConfiguration<App>, clock: Clock, store: Store): DynamicModule {
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
        HealthModule,
      ],
      providers: [
        { provide: LiveConfiguration, useValue: configuration },
        { provide: Clock, useValue: clock },
        { provide: Store, useValue: store },
      ],
      exports: [LiveConfiguration, Clock, Store],
    };
  }
}
