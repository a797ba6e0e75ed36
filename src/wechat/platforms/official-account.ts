import { z } from 'zod';
import { Secret } from '../../config/secret.js';
import type { Wechat } from '../wechat.client.js';
import { accepted, minted } from './answers.js';
import type { Account, App, Minted, Nature, Platform, Ration, Recipe, Served } from './platform.js';

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
/** Where the account asks for its token. */
type Endpoint = 'classic' | 'stable';

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
  readonly secret: Secret;
  private readonly endpoint: Endpoint;
  private readonly quota: number | undefined;

  constructor(
    readonly platform: string,
    written: { appid: string; secret: Secret; endpoint: Endpoint; quota?: number | undefined },
  ) {
    this.appid = written.appid;
    this.secret = written.secret;
    this.endpoint = written.endpoint;
    this.quota = written.quota;
    // The two endpoints know nothing of each other: each has a token of its own.
    this.identity = ['weixin', written.appid, written.endpoint].join('/');
  }

  get quotas(): Readonly<Record<string, number>> {
    return { [PATH[this.endpoint]]: this.quota ?? QUOTA[this.endpoint] };
  }

  get served(): Served {
    return SERVED[this.endpoint];
  }
}

const classicToken: Recipe = {
  kind: 'access-token',
  nature: CLASSIC,
  async mint({ appid, secret }, { wechat }) {
    const query = { grant_type: 'client_credential', appid, secret };
    return minted(await wechat.call('wechat', { path: PATH.classic, query }), 'access_token');
  },
};

const stableToken: Recipe = {
  kind: 'access-token',
  nature: STABLE,
  async mint(account, { wechat }, { refused, spend }) {
    const answer = await askForStable(account, wechat, false);
    if (answer.value !== refused) return answer;
    await spend(FORCED);
    return askForStable(account, wechat, true);
  },
};

async function askForStable({ appid, secret }: Account, wechat: Wechat, force: boolean): Promise<Minted> {
  const body = { grant_type: 'client_credential', appid, secret, force_refresh: force };
  return minted(await wechat.call('wechat', { path: PATH.stable, body }), 'access_token');
}

/** @param type by which WeChat knows the ticket. */
function ticket(name: string, type = name): Recipe {
  return {
    kind: `ticket/${name}`,
    nature: TICKET,
    mint: (_account, { wechat, accessToken }) =>
      accessToken.use(async (token) => {
        const query = { access_token: new Secret(token), type };
        const call = { path: '/cgi-bin/ticket/getticket', query, carriesCredential: true };
        return minted(await wechat.call('wechat', call), 'ticket');
      }),
  };
}

const besides: Omit<Served, 'accessToken'> = {
  tickets: { jsapi: ticket('jsapi'), wx_card: ticket('wx_card'), sdk: ticket('sdk', '2') },
  isAlive: (token, wechat) => {
    const query = { access_token: new Secret(token) };
    return accepted(wechat.call('wechat', { path: '/cgi-bin/get_api_domain_ip', query, carriesCredential: true }));
  },
};

const SERVED: Readonly<Record<Endpoint, Served>> = {
  classic: { accessToken: classicToken, ...besides },
  stable: { accessToken: stableToken, ...besides },
};
