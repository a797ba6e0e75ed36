import fc from 'fast-check';
import { type WechatError, WechatNonsense, WechatRefusal, WechatUnreachable } from '../wechat/wechat.error.js';
import { AllowanceSpent } from './allowance.js';
import { errorOf, type Failure, failureOf, isPassing, NotTheCredential, Unforeseen, waitAfter } from './failure.js';

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

describe('a failure that is written down', () => {
  const NOW = Date.UTC(2026, 0, 1);
  const RID = '65f2a1b0-1a2b3c4d-5e6f7a8b';
  const deadToken = new WechatRefusal('wechat', 40001, `invalid credential rid: ${RID}`, true);

  /** The failure as another hub, or the next start, reads it. */
  const elsewhere = (failure: Failure): Failure => JSON.parse(JSON.stringify(failure)) as Failure;
  const writtenDown = (error: unknown, before?: Failure): Failure => elsewhere(failureOf(error, before, NOW, 0));

  it.each<[string, WechatError]>([
    ['a refusal', new WechatRefusal('wechat', 40164, `invalid ip 1.2.3.4, not in whitelist rid: ${RID}`, false)],
    [
      'a refusal of WeCom',
      new WechatRefusal('wecom', 60020, 'not allow to access from your ip, from ip: 5.6.7.8', true),
    ],
    ['a refusal of the AppSecret', new WechatRefusal('wechat', 40001, 'invalid credential', false)],
    ['a refusal of the token', deadToken],
    ['a refusal with a pause', new WechatRefusal('wechat', 89507, '', false)],
    ['a refusal that nobody knows', new WechatRefusal('wechat', 99999, '出错了', false)],
    ['silence', new WechatUnreachable('no answer within 5 s', true)],
    ['a refused connection', new WechatUnreachable('ECONNREFUSED', false)],
    ['nonsense', new WechatNonsense('HTTP status 502')],
  ])('is, on every other hub, the same error: %s, with all that an operator reads', (_, error) => {
    const read = errorOf(writtenDown(error)) as WechatError;
    expect(read).toEqual(error);
    expect(read).toBeInstanceOf(error.constructor);
    // Waits, metrics and the views of operators go by these.
    const { name, message, remedy, advice, inDoubt, pause } = error;
    expect(read).toMatchObject({ name, message, remedy, advice, inDoubt });
    expect(read.pause).toBe(pause);
    expect(waitAfter(read, 3, 0.5)).toBe(waitAfter(error, 3, 0.5));
  });

  it('keeps what WeChat called the call, whatever it answered', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('wechat' as const, 'wecom' as const),
        fc.integer(),
        fc.string({ unit: 'binary' }),
        fc.boolean(),
        (dialect, errcode, text, carried) => {
          const error = new WechatRefusal(dialect, errcode, `${text} rid: ${RID}`, carried);
          const read = errorOf(writtenDown(error));
          expect(read).toEqual(error);
          expect(read).toMatchObject({ errcode, errmsg: error.errmsg, rid: RID, advice: error.advice });
        },
      ),
    );
  });

  it('knows that the token was not to blame', () => {
    const read = errorOf(writtenDown(new NotTheCredential(deadToken)));
    expect(read).toBeInstanceOf(NotTheCredential);
    expect(read).toEqual(new NotTheCredential(deadToken));
    expect((read as NotTheCredential).cause).toMatchObject({ errcode: 40001, rid: RID });
    expect(waitAfter(read, 1, 0)).toBe(300_000);
  });

  it('tells of a ration that is used up from when it may be asked again', () => {
    const failure = { ...writtenDown(new AllowanceSpent(NOW + 31_000)), retryAt: NOW + 31_000 };
    const read = errorOf(failure);
    expect(read).toBeInstanceOf(AllowanceSpent);
    expect(read).toMatchObject({ retryAt: NOW + 31_000 });
  });

  it.each([
    ['an error', new Error('https://api.weixin.qq.com/cgi-bin/token?secret=canary-5c1d')],
    ['what has a cause', new Error('canary-5c1d', { cause: new Error('canary-5c1d') })],
    ['what is no error', 'canary-5c1d'],
    ['nothing', undefined],
  ])('says nothing of what nobody foresaw, for a secret may be in it: %s', (_, error) => {
    const failure = writtenDown(error);
    expect(JSON.stringify(failure)).not.toContain('canary');
    expect(errorOf(failure)).toEqual(new Unforeseen());
  });

  it('counts on from the one before, and says when it is tried again', () => {
    const busy = refusal(-1);
    const first = writtenDown(busy);
    const second = writtenDown(busy, first);
    expect([first.count, first.at, first.retryAt]).toEqual([1, NOW, NOW + 1000]);
    expect([second.count, second.at, second.retryAt]).toEqual([2, NOW, NOW + 2000]);
    expect(failureOf(busy, undefined, NOW, 1).retryAt).toBe(NOW + 1200);
  });

  it('goes by itself or needs somebody, for who reads it as for who met it', () => {
    const passes = (error: unknown): boolean => isPassing(writtenDown(error));
    expect([refusal(-1), new WechatNonsense(''), new Error(), new AllowanceSpent(NOW)].map(passes)).toEqual(
      Array.from({ length: 4 }, () => true),
    );
    expect([refusal(40164), refusal(40125), refusal(45009), deadToken].map(passes)).toEqual(
      Array.from({ length: 4 }, () => false),
    );
  });
});
