import { HttpModule } from '@nestjs/axios';
import { Module } from '@nestjs/common';
import { WechatClient } from './wechat.client.js';
import { WechatRelay } from './wechat.relay.js';

/** How WeChat speaks: the client for its API, what passes calls on to it, and the platforms, which need no wiring. */
@Module({ imports: [HttpModule], providers: [WechatClient, WechatRelay], exports: [WechatClient, WechatRelay] })
export class WechatModule {}
