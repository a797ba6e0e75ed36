import { HttpService } from '@nestjs/axios';
import { Injectable } from '@nestjs/common';
import { ConfigService } from '@nestjs/config';
import { type AxiosRequestConfig, isAxiosError } from 'axios';
import type { Settings, Upstream } from '../config/environment.js';
import { Secret } from '../config/secret.js';
import { Pace } from '../turns.js';
import { PromptAgent } from './prompt-agent.js';
import { type Dialect, WechatNonsense, WechatRefusal, WechatUnreachable } from './wechat.error.js';

/** One deadline for the whole exchange: names, connection, TLS, request, answer. */
export const CALL_DEADLINE_MS = 5000;
const MAX_ANSWER_BYTES = 64 * 1024;
/** To begin a call takes half a millisecond, and when very many credentials are due at once, clients want to come in between. */
const CALLS_A_TURN = 4;
/** The answer as it is: left to itself, axios would ask for it compressed, and here nobody would unpack it. */
const HEADERS = { 'Accept-Encoding': 'identity' };

/** The parameters of a call; a {@link Secret} among them is kept out of whatever is told about the call. */
export type Parameters = Readonly<Record<string, string | boolean | Secret>>;

/** An answer of WeChat with errcode 0 or none. */
export type WechatAnswer = Readonly<Record<string, unknown>>;

/** One call to WeChat, as a recipe states it. */
export interface WechatCall {
  readonly path: string;
  readonly query?: Parameters;
  /** Sent as JSON by POST; without it the call is a GET. */
  readonly body?: Parameters;
  /** Whether a credential travels along that WeChat may blame. */
  readonly carriesCredential?: boolean;
}

/** How recipes reach WeChat. */
export type Wechat = Pick<WechatClient, 'call'>;

/** Speaks to WeChat and WeCom: bounded in time and size, and silent about secrets. */
@Injectable()
export class WechatClient {
  private readonly upstreams: Readonly<Record<Dialect, Upstream>>;
  private readonly pace = new Pace(CALLS_A_TURN);

  constructor(
    private readonly http: HttpService,
    config: ConfigService<Settings, true>,
  ) {
    this.upstreams = { wechat: config.get('wechat'), wecom: config.get('wecom') };
  }

  /**
   * Makes one call; never tries again, because only the caller knows what a second call costs.
   * @throws WechatRefusal when WeChat answers with an errcode, WechatUnreachable when no answer comes within 5 s,
   *   WechatNonsense when the answer is not a JSON object of at most 64 KiB.
   */
  async call(dialect: Dialect, call: WechatCall): Promise<WechatAnswer> {
    const { root, proxy } = this.upstreams[dialect];
    const url = new URL(root);
    url.pathname = root.pathname.replace(/\/+$/, '') + call.path;
    for (const [name, value] of Object.entries(revealed(call.query))) url.searchParams.set(name, String(value));
    const request: AxiosRequestConfig = {
      url: url.href,
      ...(call.body
        ? {
            method: 'POST',
            // Bytes, so that a Content-Length goes along: WeChat answers 412 to a body in chunks.
            data: Buffer.from(JSON.stringify(revealed(call.body))),
            headers: { ...HEADERS, 'Content-Type': 'application/json' },
          }
        : { method: 'GET', headers: HEADERS }),
    };
    const agent = new PromptAgent(performance.now() + CALL_DEADLINE_MS, root.protocol, proxy);
    return readAnswer(await this.exchange(request, agent), dialect, call);
  }

  private async exchange(request: AxiosRequestConfig, agent: PromptAgent): Promise<string> {
    // Not AbortSignal.timeout(), which would hold on to every call for its full five seconds.
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(), CALL_DEADLINE_MS);
    try {
      // The time that this takes counts: whoever granted the call goes by when it was asked for.
      await this.pace.begin();
      const response = await this.http.axiosRef.request<string>({
        ...request,
        httpAgent: agent,
        httpsAgent: agent,
        signal: deadline.signal,
        proxy: false,
        maxRedirects: 0,
        maxContentLength: MAX_ANSWER_BYTES,
        decompress: false,
        responseType: 'text',
        transformResponse: (text: string) => text,
        validateStatus: () => true,
      });
      if (response.status !== 200) throw new WechatNonsense(`HTTP status ${response.status}`);
      return response.data;
    } catch (error) {
      if (error instanceof WechatNonsense) throw error;
      if (deadline.signal.aborted) {
        throw new WechatUnreachable(`no answer within ${CALL_DEADLINE_MS / 1000} s`, agent.sent);
      }
      const code = isAxiosError(error) ? error.code : (error as NodeJS.ErrnoException).code;
      if (code === 'ERR_BAD_RESPONSE') throw new WechatNonsense('it is larger than 64 KiB or cut short');
      throw new WechatUnreachable(code ?? 'unknown error', agent.sent);
    } finally {
      clearTimeout(timer);
    }
  }
}

function revealed(parameters: Parameters = {}): Record<string, string | boolean> {
  return Object.fromEntries(
    Object.entries(parameters).map(([name, value]) => [name, value instanceof Secret ? value.reveal() : value]),
  );
}

/**
 * Reads what WeChat answered to a call.
 * @throws WechatRefusal for an errcode other than 0, WechatNonsense when the text is no JSON object.
 */
export function readAnswer(text: string, dialect: Dialect, call: WechatCall): WechatAnswer {
  const answer = parseAnswer(text);
  const errcode = errcodeOf(answer);
  if (errcode === 0) return answer;
  const { query = {}, body = {}, carriesCredential = false } = call;
  const sent = [...Object.values(query), ...Object.values(body)].filter((value) => value instanceof Secret);
  throw new WechatRefusal(dialect, errcode, readable(answer['errmsg'], sent), carriesCredential);
}

/** The errcode of an answer that refuses, whatever else is in it; nothing if it does not, or is none of WeChat's. */
export function errcodeIn(text: string): number | undefined {
  try {
    const answer = parseAnswer(text);
    // Of devices it is told one level deeper.
    const { base_resp: deeper } = answer;
    const told = typeof deeper === 'object' && deeper !== null && !('errcode' in answer) ? deeper : answer;
    return errcodeOf(told as WechatAnswer) || undefined;
  } catch {
    return undefined;
  }
}

function errcodeOf(answer: WechatAnswer): number {
  const written = 'errcode' in answer ? answer['errcode'] : 0;
  if (written === 0) return 0;
  const errcode = Number(written);
  // In quotes it is none of WeChat's, but what it says is plain; unless it says that all is well.
  if (!/^-?\d+$/.test(String(written)) || errcode === 0) throw new WechatNonsense('its errcode is not a number');
  return errcode;
}

function parseAnswer(text: string): WechatAnswer {
  let answer: unknown;
  try {
    // WeChat lets raw control characters into its strings; as white space they do no harm.
    answer = JSON.parse(text.replace(/[\p{Cc}\ufeff]/gu, ' '));
  } catch {
    throw new WechatNonsense('it is not JSON');
  }
  if (typeof answer !== 'object' || answer === null || Array.isArray(answer)) {
    throw new WechatNonsense('it is not a JSON object');
  }
  return answer as WechatAnswer;
}

/** WeChat's own text, short, printable, and without the secrets that were sent, should something echo them. */
function readable(errmsg: unknown, sent: readonly Secret[]): string {
  let text = typeof errmsg === 'string' ? errmsg : '';
  for (const secret of sent) {
    const value = secret.reveal();
    // As it is, as others encode it in addresses, and as it stood in ours.
    const forms = [value, encodeURIComponent(value), new URLSearchParams({ '': value }).toString().slice(1)];
    for (const form of forms) text = text.replaceAll(form, '[secret]');
  }
  // What holds but a part of one, or one in another form, is not told at all.
  if (sent.some((secret) => isQuoted(secret.reveal(), text))) return '[secret]';
  return text.replace(/[^\x20-\x7e\p{L}\p{P}]/gu, ' ').slice(0, 300);
}

/** So many characters in a row are no chance, and save whoever wants the rest a good deal of work. */
const TELLING_LENGTH = 12;

/** Whether a text has a telling part of a secret in it: as it is, in hexadecimal, or in base64, wherever that began. */
function isQuoted(secret: string, text: string): boolean {
  // Either alphabet of base64, and hexadecimal in either case.
  const folded = (written: string): string => written.toLowerCase().replaceAll('-', '+').replaceAll('_', '/');
  const encoded = [0, 1, 2].map((before) =>
    Buffer.from(' '.repeat(before) + secret)
      .toString('base64')
      .slice(before && before + 1, -4),
  );
  const said = folded(text);
  return [secret, Buffer.from(secret).toString('hex'), ...encoded].map(folded).some((form) => {
    for (let start = 0; start + TELLING_LENGTH <= form.length; start += 1) {
      if (said.includes(form.slice(start, start + TELLING_LENGTH))) return true;
    }
    return false;
  });
}
