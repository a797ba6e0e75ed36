import { request } from 'node:http';
import { DrivenClock } from './clock.js';
import type { Fault } from './faults.js';
import { Simulator } from './server.js';
import { pageSignature } from './signature.js';
import { World } from './world.js';

const appid = 'wx00000000000000aa';
const secret = 'obviously-not-a-secret';
const tokenTarget = `/cgi-bin/token?grant_type=client_credential&appid=${appid}&secret=${secret}`;

describe('the simulator over HTTP', () => {
  let simulator: Simulator;

  beforeEach(async () => {
    simulator = await Simulator.start({ world: new World({ clock: new DrivenClock() }) });
    simulator.world.account({ appid, secret, kind: 'official-account' });
    simulator.world.corp({ corpid: 'ww1', agents: [{ agentid: 1, secret: 'corp-secret' }] });
  });

  afterEach(async () => {
    await simulator.stop();
  });

  const get = async (target: string, headers: Record<string, string> = {}) => {
    const response = await fetch(simulator.url + target, { headers });
    return (await response.json()) as Record<string, unknown>;
  };

  const drive = async (method: string, target: string, json?: unknown) => {
    const body = json === undefined ? {} : { body: JSON.stringify(json) };
    const response = await fetch(`${simulator.url}/simulator/${target}`, { method, ...body });
    return { status: response.status, ...((await response.json()) as Record<string, unknown>) };
  };

  it('answers for both services on one port, and for WeCom alone on the other', async () => {
    expect(simulator.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(await get(tokenTarget)).toMatchObject({ expires_in: 7200 });
    const { access_token } = await get('/cgi-bin/gettoken?corpid=ww1&corpsecret=corp-secret');
    expect(await get(`/cgi-bin/getcallbackip?access_token=${String(access_token)}`)).toMatchObject({ errcode: 0 });
    const response = await fetch(`${simulator.wecomUrl}/cgi-bin/getcallbackip?access_token=junk`);
    expect(response.headers.get('error-code')).toBe('40014');
  });

  it('sees the address that a test pretends to have', async () => {
    simulator.world.account({ appid, secret, kind: 'official-account', whitelist: ['10.9.8.7'] });
    expect(await get(tokenTarget)).toMatchObject({ errcode: 40164 });
    expect(await get(tokenTarget, { 'x-sim-ip': '10.9.8.7' })).toMatchObject({ expires_in: 7200 });
  });

  it('notices a POST without Content-Length', async () => {
    const send = (length?: number) =>
      new Promise<number | undefined>((resolve, reject) => {
        const headers = length === undefined ? {} : { 'content-length': length };
        const outgoing = request(`${simulator.url}/cgi-bin/stable_token`, { method: 'POST', headers }, (response) => {
          response.resume();
          resolve(response.statusCode);
        });
        outgoing.once('error', reject);
        outgoing.flushHeaders();
        outgoing.end('{}');
      });
    expect(await send()).toBe(412);
    expect(await send(2)).toBe(200);
  });

  it.each([false, true])('drops the connection, before or after the call took effect: %p', async (executed) => {
    simulator.world.faults.add({ kind: 'reset', executed, times: 1 });
    await expect(get(tokenTarget)).rejects.toThrow('fetch failed');
    expect(simulator.world.mints(appid)).toBe(executed ? 1 : 0);
    expect(await get(tokenTarget)).toMatchObject({ expires_in: 7200 });
  });

  it('leaves a call without an answer, and can be stopped all the same', async () => {
    const faults: Fault[] = [
      { kind: 'hang' },
      { kind: 'slow', milliseconds: 60_000 },
      { kind: 'drip', milliseconds: 9000 },
    ];
    for (const fault of faults) simulator.world.faults.add({ ...fault, times: 1 });
    const waiting = Promise.allSettled(faults.map(() => get(tokenTarget)));
    while (simulator.world.calls.length < 3) await new Promise((resolve) => setImmediate(resolve));
    await simulator.stop();
    expect((await waiting).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
  });

  it('lets an answer drip and arrive whole', async () => {
    simulator.world.faults.add({ kind: 'drip', milliseconds: 0, times: 1 });
    const { access_token } = await get(tokenTarget);
    expect(simulator.world.verdict(String(access_token)).accepted).toBe(true);
  });

  it('survives a header that cannot be sent and a path that cannot be read', async () => {
    simulator.world.faults.add({ kind: 'errcode', errcode: 40001, errmsg: '错误\n', times: 1 });
    expect(await get('/cgi-bin/gettoken')).toMatchObject({ errcode: 40001 });
    expect(await drive('GET', '%E0%A4%A')).toMatchObject({ status: 404 });
  });

  it('is driven by its control API: verdict, kill, clock, mint elsewhere', async () => {
    const { access_token } = await get(tokenTarget);
    const value = String(access_token);
    const verdict = () => drive('GET', `verdict?value=${value}`);
    expect(await verdict()).toMatchObject({ accepted: true, kind: 'classic', appid });
    await drive('POST', 'mint-elsewhere', { appid });
    expect(await verdict()).toMatchObject({ accepted: true, current: false });
    await drive('POST', 'clock', { advance: 300 });
    expect(await verdict()).toMatchObject({ accepted: false, errcode: 40001 });

    const { access_token: next } = await get(tokenTarget);
    expect(await drive('POST', 'kill', { value: next, errcode: 40014 })).toMatchObject({ killed: 1 });
    expect(simulator.world.verdict(String(next)).errcode).toBe(40014);
    expect(await drive('POST', 'kill', { appid })).toMatchObject({ killed: 1 });
    expect(await drive('POST', 'kill', { value: 'never issued' })).toMatchObject({ status: 404 });
  });

  it('is driven by its control API: faults, outages, calls, mints', async () => {
    await drive('POST', 'faults', { kind: 'errcode', errcode: 45011, path: '/cgi-bin/token' });
    expect(await get(tokenTarget)).toMatchObject({ errcode: 45011 });
    await drive('DELETE', 'faults');
    expect(await get(tokenTarget)).toMatchObject({ expires_in: 7200 });
    expect(await drive('POST', 'faults', { kind: 'gremlins' })).toMatchObject({ status: 400 });

    await drive('POST', 'outage', { host: '127.0.0.1', down: true });
    await expect(get(tokenTarget)).rejects.toThrow('fetch failed');
    await drive('POST', 'outage', { host: '127.0.0.1', down: false });

    expect(await drive('GET', `calls?path=/cgi-bin/token&appid=${appid}`)).toMatchObject({
      counts: { '/cgi-bin/token': 3 },
      calls: [{ errcode: 45011, fault: 'errcode' }, { errcode: 0 }, { fault: 'outage' }],
    });
    expect(await drive('GET', `mints?appid=${appid}`)).toMatchObject({ mints: 1 });
    await drive('DELETE', 'calls');
    expect(simulator.world.calls).toEqual([]);
  });

  it('is driven by its control API: accounts and switches', async () => {
    const added = { appid: 'wxnew', secret: 's', kind: 'mini-program', life: 12 };
    expect(await drive('POST', 'accounts', added)).toMatchObject({ status: 201 });
    const corp = { corpid: 'wwnew', agents: [{ agentid: 7, secret: 't' }] };
    expect(await drive('POST', 'accounts', corp)).toMatchObject({ status: 201 });
    expect(await get('/cgi-bin/gettoken?corpid=wwnew&corpsecret=t')).toMatchObject({ errcode: 0 });
    const target = '/cgi-bin/token?grant_type=client_credential&appid=wxnew&secret=s';
    expect(await get(target)).toMatchObject({ expires_in: 12 });
    await drive('PATCH', 'accounts/wxnew', { secret: 'changed', confirmsAddresses: true });
    expect(await get(target)).toMatchObject({ errcode: 40125 });
    expect(await get(target.replace(/s$/, 'changed'))).toMatchObject({ errcode: 89503 });
    await drive('POST', 'confirmations', { appid: 'wxnew', ip: '127.0.0.1' });
    expect(await get(target.replace(/s$/, 'changed'))).toMatchObject({ expires_in: 12 });

    expect(await drive('PATCH', 'accounts/wxnew', { lief: 5 })).toMatchObject({ status: 400 });
    expect(await drive('PATCH', 'accounts/wxnew', { life: '5' })).toMatchObject({ status: 400 });
    expect(await drive('PATCH', 'accounts/nobody', {})).toMatchObject({ status: 404 });
    expect(await drive('POST', 'accounts', { appid: 'wxbad', secret: 's' })).toMatchObject({ status: 400 });
    await drive('PATCH', 'world', { plainText: true });
    expect(simulator.world.switches.plainText).toBe(true);
  });

  it('judges signatures as a page in WeChat would', async () => {
    const token = simulator.world.mintElsewhere(appid);
    const { ticket } = await get(`/cgi-bin/ticket/getticket?access_token=${token}&type=jsapi`);
    const page = { noncestr: 'n', timestamp: '1', url: 'https://example.test/' };
    const signature = pageSignature(String(ticket), page);
    expect(await drive('POST', 'verify-signature', { appid, ...page, signature })).toMatchObject({ ok: true });
    expect(await drive('POST', 'verify-signature', { appid, ...page, signature: 'x' })).toMatchObject({
      ok: false,
      error: 'invalid signature',
    });
  });
});
