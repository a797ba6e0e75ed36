import { jest } from '@jest/globals';
import { inspect } from 'node:util';
import { problem, refusedConnection, StandIn, token } from '../test/stand-in.fixture.js';
import { HubError, type HubOptions, WechatHub } from './index.js';

describe('a client of the hub', () => {
  it('asks for the app, and shows its JWT', async () => {
    const hub = new StandIn();
    await hub
      .client({ url: 'https://hub.example/wechat/', app: 'shop', jwt: () => Promise.resolve('MINE') })
      .accessToken();
    expect(hub.asked).toMatchObject([{ method: 'GET', path: '/wechat/apps/shop/access-token' }]);
    expect(hub.asked[0]?.headers.get('authorization')).toBe('Bearer MINE');
  });

  it('holds a ticket of each type', async () => {
    const hub = new StandIn();
    hub.reply = ({ path }) => token(1, { kind: 'ticket', ticket: `TICKET of ${path}` });
    const client = hub.client();
    for (let twice = 0; twice < 2; twice++) {
      expect(await client.ticket('jsapi')).toMatchObject({ value: 'TICKET of /apps/default/ticket?type=jsapi' });
      expect(await client.ticket('wx_card')).toMatchObject({ value: 'TICKET of /apps/default/ticket?type=wx_card' });
    }
    expect(hub.asked).toHaveLength(2);
  });

  it('has pages signed', async () => {
    const hub = new StandIn();
    const config = { appId: 'wx', timestamp: 1, nonceStr: 'n', signature: 's' };
    hub.reply = () => config;
    expect(await hub.client({ app: 'shop' }).signPage('https://shop.example/cart')).toEqual(config);
    expect(hub.asked).toMatchObject([
      { method: 'POST', path: '/apps/shop/jssdk-config', body: { url: 'https://shop.example/cart' } },
    ]);
  });

  it('takes nothing for a signature that is none', async () => {
    const hub = new StandIn();
    hub.reply = () => new Response('<html>Sign in</html>');
    await expect(hub.client().signPage('https://shop.example/')).rejects.toThrow(
      'no hub: its answer holds no signature',
    );
  });

  it('tells what the hub said, and WeChat', async () => {
    const hub = new StandIn();
    const fields = { detail: 'Mend the secret.', errcode: 40125, errmsg: 'invalid appsecret', rid: 'r-1' };
    hub.reply = () => problem(502, fields, { 'Retry-After': '60', 'X-Request-Id': 'id-1' });
    const error: unknown = await hub
      .client()
      .accessToken()
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(HubError);
    expect(error).toMatchObject({
      ...fields,
      type: '/problems/some',
      status: 502,
      retryAfter: 60,
      requestId: 'id-1',
      message: 'Some trouble (502): Mend the secret.',
    });
  });

  it.each([
    ['an answer that is none of the hub’s', () => new Response('<html>Sign in</html>'), /What answered is no hub/],
    ['JSON without a credential', () => ({ hello: 'world' }), /What answered is no hub/],
    ['a gateway’s page', () => new Response('<html>', { status: 502 }), /The hub refused \(502\)/],
    ['no answer', () => refusedConnection, /The hub cannot be reached: ECONNREFUSED/],
  ])('is not taken in by %s', async (_, reply, message) => {
    const hub = new StandIn();
    hub.reply = reply;
    await expect(hub.client().accessToken()).rejects.toMatchObject({
      name: 'HubError',
      message: expect.stringMatching(message) as string,
    });
  });

  it('tells that it has no JWT to show', async () => {
    const hub = new StandIn();
    const jwt = (): never => {
      throw new Error('the safe is locked');
    };
    await expect(hub.client({ jwt }).accessToken()).rejects.toThrow(
      'There is no JWT to show the hub: the safe is locked',
    );
    expect(hub.asked).toEqual([]);
  });

  it.each<[object, RegExp]>([
    [{}, /url: the address of the hub is wanted.*; jwt: a JWT/],
    [{ url: 'hub:8567', jwt: 'J' }, /url: must begin with http/],
    [{ url: 'http://me:secret@hub', jwt: 'J' }, /url: must have no user/],
    [{ url: 'http://hub', jwt: ' ' }, /jwt: a JWT, or what gives one/],
    [{ url: 'http://hub', jwt: 'J', app: '../apps' }, /app: must be like/],
    [{ url: 'http://hub', jwt: 'J', fetch: 1, now: 2 }, /fetch: must be a function; now: must be a function/],
  ])('is not made of the options %j', (options, message) => {
    expect(() => new WechatHub(options as HubOptions)).toThrow(message);
    expect(() => new WechatHub(options as HubOptions)).toThrow(TypeError);
  });

  it('uses the fetch that is there when it asks', async () => {
    const hub = new StandIn();
    const client = new WechatHub({ url: 'http://hub', jwt: 'J' });
    jest.spyOn(globalThis, 'fetch').mockImplementation(hub.fetch);
    expect(await client.accessToken()).toMatchObject({ version: 1 });
  });

  it('shows no token when it is printed', async () => {
    const hub = new StandIn();
    const client = hub.client();
    await client.accessToken();
    expect(inspect(client, { depth: 9 })).not.toContain('TOKEN-1');
  });
});

describe('a token that is lent', () => {
  const replacing = (hub: StandIn): void => {
    hub.reply = ({ method }) => (method === 'POST' ? { verdict: 'replaced', ...token(2) } : token(1));
  };

  it('is used once, where WeChat takes it', async () => {
    const hub = new StandIn();
    const calls: string[] = [];
    const result = await hub.client().withToken((accessToken) => {
      calls.push(accessToken);
      return { errcode: 0, errmsg: 'ok' };
    });
    expect(result).toEqual({ errcode: 0, errmsg: 'ok' });
    expect(calls).toEqual(['TOKEN-1']);
    expect(hub.asked).toHaveLength(1);
  });

  it.each([
    ['returned', { errcode: 40001 }],
    ['returned', { errcode: 40014 }],
    ['returned', { errcode: 42001 }],
    ['returned, in the response of axios,', { status: 200, data: { errcode: 42001 } }],
    ['thrown', Object.assign(new Error('invalid credential'), { errcode: 40001 })],
    ['thrown, as a code,', Object.assign(new Error('invalid credential'), { code: 40001 })],
  ])('is reported when WeChat refuses it, and the call repeated: %s %j', async (_, refusal) => {
    const hub = new StandIn();
    replacing(hub);
    const client = hub.client();
    const result = await client.withToken((accessToken) => {
      if (accessToken === 'TOKEN-2') return 'done';
      if (refusal instanceof Error) throw refusal;
      return refusal;
    });
    expect(result).toBe('done');
    expect(hub.asked).toMatchObject([
      { method: 'GET' },
      { method: 'POST', path: '/apps/default/access-token/report', body: { token: 'TOKEN-1' } },
    ]);
    expect(await client.accessToken()).toMatchObject({ value: 'TOKEN-2' });
  });

  it.each([
    ['returns', () => ({ errcode: 40001 })],
    [
      'throws',
      () => {
        throw Object.assign(new Error('refused'), { errcode: 40001 });
      },
    ],
  ])('is repeated once and only once, when the second call %s a refusal, too', async (_, refuse) => {
    const hub = new StandIn();
    replacing(hub);
    let calls = 0;
    const outcome = await hub
      .client()
      .withToken(() => {
        calls++;
        return refuse();
      })
      .catch((error: unknown) => error);
    expect(outcome).toMatchObject({ errcode: 40001 });
    expect(calls).toBe(2);
    expect(hub.asked).toHaveLength(2);
  });

  it('is not reported for what is not its fault', async () => {
    const hub = new StandIn();
    const client = hub.client();
    expect(await client.withToken(() => ({ errcode: 45009 }))).toEqual({ errcode: 45009 });
    await expect(client.withToken(() => Promise.reject(new Error('offline')))).rejects.toThrow('offline');
    expect(await client.withToken(() => 'some text')).toBe('some text');
    expect(await client.withToken(() => null)).toBeNull();
    expect(hub.asked).toHaveLength(1);
  });

  it('is reported once, when a hundred calls are refused at once', async () => {
    const hub = new StandIn();
    replacing(hub);
    const client = hub.client();
    const call = (accessToken: string): unknown => (accessToken === 'TOKEN-2' ? 'done' : { errcode: 40001 });
    const results = await Promise.all(Array.from({ length: 100 }, () => client.withToken(call)));
    expect(new Set(results)).toEqual(new Set(['done']));
    expect(hub.asked).toHaveLength(2);
  });

  it('is not reported, if there is another in hand already', async () => {
    const hub = new StandIn();
    replacing(hub);
    const client = hub.client();
    await client.withToken((accessToken) => (accessToken === 'TOKEN-1' ? { errcode: 40001 } : 'done'));
    expect(await client.refused('TOKEN-1')).toMatchObject({ value: 'TOKEN-2' });
    expect(hub.asked).toHaveLength(2);
  });

  it('cannot be replaced by who may not report: the hub’s answer is the error', async () => {
    const hub = new StandIn();
    hub.reply = ({ method }) => (method === 'POST' ? problem(403) : token(1));
    await expect(hub.client().withToken(() => ({ errcode: 40001 }))).rejects.toMatchObject({ status: 403 });
  });
});
