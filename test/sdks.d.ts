/** As much as the tests use of SDKs that come without types. */
declare module 'co-wechat-api' {
  type PageConfig = Readonly<Record<'timestamp' | 'nonceStr' | 'signature', string>>;

  export default class API {
    constructor(appid: string, secret: string);
    prefix: string;
    snsPrefix: string;
    wxaPrefix: string;
    ensureAccessToken(): Promise<{ readonly accessToken: string }>;
    ensureTicket(): Promise<{ readonly ticket: string }>;
    getFollowers(): Promise<{ readonly total: number }>;
    sendText(openid: string, text: string): Promise<object>;
    uploadMedia(file: Buffer, type: string, name: string, mime: string): Promise<{ readonly media_id: string }>;
    getMedia(id: string): Promise<Buffer>;
    getJsConfig(page: { readonly url: string }): Promise<PageConfig>;
    getCardExt(card: { readonly card_id: string }): Promise<{ readonly signature: string }>;
    getWXACodeUnlimit(scene: string): Promise<Buffer>;
    code2Session(code: string): Promise<{ readonly openid: string }>;
  }
}

declare module 'wechat-jssdk/lib/Wechat.js' {
  export default class Wechat {
    constructor(options: object);
    readonly jssdk: {
      getAccessToken(): Promise<{ readonly access_token: string }>;
      getSignature(url: string): Promise<Readonly<Record<'timestamp' | 'nonceStr' | 'signature', string>>>;
    };
    readonly oauth: { getUserInfo(code: string): Promise<object> };
    readonly card: { decryptCardCode(code: string): Promise<object> };
    readonly miniProgram: { getSession(code: string): Promise<object> };
  }
}
