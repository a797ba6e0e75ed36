import type { IncomingMessage } from 'node:http';
import type { Dialect } from '../wechat/wechat.error.js';

/** Where an SDK wants to go at WeChat. */
export interface Target {
  /** The API that it believes to speak to, as far as the address says so. */
  readonly dialect: Dialect;
  readonly path: string;
  /** As it came, without the question mark. */
  readonly query: string;
}

/** What the hub itself serves; nothing of WeChat's is called so. */
const OWN_PATH = /^\/(access[-_]token|ticket|apps|health|metrics|openapi\.json|problems)(\/|$)/;
/** WeChat's own, which an SDK may ask for and forget the token. With a token, whatever is not ours is WeChat's. */
const WECHAT_PATH = /^\/(cgi-bin|sns|wxa|card|datacube|customservice)\//;
const WITH_TOKEN = /(^|&)access_token=/;
/** For SDKs whose host is written in their code, by way of the DNS. */
const WECOM_HOST = /^qyapi\.weixin\.qq\.com(:\d+)?$/i;
const WECOM_PREFIX = /^\/wecom(?=\/)/;

/** Reads where a request wants to go, if that is at WeChat. */
export function targetOf({ url = '', headers }: IncomingMessage): Target | undefined {
  const [written = '', ...rest] = url.replace(/^https?:\/\/[^/]*/, '').split('?');
  const whole = withOneSlash(written);
  const isWecom = WECOM_PREFIX.test(whole) || WECOM_HOST.test(headers.host ?? '');
  const path = withOneSlash(whole.replace(WECOM_PREFIX, ''));
  const query = rest.join('?');
  if (OWN_PATH.test(path) || !(WECHAT_PATH.test(path) || WITH_TOKEN.test(query))) return undefined;
  return { dialect: isWecom || WECOM_ENDPOINTS.has(path) ? 'wecom' : 'wechat', path, query };
}

/** SDKs put their own slash behind that of the base URL, and the manual of one of them tells users to. */
function withOneSlash(path: string): string {
  return path.replace(/^\/+/, '/');
}

/** What is WeCom's alone, wherever it is asked for. */
const WECOM_ENDPOINTS = new Set(['/cgi-bin/gettoken', '/cgi-bin/get_jsapi_ticket', '/cgi-bin/ticket/get']);

/** Whether a path is written in the one way that says what it means; nobody else may read another one in it. */
export function isPlain(path: string): boolean {
  return /^(\/[\w~!$&'()*+,;=:@-][\w.~!$&'()*+,;=:@-]*)+\/?$/.test(path);
}

/** How the hub goes about a path of WeChat's. */
export type Handling = 'served' | 'login' | 'of-users' | 'none' | 'passed';

/** What the hub answers itself, at one of its own endpoints. */
const SERVED = new Set([
  ...['/cgi-bin/token', '/cgi-bin/stable_token', '/cgi-bin/ticket/getticket'],
  ...['/cgi-bin/gettoken', '/cgi-bin/get_jsapi_ticket', '/cgi-bin/ticket/get'],
]);
/** Logins of users, made with the AppSecret. */
const LOGINS = new Set(['/sns/oauth2/access_token', '/sns/jscode2session']);
/** What goes on with a user's own token, of which the hub knows nothing. */
const OF_USERS = new Set(['/sns/oauth2/refresh_token', '/sns/userinfo', '/sns/auth']);

/** Tells what the hub does with a path of WeChat's: what is below `/sns/` is about users, and never with the app's token. */
export function handlingOf(path: string): Handling {
  if (SERVED.has(path)) return 'served';
  if (LOGINS.has(path)) return 'login';
  if (OF_USERS.has(path)) return 'of-users';
  return /^\/sns(\/|$)/i.test(path) ? 'none' : 'passed';
}

/**
 * Puts another value in the place of a parameter, and leaves every other byte of the query as it is.
 * @returns nothing if the parameter is not there, or more than once, in whatever way it is written.
 */
export function withParameter(query: string, name: string, value: string): string | undefined {
  const parts = query.split('&');
  const places = parts.flatMap((part, index) => (nameIn(part) === name ? [index] : []));
  const [place] = places;
  if (place === undefined || places.length > 1 || !parts[place]?.startsWith(`${name}=`)) return undefined;
  return parts.with(place, `${name}=${encodeURIComponent(value)}`).join('&');
}

/** Leaves a parameter out, in whatever way it is written, and every other byte of the query as it is. */
export function withoutParameter(query: string, name: string): string {
  return query
    .split('&')
    .filter((part) => nameIn(part) !== name)
    .join('&');
}

function nameIn(part: string): string | undefined {
  return new URLSearchParams(part).keys().next().value;
}
