import { ok, Refusal, type Inquiry, type Reply } from './answer.js';
import type { Dice } from './dice.js';

/** Somebody who let an account know who they are. */
interface Login {
  readonly appid: string;
  readonly openid: string;
  readonly refreshToken: string;
  /** When the token of this login ages out, in epoch milliseconds. */
  readonly until: number;
}

const life = 7200;
const loginsRemembered = 1000;

/**
 * What `/sns/` gives to people who log in: tokens of theirs, which have nothing to do with those of the account. Any code is a good
 * one, but only once.
 */
export class Logins {
  readonly #dice: Dice;
  readonly #spent = new Set<string>();
  readonly #byToken = new Map<string, Login>();

  constructor(dice: Dice) {
    this.#dice = dice;
  }

  /** Whose login a token stands for. */
  appidOf(token: string): string | undefined {
    return this.#byToken.get(token)?.appid;
  }

  /** A token for a code from a page, once the AppSecret was found right. */
  token(inquiry: Inquiry): Reply | Refusal {
    return this.#spend(inquiry.param('code')) ?? this.#logIn(inquiry.param('appid'), this.#openid(), inquiry.now);
  }

  /** A session for a code from a mini program, once the AppSecret was found right. */
  session(inquiry: Inquiry): Reply | Refusal {
    const session = { session_key: `${this.#dice.urlSafe(22)}==`, openid: this.#openid() };
    return this.#spend(inquiry.param('js_code')) ?? session;
  }

  /** What wants no AppSecret, for it carries a token of who logged in. */
  readonly withoutSecret: Readonly<Record<string, (inquiry: Inquiry) => Reply | Refusal>> = {
    '/sns/oauth2/refresh_token': (inquiry) => {
      const refreshToken = inquiry.param('refresh_token');
      const login = [...this.#byToken.values()].find((known) => known.refreshToken === refreshToken);
      if (login?.appid !== inquiry.param('appid')) return new Refusal(40030);
      return this.#logIn(login.appid, login.openid, inquiry.now, login.refreshToken);
    },

    '/sns/userinfo': (inquiry) =>
      this.#refusal(inquiry) ?? { openid: inquiry.param('openid'), nickname: '模拟读者', sex: 0, privilege: [] },

    '/sns/auth': (inquiry) => this.#refusal(inquiry) ?? ok,
  };

  #spend(code: string): Refusal | undefined {
    if (code === '') return new Refusal(41008);
    if (this.#spent.has(code)) return new Refusal(40163);
    this.#spent.add(code);
    return undefined;
  }

  #logIn(appid: string, openid: string, now: number, refreshToken = this.#token()): Reply {
    const token = this.#token();
    this.#byToken.set(token, { appid, openid, refreshToken, until: now + life * 1000 });
    const [oldest] = this.#byToken.keys();
    if (oldest !== undefined && this.#byToken.size > loginsRemembered) this.#byToken.delete(oldest);
    return { access_token: token, expires_in: life, refresh_token: refreshToken, openid, scope: 'snsapi_userinfo' };
  }

  #refusal(inquiry: Inquiry): Refusal | undefined {
    const token = inquiry.param('access_token');
    if (token === '') return new Refusal(41001);
    const login = this.#byToken.get(token);
    if (!login) return new Refusal(40001);
    if (inquiry.now >= login.until) return new Refusal(42001);
    return login.openid === inquiry.param('openid') ? undefined : new Refusal(40003);
  }

  #openid(): string {
    return `o${this.#dice.urlSafe(27)}`;
  }

  #token(): string {
    return `${this.#dice.between(10, 99)}_${this.#dice.urlSafe(86)}`;
  }
}
