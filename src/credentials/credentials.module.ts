import { Logger, Module } from '@nestjs/common';
import { ConfigService } from '@nestjs/config';
import { ScheduleModule } from '@nestjs/schedule';
import { setTimeout as delay } from 'node:timers/promises';
import { AuthModule } from '../auth/auth.module.js';
import type { Settings } from '../config/environment.js';
import { WechatClient } from '../wechat/wechat.client.js';
import { WechatModule } from '../wechat/wechat.module.js';
import { tellInWords } from './chronicle.js';
import { Clock } from './clock.js';
import { CredentialsController } from './credentials.controller.js';
import { CredentialsService } from './credentials.service.js';
import { RefreshCron } from './refresh.cron.js';
import { Store } from './store/store.js';

/** How credentials are kept good and handed out. Here the plain core meets Nest: its log, its settings, its hooks. */
@Module({
  imports: [AuthModule, ScheduleModule.forRoot(), WechatModule],
  controllers: [CredentialsController],
  providers: [
    RefreshCron,
    {
      provide: CredentialsService,
      inject: [Clock, Store, WechatClient, ConfigService],
      useFactory: (
        clock: Clock,
        store: Store,
        wechat: WechatClient,
        config: ConfigService<Settings, true>,
      ): CredentialsService => {
        const logger = new Logger('Credentials');
        const { burst, everySeconds } = config.get<Settings['rotation']>('rotation');
        return new CredentialsService(
          {
            clock,
            store,
            wechat,
            random: Math.random,
            sleep: (ms, signal) => delay(ms, undefined, signal && { signal }).catch(() => undefined),
            tell: (event) => {
              const { level, text } = tellInWords(event, clock.now());
              logger[level](text);
            },
          },
          { burst, everyMs: everySeconds * 1000 },
        );
      },
    },
  ],
  exports: [CredentialsService],
})
export class CredentialsModule {}
