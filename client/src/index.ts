export { feedCoWechatApi } from './co-wechat-api.js';
export { type EasywechatApplication, feedEasywechat } from './easywechat.js';
export type { JssdkConfig } from './hub-api.js';
export { HubError } from './hub-error.js';
export { type Jwt, sharedKey } from './shared-key.js';
export { type Credential, type HubOptions, WechatHub } from './wechat-hub.js';
