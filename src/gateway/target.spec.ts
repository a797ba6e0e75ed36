import fc from 'fast-check';
import type { IncomingMessage } from 'node:http';
import { isPlain, targetOf, withoutParameter, withParameter } from './target.js';

const target = (url: string, host = 'hub:8567') => targetOf({ url, headers: { host } } as IncomingMessage);

describe('where a request wants to go', () => {
  it.each([
    ['/cgi-bin/token?appid=1', 'wechat', '/cgi-bin/token', 'appid=1'],
    ['//cgi-bin/token?a=//x?y', 'wechat', '/cgi-bin/token', 'a=//x?y'],
    ['/wecom/cgi-bin/user/get?access_token=1', 'wecom', '/cgi-bin/user/get', 'access_token=1'],
    ['/wecom//cgi-bin/ticket/get?type=a', 'wecom', '/cgi-bin/ticket/get', 'type=a'],
    ['/cgi-bin/gettoken?corpid=1', 'wecom', '/cgi-bin/gettoken', 'corpid=1'],
    ['/some/new/api?x=1&access_token=1', 'wechat', '/some/new/api', 'x=1&access_token=1'],
    ['http://hub/sns/userinfo', 'wechat', '/sns/userinfo', ''],
  ])('%s is at WeChat', (url, dialect, path, query) => {
    expect(target(url)).toEqual({ dialect, path, query });
  });

  it('is at WeCom by the name of the host, too', () => {
    expect(target('/cgi-bin/user/get', 'qyapi.weixin.qq.com')?.dialect).toBe('wecom');
  });

  it.each([
    '/access-token?access_token=1',
    '/ticket',
    '/apps/x/wechat/cgi-bin/a?access_token=1',
    '/health/live?access_token=1',
    '/metrics?access_token=1',
    '/openapi.json',
    '/nothing',
    '/',
    '',
  ])('%s is not at WeChat', (url) => {
    expect(target(url)).toBeUndefined();
  });
});

describe('a path', () => {
  it.each(['/cgi-bin/user/get', '/wxa/getwxacodeunlimit', '/a/', '/card/code.v2/x'])('%s is plain', (path) => {
    expect(isPlain(path)).toBe(true);
  });

  it.each(['/a//b', '/a/../b', '/a/%2e%2e/b', '/a%2fb', '/a/./b', '/a\\b', 'a', '/a b', '/.a', '/ä'])(
    '%s is not',
    (path) => {
      expect(isPlain(path)).toBe(false);
    },
  );
});

describe('a parameter', () => {
  it('is put in the place of another, and every other byte stays', () => {
    const other = fc.stringMatching(/^[b-z]{1,5}=[%+\w~'".]{0,8}$/);
    fc.assert(
      fc.property(fc.array(other), fc.array(other), (before, after) => {
        const query = (value: string): string => [...before, `a=${value}`, ...after].join('&');
        expect(withParameter(query('old'), 'a', 'n&w')).toBe(query('n%26w'));
      }),
    );
  });

  it('is left out wherever it stands, and every other byte stays', () => {
    expect(withoutParameter('a=1&b=%41&a=&ba=2', 'a')).toBe('b=%41&ba=2');
  });

  it.each(['', 'b=1', 'a=1&a=2', 'ba=1'])('is not put into %j', (query) => {
    expect(withParameter(query, 'a', '1')).toBeUndefined();
  });
});
