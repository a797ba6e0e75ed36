import { Module } from '@nestjs/common';
import { ConfigService } from '@nestjs/config';
import { ScheduleModule } from '@nestjs/schedule';
import { AuthModule } from '../auth/auth.module.js';
import type { Settings } from '../config/environment.js';
import { WechatModule } from '../wechat/wechat.module.js';
import { CredentialsController } from './credentials.controller.js';
import { CredentialsService } from './credentials.service.js';
import { EmbeddedStore } from './embedded.store.js';
import { RefreshCron } from './refresh.cron.js';
import { Store } from './store.js';

/** How credentials are kept good and handed out. */
@Module({
  imports: [AuthModule, ScheduleModule.forRoot(), WechatModule],
  controllers: [CredentialsController],
  providers: [
    CredentialsService,
    RefreshCron,
    {
      provide: Store,
      inject: [ConfigService],
      useFactory: (config: ConfigService<Settings, true>): Store =>
        EmbeddedStore.open(config.get('dataDir'), config.get('storeKeys')),
    },
  ],
  exports: [CredentialsService],
})
export class CredentialsModule {}
