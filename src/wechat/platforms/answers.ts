import { type WechatAnswer } from '../wechat.client.js';
import { WechatNonsense, WechatRefusal } from '../wechat.error.js';
import type { Minted } from './platform.js';

/** A day: WeChat promises two hours at present, and what lives much longer is no token of WeChat's. */
const LONGEST_LIFE_S = 86_400;
const PRINTABLE = /^[\x21-\x7e]{1,2048}$/;

/**
 * Takes a new value out of an answer, if it is there and can be true.
 * @throws WechatNonsense when there is no printable value of 1 to 2,048 characters, or its life is no positive number.
 */
export function minted(answer: WechatAnswer, field: string): Minted {
  const value = answer[field];
  const expiresIn = answer['expires_in'];
  if (typeof value !== 'string' || !PRINTABLE.test(value)) throw new WechatNonsense(`it has no usable ${field}`);
  if (typeof expiresIn !== 'number' || !Number.isFinite(expiresIn) || expiresIn <= 0) {
    throw new WechatNonsense('its expires_in is no positive number');
  }
  return { value, expiresIn: Math.min(expiresIn, LONGEST_LIFE_S) };
}

/** Reads the outcome of a harmless call made with a token: does WeChat still know it? */
export async function accepted(call: Promise<WechatAnswer>): Promise<boolean> {
  try {
    await call;
    return true;
  } catch (error) {
    if (error instanceof WechatRefusal && error.remedy === 'credential') return false;
    throw error;
  }
}
