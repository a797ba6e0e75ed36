import type { WechatHub } from './wechat-hub.js';

/** As much of an instance of `co-wechat-api` as has to do with credentials. */
interface CoWechatApi {
  getToken: () => Promise<CoWechatToken>;
  saveToken: (token: unknown) => Promise<void>;
  getAccessToken: () => Promise<CoWechatToken>;
  registerTicketHandle(
    getTicketToken: (type?: string) => Promise<{ ticket: string; expireTime: number }>,
    saveTicketToken: () => Promise<void>,
  ): void;
}

interface CoWechatToken {
  readonly accessToken: string;
  /** Epoch milliseconds. */
  readonly expireTime: number;
}

/**
 * Feeds an instance of `co-wechat-api` from the hub: its tokens, and its tickets. It repeats a call whose token WeChat
 * refused by itself, with what it would otherwise have minted; here that is reported to the hub instead.
 *
 * @returns the instance. It needs no AppSecret.
 */
export function feedCoWechatApi<Api extends object>(api: Api, hub: WechatHub): Api {
  const fed = api as Api & CoWechatApi;
  const keepNothing = (): Promise<void> => Promise.resolve();
  let lent = '';
  const lend = ({ value, expiresIn }: { value: string; expiresIn: number }): CoWechatToken => {
    lent = value;
    return { accessToken: value, expireTime: Date.now() + expiresIn * 1000 };
  };
  fed.getToken = async () => lend(await hub.accessToken());
  fed.saveToken = keepNothing;
  fed.getAccessToken = async () => lend(await hub.refused(lent));
  fed.registerTicketHandle(async (type = 'jsapi') => {
    const { value, expiresIn } = await hub.ticket(type);
    return { ticket: value, expireTime: Date.now() + expiresIn * 1000 };
  }, keepNothing);
  return fed;
}
