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

/** Who an app is at WeChat. */
export interface Account {
  /** The id by which WeChat knows it; a corpid for WeCom. */
  readonly appid: string;
  /** By which it proves to WeChat who it is. It may change: the app is the same with another. */
  readonly secret: Secret;
}

/** What a recipe works with. */
export interface Means {
  readonly wechat: Wechat;
  /** The access token of the app, which is lent. */
  readonly accessToken: Kept;
}

/**
 * How a credential of one kind comes about. All apps that have the kind share its recipe, whose own they are comes with the
 * asking: there may be a hundred thousand of them.
 */
export interface Recipe {
  /** Its name within one app. */
  readonly kind: string;
  readonly nature: Nature;
  /** Asks WeChat for a value. */
  mint(account: Account, means: Means, need: Need): Promise<Minted>;
}

/** What an app serves. */
export interface Served {
  readonly accessToken: Recipe;
  /** The tickets by the `type` that clients ask for. */
  readonly tickets: Readonly<Record<string, Recipe>>;
  /**
   * Asks WeChat, cheaply, whether an access token is alive.
   * @throws WechatError when WeChat's answer leaves that open.
   */
  isAlive(token: string, wechat: Wechat): Promise<boolean>;
}

/** One configured app: who it is at WeChat, and the recipes of its credentials. */
export interface App extends Account {
  readonly platform: string;
  /** What WeChat counts as one holder of tokens. Two apps with the same identity would end each other's tokens. */
  readonly identity: string;
  /** Which of the two APIs is its. */
  readonly dialect: Dialect;
  /** How many calls a day WeChat allows the account, by the path of its API; those that it does not tell are left out. */
  readonly quotas: Readonly<Record<string, number>>;
  readonly served: Served;
}

/** A kind of account at Tencent: how its apps are written in the configuration, and so which credentials they have. */
export type Platform = PlatformSchema<App>;
