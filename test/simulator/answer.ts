import type { Download, Picture } from './media.js';
import { received, type Received } from './received.js';

/** A request as WeChat receives it. Header names are in lower case. */
export interface Request {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly host?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The text of the body, which an upload has not. */
  readonly body?: string;
  /** What the body was, byte for byte; reckoned from the text when left out. */
  readonly received?: Received;
  /** The caller's address as whitelists see it; 127.0.0.1 when left out. */
  readonly ip?: string;
  /** Whether it came over https; false when left out. */
  readonly secure?: boolean;
  /** Which of the two services it was surely meant for; left out, host, path and token decide. */
  readonly service?: Service;
}

/** The two services that share this world. */
export type Service = 'wechat' | 'wecom';

/**
 * How the bytes of an answer travel, where that is not simply at once. `executed` tells whether the request had taken effect.
 * A user of the model without HTTP has to act this out.
 */
export type Transport =
  | { readonly kind: 'reset' | 'hang'; readonly executed: boolean }
  | { readonly kind: 'slow'; readonly milliseconds: number }
  /** One byte at a time, with such a pause before each. */
  | { readonly kind: 'drip'; readonly milliseconds: number }
  /** The connection is dropped when so many bytes of the body have been sent. */
  | { readonly kind: 'cut'; readonly bytes: number };

/** What the caller gets. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** What is sent in place of the body, as it is made. */
  readonly picture?: Picture;
  /** The errcode that the body carries, 0 for a success, `null` where the body is not WeChat's JSON. */
  readonly errcode: number | null;
  readonly transport?: Transport;
}

/** A request taken apart, with what handlers ask of it. */
export class Inquiry {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly host: string;
  readonly ip: string;
  readonly secure: boolean;
  readonly service: Service | undefined;
  #json: Readonly<Record<string, unknown>> | undefined;

  constructor(
    readonly request: Request,
    readonly now: number,
  ) {
    const question = request.target.indexOf('?');
    this.path = question < 0 ? request.target : request.target.slice(0, question);
    this.query = new URLSearchParams(question < 0 ? '' : request.target.slice(question + 1));
    this.method = request.method.toUpperCase();
    this.headers = request.headers ?? {};
    this.body = request.body ?? '';
    this.host = (request.host ?? '').replace(/:\d+$/, '').toLowerCase();
    this.ip = (request.ip ?? '127.0.0.1').replace(/^::ffff:/i, '');
    this.secure = request.secure ?? false;
    this.service = request.service;
  }

  /** The fields of the JSON body; a body that is no JSON object has none. */
  get json(): Readonly<Record<string, unknown>> {
    this.#json ??= parseObject(this.body);
    return this.#json;
  }

  /** What the body was. */
  get received(): Received {
    return this.request.received ?? received(this.body);
  }

  /** A text parameter of the query, empty where it is missing. */
  param(name: string): string {
    return this.query.get(name) ?? '';
  }

  /** A text field of the JSON body, empty where it is missing or no text. */
  field(name: string): string {
    const value = this.json[name];
    return typeof value === 'string' ? value : '';
  }

  /** The target as it may be shown and logged. */
  get redacted(): string {
    return this.request.target.replace(/((?:access_token|secret)=)[^&#]*/g, '$1***');
  }
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  // Every GET comes by here, and throwing is dear.
  if (text === '') return {};
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};
  } catch {
    return {};
  }
}

/** A success: the fields of the reply, in the order in which they are sent. */
export type Reply = Readonly<Record<string, unknown>>;

/** The fields of a success that has nothing else to tell, or that tells it where others do not. */
export const ok = { errcode: 0, errmsg: 'ok' } as const;

/** Why a request is refused; without words of its own the service finds the usual ones. */
export class Refusal {
  constructor(
    readonly errcode: number,
    readonly errmsg?: string,
  ) {}
}

/** What errcodes are called, by the official accounts' hosts where the two services differ. */
export const errorTexts: Readonly<Record<number, string>> = {
  [-1]: 'system error',
  40001:
    'invalid credential, access_token is invalid or not latest, could get access_token by getStableAccessToken, ' +
    'more details at https://mmbizurl.cn/s/JtxxFh33r',
  40002: 'invalid grant_type',
  40003: 'invalid openid',
  40007: 'invalid media_id',
  40013: 'invalid appid',
  40014: 'invalid access_token',
  40030: 'invalid refresh_token',
  40097: 'invalid args',
  40125: 'invalid appsecret',
  40163: 'code been used',
  40243: 'appsecret is frozen',
  41001: 'access_token missing',
  41002: 'appid missing',
  41004: 'appsecret missing',
  41005: 'media data missing',
  41008: 'missing code',
  42001: 'access_token expired',
  43001: 'require GET method',
  43002: 'require POST method',
  43003: 'require https',
  44002: 'empty post data',
  45009: 'reach max api daily quota limit',
  45011: 'api minute-quota reach limit, must slower, retry next minute',
  47001: 'data format error',
  48002: 'api forbidden',
  48006: 'forbid to clear quota because of reaching the limit',
  50003: 'app is disabled',
  50004: 'forbid to use token api',
  50007: 'account is frozen',
  60020: 'not allow to access from your ip',
  60111: 'userid not found',
  76001: 'rid not found',
  76002: 'rid is invalid',
  76003: 'rid belongs to another account',
  76004: 'rid is expired',
  76021: 'cgi_path not found, please check',
  76022: 'no permission to query this cgi_path',
  89503: 'this ip needs to be confirmed by the administrator, please wait',
  89506: 'the administrator refused this ip twice, retry after 24 hours',
  89507: 'the administrator refused this ip, retry after 1 hour',
  301002: 'not allow operate another agent with this accesstoken',
};

/** An answer with a JSON body as the official-account and mini-program hosts send it. */
export function wechatAnswer(reply: Reply, errcode: number): Answer {
  return {
    status: 200,
    headers: { 'content-type': 'application/json; encoding=utf-8' },
    body: JSON.stringify(reply),
    errcode,
  };
}

/** An answer with a JSON body as WeCom sends it: the headers repeat the result. */
export function wecomAnswer(reply: Reply, errcode: number, errmsg: string): Answer {
  return {
    status: 200,
    headers: {
      'content-type': 'application/json; charset=UTF-8',
      'error-code': `${errcode}`,
      // Text from a fault may hold what a header cannot.
      'error-msg': errmsg.replace(/[^ -~]/g, '?'),
      'x-w-no': '6',
    },
    body: JSON.stringify(reply),
    errcode,
  };
}

/** A file, as both services send it. */
export function downloadAnswer({ picture, filename }: Download): Answer {
  const headers = { 'content-type': 'image/png', 'content-disposition': `attachment; filename="${filename}"` };
  return { status: 200, headers, body: '', picture, errcode: 0 };
}

/** An answer of the HTTP layer in front of WeChat, without WeChat's JSON. */
export function bareAnswer(status: number, body = '', headers: Readonly<Record<string, string>> = {}): Answer {
  return { status, headers, body, errcode: null };
}
