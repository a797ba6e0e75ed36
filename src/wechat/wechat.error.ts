/** The two languages of error codes: api.weixin.qq.com and qyapi.weixin.qq.com give some codes different meanings. */
export type Dialect = 'wechat' | 'wecom';

/**
 * What a refusal calls for. `credential`: the token sent along is dead, get another. `passing`: ask again soon.
 * `quota`: ask again when the allowance is back. `person`: nothing helps until somebody changes something.
 */
export type Remedy = 'credential' | 'passing' | 'quota' | 'person';

interface Meaning {
  readonly remedy: Remedy;
  readonly advice: string;
  /** Seconds for which WeChat is known to refuse whatever is asked. */
  readonly pause?: number;
}

const WHITELIST =
  "Add this hub's egress IP to the account's API IP whitelist; it works within about ten minutes of that.";
const CONFIRM_IP = 'An administrator of the account has to confirm this IP in the message that WeChat sent.';
const FROZEN = 'The account or app is frozen or restricted: look at its notices in the WeChat console.';

const CREDENTIAL: Meaning = { remedy: 'credential', advice: 'The token is not valid any more; the hub replaces it.' };

const COMMON: Readonly<Record<number, Meaning>> = {
  [-1]: { remedy: 'passing', advice: 'WeChat is busy; the hub asks again by itself.' },
  [-1000]: { remedy: 'passing', advice: 'WeChat is busy; the hub asks again by itself.' },
  40002: { remedy: 'person', advice: 'WeChat does not know this grant_type: check WECHAT_API_ROOT and the platform.' },
  40014: CREDENTIAL,
  42001: CREDENTIAL,
  41004: { remedy: 'person', advice: 'WeChat saw no secret: check that the API root leads to WeChat unchanged.' },
  48001: { remedy: 'person', advice: 'The account may not use this API: check its permissions in the WeChat console.' },
  48002: { remedy: 'person', advice: 'This secret may not use the API: check the permissions of the app.' },
  50002: { remedy: 'person', advice: FROZEN },
  50003: { remedy: 'person', advice: FROZEN },
};

const WECHAT: Readonly<Record<number, Meaning>> = {
  ...COMMON,
  40001: CREDENTIAL,
  40013: { remedy: 'person', advice: 'WeChat does not know this appid: check it, upper and lower case included.' },
  40125: { remedy: 'person', advice: 'The AppSecret is wrong: copy it anew from the console, where it may be reset.' },
  40164: { remedy: 'person', advice: WHITELIST },
  40243: { remedy: 'person', advice: 'The AppSecret is frozen: unfreeze it in the console, which takes ten minutes.' },
  41002: { remedy: 'person', advice: 'WeChat saw no appid: check that the API root leads to WeChat unchanged.' },
  43003: { remedy: 'person', advice: 'WeChat wants https: check WECHAT_API_ROOT.' },
  45009: {
    remedy: 'quota',
    advice: "The day's quota of the account is used up; it is back at midnight in China, or after a clear_quota.",
  },
  45011: { remedy: 'passing', advice: 'The quota of this minute is used up; the hub asks again by itself.' },
  45035: { remedy: 'person', advice: WHITELIST },
  48004: { remedy: 'person', advice: 'WeChat has banned this API for the account: look at its notices.' },
  48017: { remedy: 'person', advice: 'WECHAT_API_ROOT leads to a retired address of WeChat: use its host name.' },
  50004: { remedy: 'person', advice: FROZEN },
  50007: { remedy: 'person', advice: FROZEN },
  61004: { remedy: 'person', advice: WHITELIST },
  61024: { remedy: 'person', advice: 'This appid is a third-party platform, not an account: check the platform.' },
  89501: { remedy: 'person', advice: CONFIRM_IP },
  89502: { remedy: 'person', advice: CONFIRM_IP },
  89503: { remedy: 'person', advice: CONFIRM_IP },
  89504: { remedy: 'person', advice: CONFIRM_IP },
  89505: { remedy: 'person', advice: CONFIRM_IP },
  89506: {
    remedy: 'person',
    advice: 'An administrator refused this IP twice; WeChat keeps it out for a day.',
    pause: 86_400,
  },
  89507: {
    remedy: 'person',
    advice: 'An administrator refused this IP; WeChat keeps it out for an hour.',
    pause: 3600,
  },
};

const WECOM: Readonly<Record<number, Meaning>> = {
  ...COMMON,
  40001: {
    remedy: 'person',
    advice:
      'The secret is wrong or was reset, or the app is disabled. Many tries with a wrong secret get the IP banned.',
  },
  40013: { remedy: 'person', advice: 'WeCom does not know this corpid: check it.' },
  40091: { remedy: 'person', advice: 'The secret is wrong: copy it anew from the WeCom console.' },
  45009: { remedy: 'quota', advice: 'WeCom limits how often this is asked; it is allowed again within the hour.' },
  45033: { remedy: 'passing', advice: 'Too many calls at once; the hub asks again by itself.' },
  48004: { remedy: 'person', advice: 'The authorisation of this app is not valid: look at it in the WeCom console.' },
  60020: { remedy: 'person', advice: "Add this hub's egress IP to the app's trusted IPs; it works within a minute." },
  301002: { remedy: 'person', advice: 'The secret belongs to another app of the corp: check corpid and secret.' },
};

const UNKNOWN: Meaning = {
  remedy: 'person',
  advice: "The hub does not know this code: look it up in WeChat's list of return codes.",
};

/** A call whose answer was lost may still reach WeChat this much after it began, and after the next one even. */
export const LATE_ARRIVAL_MS = 15_000;

/**
 * Says that a call to WeChat gave no result. Made of our own fields alone: the errors of the HTTP library carry the
 * address, and so the AppSecret.
 */
export abstract class WechatError extends Error {
  /** What it calls for. */
  abstract readonly remedy: Remedy;
  /** What a person should know or do, in plain words. */
  abstract readonly advice: string;
  /** Whether WeChat may have done what was asked although no answer says so. */
  abstract readonly inDoubt: boolean;
  /** Seconds for which asking again is known to be useless. */
  readonly pause: number | undefined = undefined;
  /** What {@link wechatErrorOf} makes the same error of again, elsewhere or later. */
  abstract readonly note: ErrorNote;
}

/** A {@link WechatError} as it is written down. */
export type ErrorNote =
  | {
      readonly kind: 'refusal';
      readonly dialect: Dialect;
      readonly errcode: number;
      readonly errmsg: string;
      readonly carried: boolean;
    }
  | { readonly kind: 'unreachable'; readonly reason: string; readonly inDoubt: boolean }
  | { readonly kind: 'nonsense'; readonly reason: string };

/** The error that was written down. */
export function wechatErrorOf(note: ErrorNote): WechatError {
  switch (note.kind) {
    case 'refusal':
      return new WechatRefusal(note.dialect, note.errcode, note.errmsg, note.carried);
    case 'unreachable':
      return new WechatUnreachable(note.reason, note.inDoubt);
    case 'nonsense':
      return new WechatNonsense(note.reason);
  }
}

/** WeChat answered with an errcode. Source: `wechat-facts`, and WeChat's list of return codes. */
export class WechatRefusal extends WechatError {
  override readonly remedy: Remedy;
  override readonly advice: string;
  override readonly inDoubt = false;
  override readonly pause: number | undefined;
  /** WeChat's number for this very call, which its console and its support can look up for seven days. */
  readonly rid: string | undefined;
  /** Whether the hub knows what the code means. */
  readonly isKnown: boolean;

  /** @param carried whether the call carried a credential that the code may blame. */
  constructor(
    private readonly dialect: Dialect,
    readonly errcode: number,
    readonly errmsg: string,
    private readonly carried: boolean,
  ) {
    super(`WeChat refused: ${errcode} ${errmsg}`);
    this.name = 'WechatRefusal';
    const known = (dialect === 'wechat' ? WECHAT : WECOM)[errcode];
    const meaning = known ?? UNKNOWN;
    this.isKnown = known !== undefined;
    const wrongSecret = meaning.remedy === 'credential' && !carried;
    this.remedy = wrongSecret ? 'person' : meaning.remedy;
    const ip = /invalid ip ([0-9a-fA-F.:]+)|from ip: ([0-9a-fA-F.:]+)/.exec(errmsg);
    const seen = errcode === 40164 || errcode === 60020 ? (ip?.[1] ?? ip?.[2]) : undefined;
    this.advice = wrongSecret
      ? 'WeChat does not accept the AppSecret: copy it anew from the console, where it may be reset.'
      : seen
        ? `${meaning.advice} WeChat saw the IP ${seen}.`
        : meaning.advice;
    this.pause = meaning.pause;
    this.rid = /\brid: ([0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8})/.exec(errmsg)?.[1];
  }

  override get note(): ErrorNote {
    const { dialect, errcode, errmsg, carried } = this;
    return { kind: 'refusal', dialect, errcode, errmsg, carried };
  }
}

/** No answer of WeChat came: the network, a deadline, or something on the way. */
export class WechatUnreachable extends WechatError {
  override readonly remedy = 'passing';
  override readonly advice =
    'The hub asks again by itself; if it lasts, look at network, DNS and proxy towards WeChat.';

  constructor(
    readonly reason: string,
    override readonly inDoubt: boolean,
  ) {
    super(`WeChat cannot be reached: ${reason}`);
    this.name = 'WechatUnreachable';
  }

  override get note(): ErrorNote {
    return { kind: 'unreachable', reason: this.reason, inDoubt: this.inDoubt };
  }
}

/** Something answered, but not as WeChat answers; nothing of it is kept. */
export class WechatNonsense extends WechatError {
  override readonly remedy = 'passing';
  override readonly advice = 'The hub asks again by itself; if it lasts, something between the hub and WeChat answers.';
  override readonly inDoubt = true;

  constructor(readonly reason: string) {
    super(`The answer is none of WeChat's: ${reason}`);
    this.name = 'WechatNonsense';
  }

  override get note(): ErrorNote {
    return { kind: 'nonsense', reason: this.reason };
  }
}
