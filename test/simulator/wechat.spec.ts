import type { NewAccount } from './world.js';
import type { Answer, Request } from './answer.js';
import { DrivenClock } from './clock.js';
import { World } from './world.js';

const appid = 'wx00000000000000aa';
const secret = 'obviously-not-a-secret';
const hour = 3_600_000;

/** One world with one account, and short ways of asking it. */
function setUp(settings: Partial<NewAccount> = {}, seed = 1) {
  const clock = new DrivenClock();
  const world = new World({ clock, seed });
  const account = world.account({ appid, secret, kind: 'official-account', ...settings });
  const send = (method: string, target: string, json?: unknown, more: Partial<Request> = {}) =>
    world.answer({ method, target, ...(json === undefined ? {} : { body: JSON.stringify(json) }), ...more });
  const get = (target: string, more: Partial<Request> = {}) => fieldsOf(send('GET', target, undefined, more));
  const post = (target: string, json: unknown, more: Partial<Request> = {}) =>
    fieldsOf(send('POST', target, json, more));
  const classic = (more: Partial<Request> = {}) =>
    get(`/cgi-bin/token?grant_type=client_credential&appid=${appid}&secret=${secret}`, more);
  const stable = (force = false, more: Partial<Request> = {}) =>
    post('/cgi-bin/stable_token', { grant_type: 'client_credential', appid, secret, force_refresh: force }, more);
  const ticket = (token: unknown, type = 'jsapi') =>
    get(`/cgi-bin/ticket/getticket?access_token=${String(token)}&type=${type}`);
  const call = (token: unknown, more: Partial<Request> = {}) =>
    get(`/cgi-bin/get_api_domain_ip?access_token=${String(token)}`, more)['errcode'] ?? 0;
  const pass = (seconds: number) => {
    clock.advance(seconds * 1000);
  };
  return { clock, world, account, send, get, post, classic, stable, ticket, call, pass };
}

function fieldsOf(answer: Answer): Record<string, unknown> {
  return JSON.parse(answer.body) as Record<string, unknown>;
}

function times<T>(count: number, act: () => T): T[] {
  return Array.from({ length: count }, act);
}

describe('transport', () => {
  it('sends refusals as JSON under HTTP 200, labelled in the peculiar way of the official accounts', () => {
    const { world, send } = setUp();
    const answer = send('GET', '/cgi-bin/token?appid=wxunknown');
    expect(answer).toMatchObject({ status: 200, errcode: 40013 });
    expect(answer.headers['content-type']).toBe('application/json; encoding=utf-8');
    expect(fieldsOf(answer)).toEqual({ errcode: 40013, errmsg: expect.any(String) as string });

    world.reconfigure({ plainText: true });
    expect(send('GET', '/cgi-bin/token').headers['content-type']).toBe('text/plain');
  });

  it('sends no errcode with a token, and errcode 0 with a ticket', () => {
    const { classic, stable, ticket } = setUp();
    const token = classic();
    expect(Object.keys(token)).toEqual(['access_token', 'expires_in']);
    expect(Object.keys(stable())).toEqual(['access_token', 'expires_in']);
    expect(ticket(token['access_token'])).toMatchObject({ errcode: 0, errmsg: 'ok' });
  });

  it('ends every error text with a request id that begins with the time', () => {
    const { clock, get } = setUp();
    const seconds = Math.floor(clock.now() / 1000).toString(16);
    expect(get('/cgi-bin/token?appid=wxunknown')['errmsg']).toMatch(
      new RegExp(`^invalid appid rid: ${seconds}-[0-9a-f]{8}-[0-9a-f]{8}$`),
    );
  });

  it('explains a request id for seven days, to its owner alone, and without the secret', () => {
    const { world, get, post, stable, pass } = setUp();
    const { errmsg } = get(`/cgi-bin/token?appid=${appid}&secret=guessed-wrong&grant_type=client_credential`);
    const rid = String(errmsg).slice(-26);
    const look = (asked: string) =>
      post(`/cgi-bin/openapi/rid/get?access_token=${String(stable()['access_token'])}`, { rid: asked });
    expect(look(rid)).toMatchObject({ errcode: 0, request: { client_ip: '127.0.0.1' } });
    expect(JSON.stringify(look(rid))).not.toContain('guessed-wrong');
    expect(look('00000000-00000000-00000000')['errcode']).toBe(76001);
    expect(look('nonsense')['errcode']).toBe(76002);

    world.account({ appid: 'wx00000000000000bb', secret, kind: 'mini-program' });
    const stranger = world.mintElsewhere('wx00000000000000bb');
    expect(post(`/cgi-bin/openapi/rid/get?access_token=${stranger}`, { rid })['errcode']).toBe(76003);

    pass(7 * 24 * 3600);
    expect(look(rid)['errcode']).toBe(76004);
  });

  it('refuses a POST without Content-Length with 412 and no body, unless told otherwise', () => {
    const { world, send } = setUp();
    const chunked = { headers: { 'transfer-encoding': 'chunked' } };
    expect(send('POST', '/cgi-bin/stable_token', {}, chunked)).toMatchObject({ status: 412, body: '' });
    world.reconfigure({ refuseChunked: false });
    expect(send('POST', '/cgi-bin/stable_token', {}, chunked).errcode).toBe(41002);
  });

  it('asks for https with 43003 when told to', () => {
    const { world, classic } = setUp();
    world.reconfigure({ requireHttps: true });
    expect(classic()['errcode']).toBe(43003);
    expect(classic({ secure: true })['expires_in']).toBe(7200);
  });

  it('shares one state among its host names, each of which can go down alone', () => {
    const { world, classic, call, send } = setUp();
    const token = classic({ host: 'api.weixin.qq.com' })['access_token'];
    expect(call(token, { host: 'sh.api.weixin.qq.com:443' })).toBe(0);
    world.outage('api.weixin.qq.com', true);
    const target = `/cgi-bin/getcallbackip?access_token=${String(token)}`;
    expect(send('GET', target, undefined, { host: 'api.weixin.qq.com' }).transport?.kind).toBe('reset');
    expect(call(token, { host: 'api2.weixin.qq.com' })).toBe(0);
    world.outage('api.weixin.qq.com', false);
    expect(call(token, { host: 'api.weixin.qq.com' })).toBe(0);
  });

  it('answers any other API for a good token, and an unknown path with an empty 404', () => {
    const { classic, get, post, send } = setUp();
    const token = String(classic()['access_token']);
    expect(post(`/cgi-bin/some/new/api?access_token=${token}`, { a: 1 })).toEqual({ errcode: 0, errmsg: 'ok' });
    expect(get(`/cgi-bin/user/get?access_token=${token}`)['total']).toBe(2);
    expect(send('POST', `/cgi-bin/message/custom/send?access_token=${token}`).errcode).toBe(44002);
    expect(
      send('POST', `/cgi-bin/message/custom/send?access_token=${token}`, undefined, { body: '{"a"' }).errcode,
    ).toBe(47001);
    expect(send('GET', `/nowhere?access_token=${token}`)).toMatchObject({ status: 404, body: '' });
  });
});

describe('the classic endpoint', () => {
  it('insists on GET, unless told otherwise', () => {
    const { world, post } = setUp();
    const ask = () => post(`/cgi-bin/token?grant_type=client_credential&appid=${appid}&secret=${secret}`, {});
    expect(ask()['errcode']).toBe(43001);
    world.reconfigure({ strictMethods: false });
    expect(ask()['expires_in']).toBe(7200);
  });

  it.each([
    ['', 41002],
    ['appid=wxunknown', 40013],
    ['appid=WX00000000000000AA&secret=x&grant_type=client_credential', 40013],
    [`appid=${appid}`, 41004],
    [`appid=${appid}&secret=wrong&grant_type=password`, 40002],
    [`appid=${appid}&secret=wrong&grant_type=client_credential`, 40125],
  ])('checks the parameters in the order of WeChat: %s gives %i', (query, errcode) => {
    expect(setUp().get(`/cgi-bin/token?${query}`)['errcode']).toBe(errcode);
  });

  it('issues another token at every call, of a shape and a life as WeChat does', () => {
    const { classic } = setUp();
    const tokens = times(50, () => String(classic()['access_token']));
    expect(new Set(tokens).size).toBe(50);
    for (const token of tokens) expect(token).toMatch(/^\d\d_[\w-]{130,155}$/);
    expect(setUp({ life: 12 }).classic()['expires_in']).toBe(12);
  });

  it('lets a superseded token work for the overlap, then refuses it as not the latest', () => {
    const { classic, call, pass } = setUp();
    const first = classic()['access_token'];
    const second = classic()['access_token'];
    pass(299);
    expect(call(first)).toBe(0);
    pass(1);
    expect(call(first)).toBe(40001);
    expect(call(second)).toBe(0);
  });

  it('lets no token outlive its own end through the overlap', () => {
    const { classic, call, pass } = setUp();
    const first = classic()['access_token'];
    pass(7100);
    classic();
    pass(100);
    expect(call(first)).toBe(42001);
  });

  it.each([42001, 40014, 40001])('lets the current token age out with %i', (expiredCode) => {
    const { classic, call, pass } = setUp({ expiredCode });
    const token = classic()['access_token'];
    pass(7199);
    expect(call(token)).toBe(0);
    pass(1);
    expect(call(token)).toBe(expiredCode);
  });

  it('can keep only the latest token and the one before', () => {
    const { classic, call } = setUp({ overlapFor: 'previous' });
    const [first, second, third] = times(3, () => classic()['access_token']);
    expect([call(first), call(second), call(third)]).toEqual([40001, 0, 0]);
  });

  it('lets two that fetch for themselves break each other five minutes later', () => {
    const { world, classic, call, pass } = setUp();
    const ours = classic()['access_token'];
    const theirs = world.mintElsewhere(appid);
    expect(call(ours)).toBe(0);
    pass(300);
    expect([call(ours), call(theirs)]).toEqual([40001, 0]);
  });

  it('has a daily quota that is renewed at midnight in China', () => {
    const { classic, pass } = setUp({ callsPerDay: { '/cgi-bin/token': 3 } });
    times(3, classic);
    expect(classic()).toMatchObject({ errcode: 45009 });
    pass(14.9 * 3600);
    expect(classic()['errcode']).toBe(45009);
    pass(0.1 * 3600);
    expect(classic()['errcode']).toBeUndefined();
  });

  it('counts refused calls towards the quota only when told to', () => {
    const wrong = `/cgi-bin/token?grant_type=client_credential&appid=${appid}&secret=wrong`;
    for (const refusedCallsCount of [false, true]) {
      const { get, classic } = setUp({ refusedCallsCount, callsPerDay: { '/cgi-bin/token': 1 } });
      get(wrong);
      expect(classic()['errcode']).toBe(refusedCallsCount ? 45009 : undefined);
    }
  });

  it('has its quota restored by either clear, ten times a month', () => {
    const { classic, post, pass } = setUp({ callsPerDay: { '/cgi-bin/token': 1 } });
    const token = String(classic()['access_token']);
    expect(classic()['errcode']).toBe(45009);
    expect(post(`/cgi-bin/clear_quota?access_token=${token}`, { appid })).toEqual({ errcode: 0, errmsg: 'ok' });
    expect(classic()['errcode']).toBeUndefined();
    const clear = () => post('/cgi-bin/clear_quota/v2', { appid, appsecret: secret })['errcode'];
    expect(times(9, clear)).toEqual(times(9, () => 0));
    expect(clear()).toBe(48006);
    pass(31 * 24 * 3600);
    expect(clear()).toBe(0);
  });

  it('clears by secret only for who knows it, and by token only the account of the token', () => {
    const { classic, post, get } = setUp();
    expect(post('/cgi-bin/clear_quota/v2', { appid })['errcode']).toBe(41004);
    expect(post('/cgi-bin/clear_quota/v2', { appid, appsecret: 'wrong' })['errcode']).toBe(40125);
    expect(post(`/cgi-bin/clear_quota/v2?appid=${appid}&appsecret=${secret}`, {})['errcode']).toBe(0);
    expect(get('/cgi-bin/clear_quota/v2')['errcode']).toBe(43002);
    const token = String(classic()['access_token']);
    expect(post(`/cgi-bin/clear_quota?access_token=${token}`, { appid: 'wxother' })['errcode']).toBe(40013);
  });

  it('tells what is left of a quota, and clears a single one', () => {
    const { classic, post } = setUp();
    const [token] = times(3, () => String(classic()['access_token'])).slice(-1);
    const ask = (cgi_path: string) => post(`/cgi-bin/openapi/quota/get?access_token=${String(token)}`, { cgi_path });
    expect(ask('/cgi-bin/token')['quota']).toEqual({ daily_limit: 2000, used: 3, remain: 1997 });
    expect(ask('/cgi-bin/invented')['errcode']).toBe(76021);
    expect(ask('/sns/userinfo')['errcode']).toBe(76022);
    post(`/cgi-bin/openapi/quota/clear?access_token=${String(token)}`, { cgi_path: '/cgi-bin/token' });
    expect(ask('/cgi-bin/token')['quota']).toMatchObject({ used: 0 });
  });

  it('refuses an address that is not in the whitelist, and names it', () => {
    const { classic, get } = setUp({ whitelist: ['10.0.0.1', '172.16.0.0/12', '192.168.7.*'] });
    expect(classic({ ip: '47.94.148.108' })['errmsg']).toMatch(
      /^invalid ip 47\.94\.148\.108 ipv6 ::ffff:47\.94\.148\.108, not in whitelist rid: /,
    );
    const refused = (ip: string) => classic({ ip })['errcode'] === 40164;
    const addresses = ['10.0.0.1', '10.0.0.2', '172.31.255.255', '172.32.0.0', '192.168.7.200', '192.168.8.1'];
    expect(addresses.map(refused)).toEqual([false, true, false, true, false, true]);
    expect(get(`/cgi-bin/token?grant_type=x&appid=${appid}&secret=wrong`, { ip: '1.1.1.1' })['errcode']).toBe(40002);
  });

  it('heeds an edit of the whitelist only after its delay', () => {
    const { account, classic, pass } = setUp({ whitelist: [], whitelistDelay: 300 });
    account.reconfigure({ whitelist: ['127.0.0.1'] });
    pass(299);
    expect(classic()['errcode']).toBe(40164);
    pass(1);
    expect(classic()['errcode']).toBeUndefined();
  });

  it('holds the bearers of tokens to the whitelist for official accounts, not for mini programs', () => {
    for (const kind of ['official-account', 'mini-program'] as const) {
      const { classic, call } = setUp({ kind, whitelist: ['127.0.0.1'] });
      const token = classic()['access_token'];
      expect(call(token, { ip: '8.8.8.8' })).toBe(kind === 'official-account' ? 40164 : 0);
      expect(classic({ ip: '8.8.8.8' })['errcode']).toBe(40164);
    }
  });

  it('refuses a frozen secret ten minutes after the freeze, and spares the tokens', () => {
    const { account, classic, stable, call, pass } = setUp();
    const token = classic()['access_token'];
    account.reconfigure({ frozen: true });
    pass(599);
    expect(stable()['errcode']).toBeUndefined();
    pass(1);
    expect([classic()['errcode'], stable()['errcode'], call(token)]).toEqual([40243, 40243, 0]);
    account.reconfigure({ frozen: false });
    expect(classic()['errcode']).toBe(40243);
    pass(600);
    expect(classic()['errcode']).toBeUndefined();
  });

  it.each([50004, 50007])('answers %i for an account that is banned so', (banCode) => {
    expect(setUp({ banCode }).classic()['errcode']).toBe(banCode);
  });

  it('has the administrator confirm an address, and locks out one that was turned down', () => {
    const { account, classic, pass } = setUp({ confirmsAddresses: true });
    const ip = '9.9.9.9';
    expect(classic({ ip })['errcode']).toBe(89503);
    account.confirmAddress(ip, false);
    expect(classic({ ip })['errcode']).toBe(89507);
    pass(3600);
    expect(classic({ ip })['errcode']).toBe(89503);
    account.confirmAddress(ip, false);
    pass(24 * 3600 - 1);
    expect(classic({ ip })['errcode']).toBe(89506);
    account.confirmAddress(ip, true);
    expect(classic({ ip })['errcode']).toBeUndefined();
  });

  it('refuses the old secret at once after a reset, and kills tokens only when told to', () => {
    for (const secretResetKillsTokens of [false, true]) {
      const { account, classic, call } = setUp({ secretResetKillsTokens });
      const token = classic()['access_token'];
      account.reconfigure({ secret: 'another-one' });
      expect(classic()['errcode']).toBe(40125);
      expect(call(token)).toBe(secretResetKillsTokens ? 40001 : 0);
    }
  });
});

describe('the stable endpoint', () => {
  it('takes a JSON body by POST and nothing else', () => {
    const { get, send } = setUp();
    expect(get(`/cgi-bin/stable_token?appid=${appid}`)['errcode']).toBe(43002);
    for (const body of ['', '[]', 'null', '{"appid"', `appid=${appid}&secret=${secret}`]) {
      expect(send('POST', '/cgi-bin/stable_token', undefined, { body }).errcode).toBe(41002);
    }
  });

  it.each([
    [{ appid: 'wxunknown' }, 40013],
    [{ appid }, 41004],
    [{ appid, secret: 'wrong' }, 40002],
    [{ appid, secret: 'wrong', grant_type: 'client_credential' }, 40125],
  ])('checks the fields in the order of WeChat: %j gives %i', (fields, errcode) => {
    expect(setUp().post('/cgi-bin/stable_token', fields)['errcode']).toBe(errcode);
  });

  it('leaves the classic token alone and is left alone by it', () => {
    const { classic, stable, call, pass } = setUp();
    const [ofClassic, ofStable] = [classic()['access_token'], stable()['access_token']];
    stable(true);
    pass(300);
    expect(call(ofClassic)).toBe(0);
    const current = stable()['access_token'];
    classic();
    pass(300);
    expect([call(ofStable), call(current)]).toEqual([40001, 0]);
  });

  it('gives the same token with the time that is left, and a new one in the last five minutes', () => {
    const { stable, call, pass } = setUp();
    const first = stable();
    expect(first['expires_in']).toBe(7200);
    pass(6899);
    expect(stable()).toEqual({ ...first, expires_in: 301 });
    pass(1);
    const second = stable();
    expect(second).toMatchObject({ expires_in: 7200 });
    expect(second['access_token']).not.toBe(first['access_token']);
    pass(299);
    expect([call(first['access_token']), call(second['access_token'])]).toEqual([0, 0]);
    pass(1);
    expect([call(first['access_token']), call(second['access_token'])]).toEqual([42001, 0]);
  });

  it('has a rotation window that shrinks with the life, or is set', () => {
    for (const [settings, window] of [[{}, 4] as const, [{ rotationWindow: 1 }, 1] as const]) {
      const { stable, pass } = setUp({ life: 12, ...settings });
      const first = stable()['access_token'];
      pass(12 - window - 1);
      expect(stable()['access_token']).toBe(first);
      pass(1);
      expect(stable()['access_token']).not.toBe(first);
    }
  });

  it('lets the token die when nobody asks in time', () => {
    const { stable, call, pass } = setUp();
    const token = stable()['access_token'];
    pass(7200);
    expect(call(token)).toBe(42001);
    expect(stable()['access_token']).not.toBe(token);
  });

  it('leaves the token before a forced refresh alive for the overlap', () => {
    const { stable, call, pass } = setUp();
    const first = stable()['access_token'];
    expect(stable(true)).toMatchObject({ expires_in: 7200 });
    pass(299);
    expect(call(first)).toBe(0);
    pass(1);
    expect(call(first)).toBe(40001);
  });

  it('can end the token before a forced refresh at once', () => {
    const { stable, call } = setUp({ forceOverlap: 0 });
    const first = stable()['access_token'];
    stable(true);
    expect(call(first)).toBe(40001);
  });

  it('gives the same token again when forced twice within thirty seconds', () => {
    const { stable, pass } = setUp();
    const first = stable(true);
    pass(29);
    expect(stable(true)).toEqual({ ...first, expires_in: 7171 });
    pass(1);
    expect(stable(true)['access_token']).not.toBe(first['access_token']);
  });

  it('drives a token out at once when forced twice with thirty seconds between', () => {
    const { stable, call, pass } = setUp();
    const leaked = stable()['access_token'];
    const between = stable(true)['access_token'];
    pass(30);
    expect(call(leaked)).toBe(0);
    const latest = stable(true)['access_token'];
    expect([call(leaked), call(between), call(latest)]).toEqual([40001, 0, 0]);
  });

  it('can be forced twenty times a day, or again after a clear', () => {
    const { stable, post, pass } = setUp();
    const force = () => {
      pass(30);
      return stable(true)['errcode'];
    };
    expect(times(20, force)).toEqual(times(20, () => undefined));
    expect(force()).toBe(45009);
    expect(stable()['errcode']).toBeUndefined();
    post('/cgi-bin/clear_quota/v2', { appid, appsecret: secret });
    expect(force()).toBeUndefined();
  });

  it('takes only a JSON true for a wish to force', () => {
    const { stable, post } = setUp();
    const first = stable();
    const sloppy = { grant_type: 'client_credential', appid, secret, force_refresh: 'true' };
    expect(post('/cgi-bin/stable_token', sloppy)).toEqual(first);
  });

  it('has a quota by the minute and one by the day', () => {
    const { stable, pass } = setUp({ stablePerMinute: 3, callsPerDay: { '/cgi-bin/stable_token': 5 } });
    times(3, () => stable());
    expect(stable()).toMatchObject({
      errcode: 45011,
      errmsg: expect.stringMatching(/^api minute-quota reach limit, must slower, retry next minute/) as string,
    });
    pass(60);
    expect(stable()['errcode']).toBeUndefined();
    expect(stable()['errcode']).toBe(45009);
  });

  it('gives one token to fifty who ask at once', () => {
    const { stable } = setUp();
    expect(new Set(times(50, () => stable()['access_token'])).size).toBe(1);
  });
});

describe('tickets', () => {
  it('stay the same for any valid token of the account, always announced with a full life', () => {
    const { classic, stable, ticket, pass } = setUp();
    const first = ticket(classic()['access_token']);
    expect(first['ticket']).toMatch(/^[\w-]{86}$/);
    pass(6000);
    expect(ticket(stable()['access_token'])).toEqual({ ...first, expires_in: 7200 });
    expect(ticket(classic()['access_token'])).toEqual({ ...first, expires_in: 7200 });
  });

  it('can be announced with what is left, and change at the end of their life', () => {
    const { classic, ticket, pass } = setUp({ ticketExpiresIn: 'remaining' });
    const first = ticket(classic()['access_token'])['ticket'];
    pass(7000);
    const token = classic()['access_token'];
    expect(ticket(token)).toMatchObject({ ticket: first, expires_in: 200 });
    pass(200);
    expect(ticket(token)).toMatchObject({ expires_in: 7200 });
    expect(ticket(token)['ticket']).not.toBe(first);
  });

  it('differ by type, and know no other type', () => {
    const { classic, ticket } = setUp();
    const token = classic()['access_token'];
    const values = ['jsapi', 'wx_card', '2'].map((type) => ticket(token, type)['ticket']);
    expect(new Set(values).size).toBe(3);
    expect(ticket(token, 'sdk')['errcode']).toBe(40097);
  });

  it('outlive the tokens that fetched them', () => {
    const { world, classic, ticket } = setUp();
    const value = String(ticket(classic()['access_token'])['ticket']);
    world.killAll(appid);
    expect(world.verdict(value)).toMatchObject({ accepted: true, kind: 'jsapi', current: true });
  });

  it('have a quota of their own, and refuse a bad or missing token', () => {
    const { classic, ticket, get } = setUp({ callsPerDay: { '/cgi-bin/ticket/getticket': 1 } });
    const token = classic()['access_token'];
    expect(ticket('junk')['errcode']).toBe(40001);
    expect(get('/cgi-bin/ticket/getticket?type=jsapi')['errcode']).toBe(41001);
    ticket(token);
    expect(ticket(token)['errcode']).toBe(45009);
    expect(classic()['errcode']).toBeUndefined();
  });
});

describe('the oracle', () => {
  it('tells of a token until when it is accepted, as things stand', () => {
    const { world, clock, classic, pass } = setUp();
    const start = clock.now();
    const token = String(classic()['access_token']);
    expect(world.verdict(token)).toEqual({
      accepted: true,
      until: start + 2 * hour,
      errcode: 0,
      kind: 'classic',
      appid,
      current: true,
      issuedAt: start,
    });
    pass(60);
    world.mintElsewhere(appid);
    expect(world.verdict(token)).toMatchObject({ accepted: true, until: start + 360_000, current: false });
    pass(300);
    expect(world.verdict(token)).toMatchObject({ accepted: false, until: start + 360_000, errcode: 40001 });
    expect(world.verdict('never issued')).toMatchObject({ accepted: false, until: 0, kind: 'unknown' });
  });

  it('kills a token with the errcode that is wanted', () => {
    const { world, stable, call } = setUp();
    const token = String(stable()['access_token']);
    expect(world.kill(token, 42001)).toBe(true);
    expect(call(token)).toBe(42001);
    expect(stable()['access_token']).not.toBe(token);
    expect(world.kill('never issued')).toBe(false);
  });

  it('can kill behind the back of the stable endpoint, so that only forcing helps', () => {
    const { world, stable, call } = setUp();
    const token = String(stable()['access_token']);
    world.kill(token, 40001, { issuerUnaware: true });
    expect([call(token), stable()['access_token']]).toEqual([40001, token]);
    expect(call(stable(true)['access_token'])).toBe(0);
  });

  it('counts what was issued, and logs the calls without any secret', () => {
    const { world, classic, stable, call } = setUp();
    const token = String(classic()['access_token']);
    stable(true, { ip: '10.1.1.1' });
    call(token);
    call('junk');
    expect([world.mints(appid), world.mints(appid, 'classic'), world.mints(appid, 'jsapi')]).toEqual([2, 1, 0]);
    expect([world.count('/cgi-bin/get_api_domain_ip'), world.count('/cgi-bin/get_api_domain_ip', appid)]).toEqual([
      2, 1,
    ]);
    expect(world.calls.map(({ path, errcode, forced }) => [path, errcode, forced])).toEqual([
      ['/cgi-bin/token', 0, false],
      ['/cgi-bin/stable_token', 0, true],
      ['/cgi-bin/get_api_domain_ip', 0, false],
      ['/cgi-bin/get_api_domain_ip', 40001, false],
    ]);
    expect(world.calls[1]).toMatchObject({ ip: '10.1.1.1', appid, service: 'wechat' });
    expect(JSON.stringify(world.calls)).not.toContain(secret);
    expect(JSON.stringify(world.calls)).not.toContain(token);
    world.clearCalls();
    expect([world.calls.length, world.count('/cgi-bin/token')]).toEqual([0, 0]);
  });

  it('keeps no more calls than it was told to', () => {
    const { world, call } = setUp();
    world.reconfigure({ logged: 3 });
    times(20, () => call('junk'));
    expect(world.calls).toHaveLength(3);
    expect(world.count('/cgi-bin/get_api_domain_ip')).toBe(20);
  });

  it('repeats itself exactly for one seed, and only for that', () => {
    const run = (seed: number) => {
      const { classic, stable, ticket, call } = setUp({}, seed);
      return [stable(), ticket(classic()['access_token']), call('junk')];
    };
    expect(run(7)).toEqual(run(7));
    expect(run(7)).not.toEqual(run(8));
  });
});
