import { Module, type NestModule } from '@nestjs/common';
import { ConfigService } from '@nestjs/config';
import { HttpAdapterHost } from '@nestjs/core';
import type { NextFunction, Response } from 'express';
import { Audit } from '../audit/audit.js';
import { AuthModule } from '../auth/auth.module.js';
import type { ClientRequest } from '../auth/client.guard.js';
import { IssuedSecrets } from '../auth/issued-secrets.js';
import type { Settings } from '../config/environment.js';
import { LiveConfiguration } from '../config/live-configuration.js';
import { CredentialsModule } from '../credentials/credentials.module.js';
import { CredentialsService } from '../credentials/credentials.service.js';
import type { HubAdapter } from '../http/hub.adapter.js';
import type { App } from '../wechat/platforms/platform.js';
import { WechatModule } from '../wechat/wechat.module.js';
import { WechatRelay } from '../wechat/wechat.relay.js';
import { Callers } from './callers.js';
import { DialectFilter } from './dialect.filter.js';
import { Gateway } from './gateway.js';
import { GatewayController } from './gateway.controller.js';
import { GatewayMiddleware } from './gateway.middleware.js';
import { Passersby } from './passersby.js';
import { TokenController } from './token.controller.js';
import { VirtualTokens } from './virtual-tokens.js';

/** The hub in WeChat's place: SDKs come here by their base URL, and programs without a token of WeChat's. */
@Module({
  imports: [AuthModule, CredentialsModule, WechatModule],
  controllers: [TokenController, GatewayController],
  providers: [
    DialectFilter,
    GatewayMiddleware,
    {
      provide: Passersby,
      inject: [CredentialsService],
      useFactory: ({ clock }: CredentialsService): Passersby => new Passersby(() => clock.now()),
    },
    {
      provide: Callers,
      inject: [CredentialsService, LiveConfiguration],
      useFactory: (credentials: CredentialsService, configuration: LiveConfiguration<App>): Callers => {
        const secrets = new IssuedSecrets(configuration);
        const { clock } = credentials;
        const virtualTokens = new VirtualTokens({
          secrets,
          appSecret: (app) => credentials.app(app)?.secret,
          now: () => clock.now() + clock.drift(),
        });
        return new Callers(credentials, secrets, virtualTokens);
      },
    },
    {
      provide: Gateway,
      inject: [WechatRelay, Audit, CredentialsService, ConfigService],
      useFactory: (
        relay: WechatRelay,
        audit: Audit,
        { clock }: CredentialsService,
        config: ConfigService<Settings, true>,
      ): Gateway => new Gateway({ relay, audit, replayLimit: config.get('replayLimit'), now: () => clock.now() }),
    },
  ],
})
export class GatewayModule implements NestModule {
  constructor(
    private readonly host: HttpAdapterHost<HubAdapter>,
    private readonly middleware: GatewayMiddleware,
  ) {}

  /** Not by Nest's own consumer: Express would show it a part of the address, and take back what it makes of it. */
  configure(): void {
    this.host.httpAdapter.answerFlawed((request, response, kind) =>
      this.middleware.refuseFlawed(request, response, kind),
    );
    this.host.httpAdapter.use((request: ClientRequest, response: Response, next: NextFunction) => {
      this.middleware.use(request, response, next);
    });
  }
}
