import type { PlatformSchema } from '../../config/configuration.js';
import type { Secret } from '../../config/secret.js';
import type { Wechat } from '../wechat.client.js';
import type { Dialect } from '../wechat.error.js';

/** What WeChat hands out: a value, and the seconds it says the value will live. */
export interface Minted {
  readonly value: string;
  readonly expiresIn: number;
}

/** How often something may be done that WeChat counts: `times` within `withinMs`, and `apartMs` between two. */
export interface Ration {
  readonly times: number;
  readonly withinMs: number;
  readonly apartMs: number;
}

/** Why a new value is asked for, and what the asking may use. */
export interface Need {
  /** The value that was refused, when that is why: getting it back would not help. */
  readonly refused?: string;
  /**
   * Takes one from a ration that is remembered over restarts, for a call that ends the value.
   * @throws when the ration does not allow it now.
   */
  readonly spend: (ration: Ration) => Promise<void>;
}

/** Asks WeChat for a value. */
export type Mint = (need: Need) => Promise<Minted>;

/** What asking for a new value does at the platform. */
export interface Nature {
  /**
   * Set where asking for a new value ends the old one, whatever becomes of the answer: for how many milliseconds the
   * old one still works. Where asking also repeats, only what is rationed ends the old one.
   */
  readonly supersedesAfterMs?: number;
  /**
   * Set where asking gives the same value until its end is near: with a full life again each time, whatever is left of
   * it, or with the life that is truly left.
   */
  readonly repeats?: 'full-life' | 'life-left';
}

/** One credential that the hub keeps good, as recipes see it. */
export interface Kept {
  /**
   * Lends the value to some work. If WeChat blames the value, it is replaced and the work is tried once more.
   */
  use<T>(work: (value: string) => Promise<T>): Promise<T>;
}

/** Keeps a credential of this kind, minted so. Kinds are names within one app. */
export type Keep<K extends Kept> = (kind: string, mint: Mint, nature: Nature) => K;

/** What an app serves. Whatever its recipe keeps and does not return stays private. */
export interface Served<K extends Kept> {
  readonly accessToken: K;
  /** The tickets by the `type` that clients ask for. */
  readonly tickets: Readonly<Record<string, K>>;
  /**
   * Asks WeChat, cheaply, whether an access token is alive.
   * @throws WechatError when WeChat's answer leaves that open.
   */
  isAlive(token: string): Promise<boolean>;
}

/** One configured app: who it is at WeChat, and the recipe of its credentials. */
export interface App {
  readonly platform: string;
  /** The id by which WeChat knows it; a corpid for WeCom. */
  readonly appid: string;
  /** What WeChat counts as one holder of tokens. Two apps with the same identity would end each other's tokens. */
  readonly identity: string;
  /** Which of the two APIs is its. */
  readonly dialect: Dialect;
  /** By which it proves to WeChat who it is. It may change: the app is the same with another. */
  readonly secret: Secret;
  /** How many calls a day WeChat allows the account, by the path of its API; those that it does not tell are left out. */
  readonly quotas: Readonly<Record<string, number>>;
  credentials<K extends Kept>(keep: Keep<K>, wechat: Wechat): Served<K>;
}

/** A kind of account at Tencent: how its apps are written in the configuration, and so which credentials they have. */
export type Platform = PlatformSchema<App>;
