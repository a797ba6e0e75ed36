import { createHash } from 'node:crypto';
import { z } from 'zod';
import { Secret } from '../../config/secret.js';
import type { Wechat, WechatAnswer } from '../wechat.client.js';
import { accepted, minted } from './answers.js';
import type { App, Nature, Platform, Recipe, Served } from './platform.js';

/**
 * The platform of 企业微信 apps: one token per app of a corp, which stays the same however often it is asked for, so
 * nothing is superseded and nothing can be forced.
 */
export const wecom: Platform = {
  name: 'wecom',
  schema: (secret) =>
    z
      .strictObject({
        corpid: z.string().regex(/^[\w@.-]{1,64}$/, 'must be a corpid'),
        agentid: z.union([z.string().regex(/^\d{1,20}$/, 'must be a number'), z.int().positive()]).optional(),
        secret,
      })
      .transform((written) => new WecomApp(written.corpid, written.secret, written.agentid)),
};

class WecomApp implements App {
  readonly platform = 'wecom';
  readonly dialect = 'wecom';
  readonly identity: string;

  constructor(
    readonly appid: string,
    readonly secret: Secret,
    agentid?: string | number,
  ) {
    // WeCom tells the apps of a corp apart by their secrets. Where the agentid says which app it is, a new secret is
    // still the same app.
    const app = agentid ?? createHash('sha256').update(`${appid}\0${secret.reveal()}`).digest('hex').slice(0, 16);
    this.identity = ['wecom', appid, app].join('/');
  }

  /** WeCom tells none. */
  get quotas(): Readonly<Record<string, number>> {
    return {};
  }

  get served(): Served {
    return SERVED;
  }
}

const NATURE: Nature = { repeats: 'full-life' };

const token: Recipe = {
  kind: 'access-token',
  nature: NATURE,
  async mint({ appid, secret }, { wechat }) {
    const query = { corpid: appid, corpsecret: secret };
    return minted(await wechat.call('wecom', { path: '/cgi-bin/gettoken', query }), 'access_token');
  },
};

function ticket(name: string, path: string, more = {}): Recipe {
  return {
    kind: `ticket/${name}`,
    nature: NATURE,
    mint: (_account, { wechat, accessToken }) =>
      accessToken.use(async (token) => minted(await withToken(wechat, token, path, more), 'ticket')),
  };
}

function withToken(wechat: Wechat, token: string, path: string, more = {}): Promise<WechatAnswer> {
  return wechat.call('wecom', { path, query: { access_token: new Secret(token), ...more }, carriesCredential: true });
}

const SERVED: Served = {
  accessToken: token,
  tickets: {
    jsapi: ticket('jsapi', '/cgi-bin/get_jsapi_ticket'),
    agent_config: ticket('agent_config', '/cgi-bin/ticket/get', { type: 'agent_config' }),
  },
  isAlive: (token, wechat) => accepted(withToken(wechat, token, '/cgi-bin/get_api_domain_ip')),
};
