import { WechatNonsense, WechatRefusal, WechatUnreachable } from '../wechat/wechat.error.js';
import { NotTheCredential, waitAfter } from './failure.js';

function refusal(errcode: number): WechatRefusal {
  return new WechatRefusal('wechat', errcode, '', false);
}

/** The seconds between tries, as failures go on, with no luck and with all of it. */
function waits(error: unknown, failures: number, luck = 0): number[] {
  return Array.from({ length: failures }, (_, index) => waitAfter(error, index + 1, luck) / 1000);
}

describe('the wait before WeChat is asked again', () => {
  it.each([
    ['-1', refusal(-1)],
    ['45011', refusal(45011)],
    ['a timeout', new WechatUnreachable('no answer within 5 s', true)],
    ['a refused connection', new WechatUnreachable('ECONNREFUSED', false)],
    ['a 502', new WechatNonsense('HTTP status 502')],
    ['what is no JSON', new WechatNonsense('it is not JSON')],
    ['a fault of our own', new Error('unforeseen')],
  ])('grows from one second to half a minute after %s, which passes', (_, error) => {
    expect(waits(error, 8)).toEqual([1, 2, 4, 8, 15, 30, 30, 30]);
  });

  it('is spread over a fifth more, and never less', () => {
    const error = refusal(-1);
    expect(waits(error, 7, 1)).toEqual(
      [1, 2, 4, 8, 15, 30, 30].map((seconds) => expect.closeTo(seconds * 1.2) as number),
    );
    expect(waitAfter(error, 3, 0.5)).toBeCloseTo(4400);
  });

  it('is minutes where only a person can help, so that the probe is slow and yet finds what was mended', () => {
    for (const errcode of [40164, 40013, 40125, 40243, 50004, 50007, 89501, 89503, 99999]) {
      expect(waits(refusal(errcode), 6)).toEqual([60, 120, 300, 600, 600, 600]);
    }
  });

  it('is long where a quota is used up', () => {
    expect(waits(refusal(45009), 6)).toEqual([300, 900, 1800, 3600, 3600, 3600]);
  });

  it.each([
    [89507, 3600],
    [89506, 86_400],
  ])('is no shorter than WeChat is known to refuse after %d', (errcode, seconds) => {
    expect(waits(refusal(errcode), 5)).toEqual(Array.from({ length: 5 }, () => seconds));
  });

  it('is long when a new token did not help, because each try costs one', () => {
    const refused = new WechatRefusal('wechat', 40001, '', true);
    expect(waits(new NotTheCredential(refused), 5)).toEqual([300, 900, 1800, 1800, 1800]);
    expect(new NotTheCredential(refused).cause).toBe(refused);
  });
});
