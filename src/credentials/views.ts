import { z } from 'zod';
import type { JssdkConfig } from './hosted-app.js';
import { accessToken, ticket } from './parameters.js';

const appid = z.string().meta({
  description: 'The appid of the account, for WeCom its corpid.',
  examples: ['wx0123456789abcdef'],
});

const subject = {
  app: z.string().meta({ description: 'The name of the app in the hub.', examples: ['shop'] }),
  appid,
};

const life = {
  version: z
    .int()
    .positive()
    .meta({ description: 'Larger for every new value, and never falls. The `ETag`, too.', examples: [1795413123] }),
  expires_in: z
    .int()
    .nonnegative()
    .meta({
      description:
        'Whoever holds the value for so many seconds from receiving it, and no longer, never holds a dead one, unless somebody rotates it.',
      examples: [5123],
    }),
  expires_at: z.iso.datetime().meta({ description: 'The same as a time.', examples: ['2026-11-22T09:12:03Z'] }),
  refresh_after: z
    .int()
    .nonnegative()
    .meta({ description: 'In how many seconds there will be a newer one.', examples: [4823] }),
};

/** An access token as clients get it, in JSON. */
export const tokenView = z
  .object({ ...subject, kind: z.literal('access-token'), access_token: accessToken, ...life })
  .meta({ id: 'AccessToken' });

/** A ticket as clients get it, in JSON. */
export const ticketView = z
  .object({
    ...subject,
    kind: z.literal('ticket'),
    type: z.string().meta({ description: 'The ticket type.', examples: ['jsapi'] }),
    ticket,
    ...life,
  })
  .meta({ id: 'Ticket' });

/** A credential as clients get it, in JSON. */
export type CredentialView = Readonly<z.infer<typeof tokenView> | z.infer<typeof ticketView>>;

/** What became of a report, and what to go on with. */
export const reportView = z
  .object({
    verdict: z.enum(['superseded', 'alive', 'replaced']).meta({
      description:
        '`superseded`: there was a newer one already. `alive`: WeChat, asked by the hub, accepts it; the refusal had another reason. `replaced`: it was dead.',
    }),
    ...tokenView.shape,
  })
  .meta({ id: 'ReportOutcome' });

/** What `wx.config` wants for a page. */
export const jssdkConfigView: z.ZodType<JssdkConfig> = z
  .object({
    appId: appid,
    timestamp: z
      .int()
      .positive()
      .meta({ description: 'Seconds since 1970.', examples: [1795413123] }),
    nonceStr: z.string().meta({ examples: ['5f3a9c0e1b7d2468'] }),
    signature: z
      .string()
      .regex(/^[0-9a-f]{40}$/)
      .meta({ description: 'SHA-1, in hexadecimal.', examples: ['0'.repeat(40)] }),
  })
  .meta({ id: 'JssdkConfig', description: 'Ready for `wx.config`.' });

const appView = z
  .object({
    name: subject.app,
    platform: z.string().meta({ examples: ['official-account'] }),
    appid,
    kinds: z.array(z.string()).meta({ examples: [['access-token', 'ticket']] }),
    ticket_types: z.array(z.string()).meta({ examples: [['jsapi', 'wx_card', 'sdk']] }),
  })
  .meta({ id: 'App' });

/** An app that a client sees, and what it serves. */
export type AppView = z.infer<typeof appView>;

/** The apps that a client sees. */
export const appsView = z.object({ apps: z.array(appView) }).meta({ id: 'Apps' });
