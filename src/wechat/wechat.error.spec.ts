import { type Dialect, WechatNonsense, WechatRefusal, WechatUnreachable } from './wechat.error.js';

/** A refusal of a call to a token endpoint. */
function atTokenEndpoint(errcode: number, dialect: Dialect = 'wechat', errmsg = ''): WechatRefusal {
  return new WechatRefusal(dialect, errcode, errmsg, false);
}

/** A refusal of a call that carries a credential. */
function withCredential(errcode: number, dialect: Dialect = 'wechat', errmsg = ''): WechatRefusal {
  return new WechatRefusal(dialect, errcode, errmsg, true);
}

const UNKNOWN_CODE = /does not know this code/;

describe('a code of WeChat', () => {
  it.each([40001, 40014, 42001])('blames the token that the call carried: %d', (errcode) => {
    expect(withCredential(errcode).remedy).toBe('credential');
  });

  it.each([40001, 40014, 42001])('blames the AppSecret where no token was carried: %d', (errcode) => {
    expect(atTokenEndpoint(errcode).remedy).toBe('person');
    expect(atTokenEndpoint(errcode).advice).toMatch(/AppSecret/);
  });

  it.each([-1, -1000, 45011])('passes: %d', (errcode) => {
    expect(atTokenEndpoint(errcode).remedy).toBe('passing');
    expect(withCredential(errcode).remedy).toBe('passing');
  });

  it('waits for the quota: 45009', () => {
    expect(atTokenEndpoint(45009).remedy).toBe('quota');
  });

  it.each([
    40002, 40013, 40125, 40164, 40243, 41002, 41004, 43003, 45035, 48001, 48002, 48004, 48017, 50002, 50003, 50004,
    50007, 61004, 61024, 89501, 89502, 89503, 89504, 89505, 89506, 89507,
  ])('is for a person, who is told what to do: %d', (errcode) => {
    for (const refusal of [atTokenEndpoint(errcode), withCredential(errcode)]) {
      expect(refusal.remedy).toBe('person');
      expect(refusal.advice).toMatch(/^[A-Z].{20,}\.$/);
      expect(refusal.advice).not.toMatch(UNKNOWN_CODE);
    }
  });

  it.each([1, 40097, 41001, 42007, 61023, 99999])('is for a person when the hub does not know it: %d', (errcode) => {
    expect(withCredential(errcode).remedy).toBe('person');
    expect(withCredential(errcode).advice).toMatch(UNKNOWN_CODE);
  });

  it('keeps an address out for an hour or a day after an administrator refused it', () => {
    expect([89507, 89506, 89503].map((errcode) => atTokenEndpoint(errcode).pause)).toEqual([3600, 86_400, undefined]);
  });
});

describe('a code of WeCom', () => {
  it('means a wrong secret by 40001, whatever the call carried: asking on would get the address banned', () => {
    for (const refusal of [atTokenEndpoint(40001, 'wecom'), withCredential(40001, 'wecom')]) {
      expect(refusal.remedy).toBe('person');
      expect(refusal.advice).toMatch(/secret/);
    }
  });

  it.each([40014, 42001])('blames the token that the call carried: %d', (errcode) => {
    expect(withCredential(errcode, 'wecom').remedy).toBe('credential');
  });

  it.each([-1, 45033])('passes: %d', (errcode) => {
    expect(atTokenEndpoint(errcode, 'wecom').remedy).toBe('passing');
  });

  it('waits for the quota: 45009', () => {
    expect(atTokenEndpoint(45009, 'wecom').remedy).toBe('quota');
  });

  it.each([40013, 40091, 41004, 48002, 48004, 50003, 60020, 301002])('is for a person, who is told: %d', (errcode) => {
    expect(atTokenEndpoint(errcode, 'wecom').remedy).toBe('person');
    expect(atTokenEndpoint(errcode, 'wecom').advice).not.toMatch(UNKNOWN_CODE);
  });
});

describe('the address that WeChat saw', () => {
  it.each([
    [40164, 'wechat', 'invalid ip 47.94.148.108 ipv6 ::ffff:47.94.148.108, not in whitelist rid: x', '47.94.148.108'],
    [40164, 'wechat', 'invalid ip 1.2.3.4, not in whitelist hint: [gE-3R2BwA!]', '1.2.3.4'],
    [40164, 'wechat', 'invalid ip 2001:db8::7 ipv6 2001:db8::7, not in whitelist', '2001:db8::7'],
    [
      60020,
      'wecom',
      'not allow to access from your ip, hint: [16], from ip: 119.130.57.47, more info at x',
      '119.130.57.47',
    ],
  ] as const)('is in the advice on %d', (errcode, dialect, errmsg, ip) => {
    const { advice } = atTokenEndpoint(errcode, dialect, errmsg);
    expect(advice).toMatch(/egress IP/);
    expect(advice.endsWith(` WeChat saw the IP ${ip}.`)).toBe(true);
  });

  it('is left out where WeChat does not tell it, or the code is about something else', () => {
    expect(atTokenEndpoint(40164, 'wechat', 'not in whitelist').advice).not.toMatch(/saw/);
    expect(atTokenEndpoint(40013, 'wecom', 'invalid corpid, from ip: 10.2.3.4, more info').advice).not.toMatch(/saw/);
  });
});

describe('the number of a call at WeChat', () => {
  it.each([
    ['invalid appid rid: 6aac005a-01bfdbee-79769285', '6aac005a-01bfdbee-79769285'],
    ['invalid appid, rid: 6aac005a-01bfdbee-79769285', '6aac005a-01bfdbee-79769285'],
    ['access_token expired hint: [I9JQua0689a456!]', undefined],
    ['rid: x', undefined],
    ['', undefined],
  ])('is read from its text %j', (errmsg, rid) => {
    expect(atTokenEndpoint(40013, 'wechat', errmsg).rid).toBe(rid);
  });
});

describe('a call without an answer of WeChat', () => {
  it('passes, and is in doubt unless it was never sent', () => {
    const [refused, lost] = [new WechatUnreachable('ECONNREFUSED', false), new WechatUnreachable('ECONNRESET', true)];
    expect([refused.remedy, lost.remedy]).toEqual(['passing', 'passing']);
    expect([refused.inDoubt, lost.inDoubt]).toEqual([false, true]);
    expect(lost.message).toBe('WeChat cannot be reached: ECONNRESET');
    expect(lost.advice).toMatch(/network/);
  });

  it('is in doubt when something else answered: WeChat may have acted all the same', () => {
    expect(new WechatNonsense('HTTP status 502')).toMatchObject({ remedy: 'passing', inDoubt: true });
  });

  it('is not in doubt when WeChat refused', () => {
    expect(atTokenEndpoint(-1).inDoubt).toBe(false);
  });
});
