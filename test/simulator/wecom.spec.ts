import type { Answer, Request } from './answer.js';
import { DrivenClock } from './clock.js';
import { World, type NewCorp } from './world.js';

const corpid = 'ww00000000000000aa';
const secrets = { 1: 'obviously-not-a-secret-1', 2: 'obviously-not-a-secret-2', 3: 'obviously-not-a-secret-3' };
const agents = [
  { agentid: 1, secret: secrets[1] },
  { agentid: 2, secret: secrets[2] },
  { agentid: 3, secret: secrets[3], purpose: 'contacts' as const },
];

/** One world with one corp, and short ways of asking it. */
function setUp(settings: Partial<NewCorp> = {}) {
  const clock = new DrivenClock();
  const world = new World({ clock });
  const corp = world.corp({ corpid, agents, ...settings });
  const send = (target: string, more: Partial<Request> = {}) =>
    world.answer({ method: 'GET', target, host: 'qyapi.weixin.qq.com', ...more });
  const get = (target: string, more: Partial<Request> = {}) => fieldsOf(send(target, more));
  const gettoken = (agent: 1 | 2 | 3 = 1, more: Partial<Request> = {}) =>
    get(`/cgi-bin/gettoken?corpid=${corpid}&corpsecret=${secrets[agent]}`, more);
  const token = (agent: 1 | 2 | 3 = 1) => String(gettoken(agent)['access_token']);
  const call = (value: string, more: Partial<Request> = {}) =>
    get(`/cgi-bin/user/list?access_token=${value}`, more)['errcode'];
  const pass = (seconds: number) => {
    clock.advance(seconds * 1000);
  };
  return { world, corp, send, get, gettoken, token, call, pass };
}

function fieldsOf(answer: Answer): Record<string, unknown> {
  return JSON.parse(answer.body) as Record<string, unknown>;
}

function times<T>(count: number, act: () => T): T[] {
  return Array.from({ length: count }, act);
}

describe('transport of WeCom', () => {
  it('repeats the result in headers', () => {
    const { send } = setUp();
    expect(send('/cgi-bin/user/list?access_token=junk').headers).toMatchObject({
      'content-type': 'application/json; charset=UTF-8',
      'error-code': '40014',
      'error-msg': expect.stringMatching(/^invalid access_token, hint/) as string,
    });
  });

  it('keeps the empty fields of the API in its refusals', () => {
    const { get } = setUp();
    expect(get('/cgi-bin/getcallbackip?access_token=junk')).toMatchObject({ ip_list: [], errcode: 40014 });
    expect(get('/cgi-bin/department/list')).toMatchObject({ department: [], errcode: 41001 });
  });

  it('ends its error texts with hint, address and link', () => {
    expect(setUp().get('/cgi-bin/gettoken?corpid=x&corpsecret=y', { ip: '10.2.3.4' })['errmsg']).toMatch(
      /^invalid corpid, hint: \[\d+_\d+_[0-9a-f]{32}\], from ip: 10\.2\.3\.4, more info at https:\/\/open\.work\.weixin\.qq\.com\/devtool\/query\?e=40013$/,
    );
  });

  it('answers an unknown path with an empty 404, and sends http to https when told to', () => {
    const { world, send } = setUp();
    expect(send('/unknown')).toMatchObject({ status: 404, body: '', errcode: null });
    world.reconfigure({ requireHttps: true });
    expect(send('/cgi-bin/gettoken?a=b')).toMatchObject({
      status: 301,
      headers: { location: 'https://qyapi.weixin.qq.com/cgi-bin/gettoken?a=b' },
    });
  });

  it('is told from the official accounts by path, or by whose token it is', () => {
    const { world, token } = setUp();
    world.account({ appid: 'wx1', secret: 'x', kind: 'official-account' });
    const ask = (target: string) => world.answer({ method: 'GET', target });
    expect(ask('/cgi-bin/gettoken').headers['error-code']).toBe('41004');
    expect(fieldsOf(ask(`/cgi-bin/get_api_domain_ip?access_token=${token()}`))['errcode']).toBe(0);
    const ofAccount = world.mintElsewhere('wx1');
    expect(fieldsOf(ask(`/cgi-bin/get_api_domain_ip?access_token=${ofAccount}`))['errcode']).toBeUndefined();
    expect(setUp().call(ofAccount)).toBe(40014);
  });
});

describe('gettoken', () => {
  it('gives the same token while it is valid, with the time that is left, and then another', () => {
    const { gettoken, pass } = setUp();
    const first = gettoken();
    expect(first).toMatchObject({ errcode: 0, errmsg: 'ok', expires_in: 7200 });
    pass(7199);
    expect(gettoken()).toEqual({ ...first, expires_in: 1 });
    pass(1);
    expect(gettoken()['access_token']).not.toBe(first['access_token']);
  });

  it('can always announce the full life', () => {
    const { gettoken, pass } = setUp({ expiresIn: 'full' });
    gettoken();
    pass(7000);
    expect(gettoken()['expires_in']).toBe(7200);
  });

  it.each([
    ['', 41004],
    [`corpid=${corpid}`, 41004],
    ['corpid=unknown&corpsecret=wrong', 40013],
    [`corpid=${corpid}&corpsecret=wrong`, 40001],
  ])('checks secret, corp and match in that order: %s gives %i', (query, errcode) => {
    expect(setUp().get(`/cgi-bin/gettoken?${query}`)['errcode']).toBe(errcode);
  });

  it('asks for no trusted address, unlike the business APIs, which check it first', () => {
    const { corp, gettoken, token, call, pass } = setUp({ trustedIps: ['10.0.0.1'] });
    expect(gettoken()['errcode']).toBe(0);
    const value = token();
    expect([call(value), call(value, { ip: '10.0.0.1' })]).toEqual([60020, 0]);
    corp.reconfigure({ trustedIps: ['127.0.0.1'] });
    pass(59);
    expect(call(value)).toBe(60020);
    pass(1);
    expect(call(value)).toBe(0);
  });

  it('gives each application a token that opens no other', () => {
    const { token, get, world } = setUp();
    expect(token(1)).not.toBe(token(2));
    const look = (value: string, agentid: number) =>
      get(`/cgi-bin/agent/get?access_token=${value}&agentid=${agentid}`)['errcode'];
    expect([look(token(1), 1), look(token(1), 2), look(token(3), 3)]).toEqual([0, 301002, 48002]);
    const send = (agentid: number) =>
      get(`/cgi-bin/message/send?access_token=${token(1)}`, { method: 'POST', body: JSON.stringify({ agentid }) });
    expect([send(1)['errcode'], send(2)['errcode']]).toEqual([0, 301002]);
    expect(world.verdict(token(2))).toMatchObject({ kind: 'wecom', appid: corpid, agentid: 2 });
  });

  it('can let tokens die early, or live on beside their successors', () => {
    const early = setUp({ afterlife: -3600 });
    const dying = early.token();
    early.pass(3600);
    expect(early.call(dying)).toBe(42001);
    expect(early.token()).not.toBe(dying);

    const late = setUp({ afterlife: 7200 });
    const lasting = late.token();
    late.pass(7200);
    expect(late.token()).not.toBe(lasting);
    late.pass(7199);
    expect(late.call(lasting)).toBe(0);
    late.pass(1);
    expect(late.call(lasting)).toBe(42001);
  });

  it('shuts an address out for an hour after too many wrong secrets', () => {
    const { world, get, gettoken, pass } = setUp();
    world.reconfigure({ wrongSecretsPerHour: 3 });
    const guess = () => get(`/cgi-bin/gettoken?corpid=${corpid}&corpsecret=guess`, { ip: '6.6.6.6' })['errcode'];
    expect(times(4, guess)).toEqual([40001, 40001, 40001, 45009]);
    expect(gettoken(1, { ip: '6.6.6.6' })['errcode']).toBe(45009);
    expect(gettoken()['errcode']).toBe(0);
    pass(3600);
    expect(gettoken(1, { ip: '6.6.6.6' })['errcode']).toBe(0);
  });

  it('takes a reset secret and a disabled application for a wrong secret', () => {
    const { corp, gettoken, token, call } = setUp();
    const [first, second] = [token(1), token(2)];
    corp.reconfigure({
      agents: [
        { agentid: 1, secret: 'reset' },
        { agentid: 2, secret: secrets[2], disabled: true },
      ],
    });
    expect([gettoken(1)['errcode'], gettoken(2)['errcode']]).toEqual([40001, 40001]);
    expect([call(first), call(second)]).toEqual([40014, 50003]);
  });
});

describe('business APIs of WeCom', () => {
  it('read the token from the query alone', () => {
    const { token, send } = setUp();
    const value = token();
    const elsewhere = { headers: { authorization: `Bearer ${value}` }, body: JSON.stringify({ access_token: value }) };
    expect(send('/cgi-bin/user/list', { method: 'POST', ...elsewhere }).errcode).toBe(41001);
  });

  it('tell junk, tickets and aged tokens apart', () => {
    const { token, call, get, pass } = setUp();
    const value = token();
    const ticket = String(get(`/cgi-bin/get_jsapi_ticket?access_token=${value}`)['ticket']);
    expect([call('junk'), call(ticket)]).toEqual([40014, 40014]);
    pass(7200);
    expect(call(value)).toBe(42001);
  });

  it('block for a minute after too many calls in a minute', () => {
    const { token, call, pass, get } = setUp({ callsPerMinute: 2 });
    const value = token();
    expect(times(3, () => call(value))).toEqual([0, 0, 45009]);
    expect(get(`/cgi-bin/department/list?access_token=${value}`)['errcode']).toBe(0);
    pass(59);
    expect(call(value)).toBe(45009);
    pass(1);
    expect(call(value)).toBe(0);
  });

  it('block for an hour after too many calls in an hour', () => {
    const { token, call, pass } = setUp({ callsPerHour: 2 });
    const value = token();
    expect(times(3, () => call(value))).toEqual([0, 0, 45009]);
    pass(3599);
    expect(call(value)).toBe(45009);
    pass(1);
    expect(call(value)).toBe(0);
  });
});

describe('tickets of WeCom', () => {
  it('belong to the corp for wx.config and to the application for wx.agentConfig', () => {
    const { token, get } = setUp();
    const ofCorp = (agent: 1 | 2) => get(`/cgi-bin/get_jsapi_ticket?access_token=${token(agent)}`);
    const ofApp = (agent: 1 | 2) => get(`/cgi-bin/ticket/get?access_token=${token(agent)}&type=agent_config`);
    expect(ofCorp(1)).toMatchObject({ errcode: 0, errmsg: 'ok', expires_in: 7200 });
    expect(ofCorp(1)['ticket']).toBe(ofCorp(2)['ticket']);
    expect(ofApp(1)['ticket']).not.toBe(ofApp(2)['ticket']);
    expect(get(`/cgi-bin/ticket/get?access_token=${token()}&type=other`)['errcode']).toBe(40097);
  });

  it('keep value and announced life until they end', () => {
    const { token, get, pass } = setUp();
    const fetch = () => get(`/cgi-bin/get_jsapi_ticket?access_token=${token()}`);
    const first = fetch();
    pass(7199);
    expect(fetch()).toEqual(first);
    pass(1);
    expect(fetch()['ticket']).not.toBe(first['ticket']);
  });

  it('may be fetched so often in an hour by an application, and so often by the corp', () => {
    const { token, get } = setUp({ agentTicketsPerHour: 2, corpTicketsPerHour: 3 });
    const fetch = (agent: 1 | 2) => get(`/cgi-bin/get_jsapi_ticket?access_token=${token(agent)}`)['errcode'];
    expect([fetch(1), fetch(1)]).toEqual([0, 0]);
    expect(fetch(2)).toBe(0);
    expect(fetch(2)).toBe(45009);
    const one = setUp({ agentTicketsPerHour: 2 });
    const again = () => one.get(`/cgi-bin/get_jsapi_ticket?access_token=${one.token()}`)['errcode'];
    expect(times(3, again)).toEqual([0, 0, 45009]);
  });
});
