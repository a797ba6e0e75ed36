import type { WechatHub } from './wechat-hub.js';

/** As much of an application of `node-easywechat` as has to do with credentials. */
export interface EasywechatApplication {
  setAccessToken(accessToken: { getToken(): Promise<string>; toQuery(): Promise<Record<string, string>> }): unknown;
  /** Not every kind of application has tickets. */
  getTicket?(): { getTicket: () => Promise<string> };
}

/**
 * Feeds an application of `node-easywechat` from the hub: its access token, and the ticket that it signs pages with. Calls
 * that shall be repeated when WeChat refuses the token are made within `hub.withToken`.
 *
 * @returns the application. Where it insists on a `secret`, any text will do.
 */
export function feedEasywechat<Application extends EasywechatApplication>(
  app: Application,
  hub: WechatHub,
): Application {
  const getToken = async (): Promise<string> => (await hub.accessToken()).value;
  app.setAccessToken({ getToken, toQuery: async () => ({ access_token: await getToken() }) });
  const ticket = app.getTicket?.();
  if (ticket) ticket.getTicket = async () => (await hub.ticket('jsapi')).value;
  return app;
}
