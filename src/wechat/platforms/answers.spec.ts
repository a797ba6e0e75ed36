import { inspect } from 'node:util';
import { WechatNonsense, WechatRefusal, WechatUnreachable } from '../wechat.error.js';
import { accepted, minted } from './answers.js';

/** What an answer is refused with, if it is. */
function refusalOf(answer: Readonly<Record<string, unknown>>): WechatNonsense {
  try {
    minted(answer, 'access_token');
  } catch (error) {
    if (error instanceof WechatNonsense) return error;
    throw error;
  }
  throw new Error('it was not refused');
}

describe('what WeChat hands out', () => {
  it.each([
    [
      { access_token: '95_aB-c_d', expires_in: 7200 },
      { value: '95_aB-c_d', expiresIn: 7200 },
    ],
    [
      { access_token: 'x', expires_in: 1 },
      { value: 'x', expiresIn: 1 },
    ],
    [
      { access_token: '!~', expires_in: 0.5 },
      { value: '!~', expiresIn: 0.5 },
    ],
    [
      { access_token: 'x'.repeat(2048), expires_in: 86_400 },
      { value: 'x'.repeat(2048), expiresIn: 86_400 },
    ],
    [
      { errcode: 0, errmsg: 'ok', access_token: 'x', expires_in: 7200, more: {} },
      { value: 'x', expiresIn: 7200 },
    ],
  ])('is taken out of its answer: %j', (answer, expected) => {
    expect(minted(answer, 'access_token')).toEqual(expected);
  });

  it.each([86_401, 2_592_000, 1e300])('lives no longer than a day, though it says %d s', (seconds) => {
    expect(minted({ ticket: 'x', expires_in: seconds }, 'ticket')).toEqual({ value: 'x', expiresIn: 86_400 });
  });

  it.each([
    ['absent', undefined],
    ['null', null],
    ['empty', ''],
    ['a number', 95],
    ['an object', { value: 'x' }],
    ['a list', ['x']],
    ['true', true],
    ['a space', ' '],
    ['with a space in it', 'canary 7f3a'],
    ['with a newline at its end', 'canary-7f3a\n'],
    ['with a control character', 'canary\u00017f3a'],
    ['with a DEL', 'canary-7f3a\u007f'],
    ['not of ASCII', 'canary-7f3a-é'],
    ['Chinese', '令牌'],
    ['of 2,049 characters', 'x'.repeat(2049)],
  ])('is no value when it is %s', (_, value) => {
    const error = refusalOf({ access_token: value, expires_in: 7200 });
    expect(error.message).toBe("The answer is none of WeChat's: it has no usable access_token");
    expect(inspect(error)).not.toContain('7f3a');
  });

  it.each([
    ['absent', undefined],
    ['null', null],
    ['a text', '7200'],
    ['zero', 0],
    ['negative', -1],
    ['not a number', NaN],
    ['without end', Infinity],
    ['true', true],
    ['a list', [7200]],
  ])('has no life when that is %s', (_, expires_in) => {
    const error = refusalOf({ access_token: 'canary-7f3a', expires_in });
    expect(error.message).toBe("The answer is none of WeChat's: its expires_in is no positive number");
    expect(inspect(error)).not.toContain('7f3a');
  });

  it('is looked for under its own name', () => {
    expect(refusalOf({ ticket: 'x', expires_in: 7200 })).toBeInstanceOf(WechatNonsense);
  });
});

describe('a call that asks whether a token is alive', () => {
  it('says so when it is answered', async () => {
    expect(await accepted(Promise.resolve({ ip_list: [] }))).toBe(true);
  });

  it.each([40001, 40014, 42001])('says that it is not when WeChat blames it with %d', async (errcode) => {
    expect(await accepted(Promise.reject(new WechatRefusal('wechat', errcode, '', true)))).toBe(false);
  });

  it.each([
    new WechatRefusal('wechat', -1, '', true),
    new WechatRefusal('wechat', 45009, '', true),
    new WechatRefusal('wechat', 40164, '', true),
    new WechatRefusal('wecom', 40001, '', true),
    new WechatUnreachable('ECONNRESET', true),
    new WechatNonsense('HTTP status 502'),
  ])('leaves it open otherwise: %s', async (error) => {
    await expect(accepted(Promise.reject(error))).rejects.toBe(error);
  });
});
