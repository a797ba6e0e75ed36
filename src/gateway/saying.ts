import type { Dialect } from '../wechat/wechat.error.js';

type Words = readonly [errcode: number, errmsg: string];

/** What WeChat would say, in either of its APIs. SDKs act on the code, and some of them on the words. */
const SAYINGS = {
  noAppid: { wechat: [41002, 'appid missing'], wecom: [41002, 'corpid missing'] },
  unknownAppid: { wechat: [40013, 'invalid appid'], wecom: [40013, 'invalid corpid'] },
  noSecret: { wechat: [41004, 'appsecret missing'], wecom: [41004, 'corpsecret missing'] },
  wrongGrant: { wechat: [40002, 'invalid grant_type'], wecom: [40002, 'invalid grant_type'] },
  wrongSecret: { wechat: [40125, 'invalid appsecret'], wecom: [40001, 'invalid credential'] },
  noToken: { wechat: [41001, 'access_token missing'], wecom: [41001, 'access_token missing'] },
  unknownToken: {
    wechat: [40001, 'invalid credential, access_token is invalid or not latest'],
    wecom: [40014, 'invalid access_token'],
  },
  expiredToken: { wechat: [42001, 'access_token expired'], wecom: [42001, 'access_token expired'] },
  notAllowed: { wechat: [48001, 'api unauthorized'], wecom: [48001, 'api unauthorized'] },
  tooMany: {
    wechat: [45011, 'api minute-quota reach limit, must slower, retry next minute'],
    wecom: [45011, 'api minute-quota reach limit, must slower, retry next minute'],
  },
  budgetSpent: {
    wechat: [45009, 'reach max api daily quota limit'],
    wecom: [45009, 'reach max api daily quota limit'],
  },
  busy: { wechat: [-1, 'system error'], wecom: [-1, 'system busy'] },
  getWanted: { wechat: [43001, 'require GET method'], wecom: [43001, 'require GET method'] },
  postWanted: { wechat: [43002, 'require POST method'], wecom: [43002, 'require POST method'] },
  wrongTicketType: { wechat: [40097, 'invalid args'], wecom: [40097, 'invalid args'] },
  badAddress: { wechat: [40066, 'invalid url'], wecom: [40066, 'invalid url'] },
} as const satisfies Record<string, Readonly<Record<Dialect, Words>>>;

/** One of the things that WeChat says instead of doing what it was asked. */
export type SayingName = keyof typeof SAYINGS;

/** What an SDK is told in WeChat's own words, since it knows no others. The reason is for the log alone. */
export class Saying extends Error {
  readonly errcode: number;
  readonly errmsg: string;

  constructor(
    dialect: Dialect,
    readonly kind: SayingName,
    readonly reason: string = kind,
  ) {
    super(reason);
    this.name = 'Saying';
    [this.errcode, this.errmsg] = SAYINGS[kind][dialect];
  }
}
