import { HttpModule } from '@nestjs/axios';
import { Module } from '@nestjs/common';
import { WechatClient } from './wechat.client.js';

/** How WeChat speaks: the client for its API, and the platforms, which need no wiring. */
@Module({ imports: [HttpModule], providers: [WechatClient], exports: [WechatClient] })
export class WechatModule {}
