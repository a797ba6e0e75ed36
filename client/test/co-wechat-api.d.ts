/** As much of `co-wechat-api`, which has no types of its own, as is used here. */
declare module 'co-wechat-api' {
  export default class WechatAPI {
    constructor(appid: string, appsecret: string);
    prefix: string;
    getFollowers(): Promise<{ readonly total: number }>;
    getJsConfig(param: { readonly url: string }): Promise<{
      readonly timestamp: string;
      readonly nonceStr: string;
      readonly signature: string;
    }>;
    getCardExt(param: { readonly card_id: string }): Promise<{ readonly signature: string }>;
  }
}
