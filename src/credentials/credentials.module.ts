import { Module } from '@nestjs/common';
import { ConfigService } from '@nestjs/config';
import { ScheduleModule } from '@nestjs/schedule';
import { hostname } from 'node:os';
import { setImmediate as endOfTurn, setTimeout as delay } from 'node:timers/promises';
import { Audit } from '../audit/audit.js';
import { AuthModule } from '../auth/auth.module.js';
import { Verifier } from '../auth/verifier.js';
import type { Settings } from '../config/environment.js';
import { WechatClient } from '../wechat/wechat.client.js';
import { WechatModule } from '../wechat/wechat.module.js';
import { Clock } from './clock.js';
import { CredentialsController } from './credentials.controller.js';
import { CredentialsService } from './credentials.service.js';
import { HandOuts } from './hand-outs.js';
import { Journal } from './journal.js';
import { RefreshCron } from './refresh.cron.js';
import { Store } from './store/store.js';

/** How credentials are kept good and handed out. Here the plain core meets Nest: its log, its settings, its hooks. */
@Module({
  imports: [AuthModule, ScheduleModule.forRoot(), WechatModule],
  controllers: [CredentialsController],
  providers: [
    RefreshCron,
    {
      provide: HandOuts,
      inject: [CredentialsService, Audit, Verifier],
      useFactory: (credentials: CredentialsService, audit: Audit, verifier: Verifier) =>
        new HandOuts(credentials, audit, verifier),
    },
    {
      provide: CredentialsService,
      inject: [Clock, Store, Journal, WechatClient, ConfigService],
      useFactory: (
        clock: Clock,
        store: Store,
        journal: Journal,
        wechat: WechatClient,
        config: ConfigService<Settings, true>,
      ): CredentialsService => {
        const { burst, everySeconds } = config.get<Settings['rotation']>('rotation');
        return new CredentialsService(
          {
            clock,
            store,
            wechat,
            replica: hostname(),
            random: Math.random,
            sleep: (ms, signal) =>
              ms > 0 ? delay(ms, undefined, signal && { signal }).catch(() => undefined) : endOfTurn(),
            tell: (event) => journal.tell(event),
          },
          { burst, everyMs: everySeconds * 1000 },
        );
      },
    },
  ],
  exports: [CredentialsService],
})
export class CredentialsModule {}
