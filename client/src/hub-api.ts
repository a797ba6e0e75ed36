import { fieldsIn, HubError, problemIn } from './hub-error.js';
import type { Jwt } from './shared-key.js';

/** Which credential of the app is meant: its access token, or a ticket. */
export type Kind = { readonly kind: 'access-token' } | { readonly kind: 'ticket'; readonly type: string };

/** A credential as the hub gave it. */
export interface Given {
  readonly value: string;
  /** Larger for every new value. */
  readonly version: number;
  readonly appid: string;
  /** How long it may be held, in seconds from when it was asked for. */
  readonly expiresIn: number;
  /** When there will be a newer one, in seconds from when it was asked for. */
  readonly refreshAfter: number;
}

/** What `wx.config` wants for a page. */
export interface JssdkConfig {
  readonly appId: string;
  /** Epoch seconds. */
  readonly timestamp: number;
  readonly nonceStr: string;
  readonly signature: string;
}

/** The hub gives up on WeChat after 5 s, but lets a report wait for its turn, which may take ten more. */
const DEADLINE_MS = 20_000;

/** The hub's API for one app. It remembers nothing. */
export class HubApi {
  private readonly root: string;

  constructor(
    url: string,
    app: string,
    private readonly jwt: Jwt,
    private readonly fetch: typeof globalThis.fetch,
  ) {
    this.root = `${url.replace(/\/+$/, '')}/apps/${app}`;
  }

  /** A credential; nothing, if the version that is `held` is the newest still. */
  async read(kind: Kind, held?: number): Promise<Given | undefined> {
    const path = kind.kind === 'ticket' ? `ticket?type=${encodeURIComponent(kind.type)}` : 'access-token';
    const answer = await this.ask(path, held === undefined ? {} : { headers: { 'If-None-Match': `"${held}"` } });
    return answer && givenIn(answer, kind);
  }

  /** Says that WeChat refused a token: what to go on with. */
  async report(token: string, errcode?: number): Promise<Given> {
    return givenIn(await this.post('access-token/report', { token, errcode }), { kind: 'access-token' });
  }

  /** Signs a page for the JS-SDK. */
  async signPage(url: string): Promise<JssdkConfig> {
    const { appId, timestamp, nonceStr, signature } = await this.post('jssdk-config', { url });
    if (
      typeof appId === 'string' &&
      typeof timestamp === 'number' &&
      typeof nonceStr === 'string' &&
      typeof signature === 'string'
    ) {
      return { appId, timestamp, nonceStr, signature };
    }
    throw noHub('no signature');
  }

  private async post(path: string, body: object): Promise<Answer> {
    const headers = { 'Content-Type': 'application/json' };
    return (await this.ask(path, { method: 'POST', headers, body: JSON.stringify(body) })) ?? {};
  }

  private async ask(path: string, init: Asking): Promise<Answer | undefined> {
    const authorization = `Bearer ${await this.showJwt()}`;
    try {
      const response = await this.fetch(`${this.root}/${path}`, {
        ...init,
        headers: { Accept: 'application/json', Authorization: authorization, ...init.headers },
        // The hub does not redirect; whoever does shall not be shown the JWT.
        redirect: 'error',
        signal: AbortSignal.timeout(DEADLINE_MS),
      });
      if (response.status === 304) return undefined;
      if (!response.ok) throw await problemIn(response);
      return await fieldsIn(response);
    } catch (error) {
      throw error instanceof HubError
        ? error
        : new HubError(`The hub cannot be reached: ${reasonOf(error)}`, {}, { cause: error });
    }
  }

  private async showJwt(): Promise<string> {
    try {
      return await this.jwt();
    } catch (error) {
      throw new HubError(`There is no JWT to show the hub: ${reasonOf(error)}`, {}, { cause: error });
    }
  }
}

type Answer = Readonly<Record<string, unknown>>;

interface Asking extends RequestInit {
  readonly headers?: Readonly<Record<string, string>>;
}

/** @throws HubError for what is no credential. */
function givenIn(answer: Answer, { kind }: Kind): Given {
  const value = answer[kind === 'ticket' ? 'ticket' : 'access_token'];
  const { version, appid, expires_in: expiresIn, refresh_after: refreshAfter } = answer;
  if (
    typeof value === 'string' &&
    value !== '' &&
    typeof version === 'number' &&
    typeof appid === 'string' &&
    typeof expiresIn === 'number' &&
    typeof refreshAfter === 'number'
  ) {
    return { value, version, appid, expiresIn, refreshAfter };
  }
  throw noHub('no credential');
}

/** A proxy's page, for one, may come with 200. */
function noHub(missing: string): HubError {
  return new HubError(`What answered is no hub: its answer holds ${missing}`, { status: 200 });
}

/** What happened, in a few words; of what `fetch` throws, the cause tells it. Errors may come of another realm. */
function reasonOf(error: unknown): string {
  const { message, cause } = Object(error) as { message?: unknown; cause?: unknown };
  const { code, message: deeper } = Object(cause) as { code?: unknown; message?: unknown };
  const reason = [code, deeper, message].find((one) => typeof one === 'string' && one !== '');
  return String(reason ?? error);
}
