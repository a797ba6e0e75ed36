import { z } from 'zod';
import { Secret } from '../../config/secret.js';
import type { Wechat } from '../wechat.client.js';
import { accepted, minted } from './answers.js';
import type { App, Keep, Kept, Mint, Nature, Platform, Ration, Served } from './platform.js';

/** The platform of 公众号 and 服务号, whose API is api.weixin.qq.com. */
export const officialAccount = weixinPlatform('official-account');

/** WeChat keeps the token before alive for about five minutes after it has given out a new one. */
const OVERLAP_MS = 300_000;

const CLASSIC: Nature = { supersedesAfterMs: OVERLAP_MS };
const STABLE: Nature = { supersedesAfterMs: OVERLAP_MS, repeats: 'life-left' };
const TICKET: Nature = { repeats: 'full-life' };

/** WeChat forbids more than 20 forced refreshes a day, and two within 30 s; one and a bit are left to people. */
const FORCED: Ration = { times: 18, withinMs: 86_400_000, apartMs: 31_000 };

/** Calls a day to the two token endpoints, if the account is like most. Source: `wechat-facts`, §1.4 and §2.3. */
const QUOTA = { classic: 2000, stable: 500_000 };
const PATH = { classic: '/cgi-bin/token', stable: '/cgi-bin/stable_token' };

/** A platform on api.weixin.qq.com: official accounts and mini programs have the same credentials. */
export function weixinPlatform(name: string): Platform {
  return {
    name,
    schema: (secret) =>
      z
        .strictObject({
          appid: z.string().regex(/^[\w@.-]{1,64}$/, 'must be an appid'),
          secret,
          endpoint: z.enum(['classic', 'stable'], 'must be classic or stable').default('classic'),
          quota: z.int('must be a whole number').positive('must be more than 0').optional(),
        })
        .transform((written) => new WeixinApp(name, written)),
  };
}

class WeixinApp implements App {
  readonly dialect = 'wechat';
  readonly appid: string;
  readonly identity: string;
  readonly quotas: Readonly<Record<string, number>>;
  readonly secret: Secret;
  private readonly endpoint: 'classic' | 'stable';

  constructor(
    readonly platform: string,
    written: { appid: string; secret: Secret; endpoint: 'classic' | 'stable'; quota?: number | undefined },
  ) {
    this.appid = written.appid;
    this.secret = written.secret;
    this.endpoint = written.endpoint;
    this.quotas = { [PATH[this.endpoint]]: written.quota ?? QUOTA[this.endpoint] };
    // The two endpoints know nothing of each other: each has a token of its own.
    this.identity = `weixin/${written.appid}/${written.endpoint}`;
  }

  credentials<K extends Kept>(keep: Keep<K>, wechat: Wechat): Served<K> {
    const accessToken =
      this.endpoint === 'classic'
        ? keep('access-token', this.classicToken(wechat), CLASSIC)
        : keep('access-token', this.stableToken(wechat), STABLE);
    const ticket = (name: string, type: string): K => {
      const mint: Mint = () =>
        accessToken.use(async (token) => {
          const query = { access_token: new Secret(token), type };
          const call = { path: '/cgi-bin/ticket/getticket', query, carriesCredential: true };
          return minted(await wechat.call('wechat', call), 'ticket');
        });
      return keep(`ticket/${name}`, mint, TICKET);
    };
    return {
      accessToken,
      tickets: { jsapi: ticket('jsapi', 'jsapi'), wx_card: ticket('wx_card', 'wx_card'), sdk: ticket('sdk', '2') },
      isAlive: (token) => {
        const query = { access_token: new Secret(token) };
        return accepted(wechat.call('wechat', { path: '/cgi-bin/get_api_domain_ip', query, carriesCredential: true }));
      },
    };
  }

  private classicToken(wechat: Wechat): Mint {
    const query = { grant_type: 'client_credential', appid: this.appid, secret: this.secret };
    return async () => minted(await wechat.call('wechat', { path: PATH.classic, query }), 'access_token');
  }

  private stableToken(wechat: Wechat): Mint {
    const ask = async (force: boolean) => {
      const body = {
        grant_type: 'client_credential',
        appid: this.appid,
        secret: this.secret,
        force_refresh: force,
      };
      return minted(await wechat.call('wechat', { path: PATH.stable, body }), 'access_token');
    };
    return async ({ refused, spend }) => {
      const answer = await ask(false);
      if (answer.value !== refused) return answer;
      await spend(FORCED);
      return ask(true);
    };
  }
}
