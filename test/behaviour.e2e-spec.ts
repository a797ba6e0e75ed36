import { writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { APPID, APPSECRET, type Reply, Stage } from './hub.fixture.js';

const many = <T>(count: number, one: (i: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, i) => one(i)));
const texts = (replies: readonly Reply[]): Set<string> => new Set(replies.map(({ text }) => text));
const statuses = (replies: readonly Reply[]): Set<number> => new Set(replies.map(({ status }) => status));
const rotated = (token: string): string => `/access-token?rotate_token=${encodeURIComponent(token)}`;

describe('a hub with one app', () => {
  let stage: Stage;
  afterEach(() => stage.strike());
  const count = (path: string): number => stage.simulator.world.count(path);
  const token = async (): Promise<string> => (await stage.ask('/access-token')).text;

  describe('on the classic endpoint', () => {
    beforeEach(async () => (stage = await Stage.set()));

    it('gives the access token as bare text, and as JSON with its honest life', async () => {
      const text = await stage.ask('/access-token');
      const json = await stage.ask('/apps/default/access-token');
      const { accepted, until } = stage.simulator.world.verdict(text.text);
      expect(accepted).toBe(true);
      expect(json.json).toMatchObject({ app: 'default', appid: APPID, kind: 'access-token', access_token: text.text });
      const { expires_in: expiresIn, expires_at: expiresAt, refresh_after: refreshAfter } = json.json;
      expect(expiresIn).toBeGreaterThan(7190);
      expect(Date.now() + Number(expiresIn) * 1000).toBeLessThanOrEqual(until);
      expect(Date.parse(String(expiresAt))).toBeLessThanOrEqual(until);
      expect(refreshAfter).toBeGreaterThan(6890);
      expect(refreshAfter).toBeLessThan(7190);
    });

    it('asks WeChat once for 500 cold readers', async () => {
      const replies = await many(500, () => stage.ask('/access-token'));
      expect([statuses(replies), texts(replies).size]).toEqual([new Set([200]), 1]);
      expect(count('/cgi-bin/token')).toBe(1);
    });

    it('asks WeChat once for 500 rotations of one value, and not at all for old ones', async () => {
      const old = await token();
      const replies = await many(500, () => stage.ask(rotated(old)));
      expect([statuses(replies), texts(replies).size]).toEqual([new Set([200]), 1]);
      expect(texts(replies)).not.toContain(old);
      await many(50, () => stage.ask(rotated(old)));
      expect(count('/cgi-bin/token')).toBe(2);
    });

    it('asks nothing for 2,000 warm reads', async () => {
      const value = await token();
      for (let i = 0; i < 20; i += 1) {
        expect(texts(await many(100, () => stage.ask('/access-token')))).toEqual(new Set([value]));
      }
      expect(stage.simulator.world.calls).toHaveLength(1);
    });

    it('starts again without a call, tickets included', async () => {
      const value = await token();
      const ticket = (await stage.ask('/ticket?type=jsapi')).text;
      const calls = stage.simulator.world.calls.length;
      await stage.restart();
      expect(await token()).toBe(value);
      expect((await stage.ask('/ticket?type=jsapi')).text).toBe(ticket);
      expect(stage.simulator.world.calls).toHaveLength(calls);
    });

    it('refuses the fourth rotation in a row, says when to come again, and keeps the value', async () => {
      let value = await token();
      for (let i = 0; i < 3; i += 1) value = (await stage.ask(rotated(value))).text;
      const refused = await stage.ask(rotated(value));
      expect(refused).toMatchObject({ status: 429, json: { type: '/problems/rotation-budget', status: 429 } });
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(25);
      expect(await token()).toBe(value);
      expect(count('/cgi-bin/token')).toBe(4);
    });

    it('serves on while WeChat is away, and says so only to whoever needs more', async () => {
      const value = await token();
      stage.simulator.world.faults.add({ kind: 'reset' });
      expect(await stage.ask('/access-token')).toMatchObject({ status: 200, text: value });
      const rotation = await stage.ask(rotated(value));
      expect(rotation).toMatchObject({ status: 503, json: { type: '/problems/not-replaced' } });
      expect(Number(rotation.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
      expect(await stage.ask('/access-token')).toMatchObject({ status: 200, text: value });
      expect((await stage.ask('/health/ready', { token: null })).json['status']).toBe('degraded');
    });

    it('answers a crowd with what WeChat refused, at the cost of one call', async () => {
      stage.simulator.world.faults.add({ kind: 'errcode', errcode: 45009 });
      const replies = await many(200, () => stage.ask('/access-token'));
      expect(statuses(replies)).toEqual(new Set([502]));
      expect(count('/cgi-bin/token')).toBe(1);
    });

    it('fails fast for a crowd while nothing is usable, at the cost of one call', async () => {
      stage.simulator.world.faults.add({ kind: 'status', status: 502 });
      // All of them within the second after which WeChat is asked again, on a busy machine, too.
      const replies = await many(50, () => stage.ask('/access-token'));
      expect(statuses(replies)).toEqual(new Set([503]));
      expect(count('/cgi-bin/token')).toBe(1);
    });

    it.each([
      ['40164', { whitelist: ['10.9.8.7'] }, 40164, /127\.0\.0\.1/],
      ['a frozen account', { banCode: 50007 }, 50007, /frozen/],
      ['a used up quota', { callsPerDay: { '/cgi-bin/token': 0 } }, 45009, /quota/],
    ])('passes on what WeChat says of %s, with what to do about it', async (_, account, errcode, advice) => {
      const found = stage.simulator.world.find(APPID);
      if (found && 'confirmAddress' in found) found.reconfigure(account);
      const reply = await stage.ask('/access-token');
      expect(reply).toMatchObject({ status: 502, json: { type: '/problems/wechat-refused', errcode } });
      expect(reply.json['detail']).toMatch(advice);
      expect(reply.json['errmsg']).toEqual(expect.any(String));
      expect(reply.json['rid']).toMatch(/^[0-9a-f]{8}-/);
      expect(reply.text).not.toContain(APPSECRET);
      const ready = await stage.ask('/health/ready', { token: null });
      expect(ready).toMatchObject({ status: 200, json: { status: 'degraded' } });
      expect(ready.text).toContain(`"errcode":${errcode}`);
      expect(ready.text).toContain(`"met_by":"${hostname()}"`);
    });

    it('says how each credential is, once: among the details', async () => {
      await token();
      const { json } = await stage.ask('/health/ready', { token: null });
      expect(json).toMatchObject({
        info: { credentials: { status: 'up' } },
        details: { credentials: { status: 'up', credentials: [{ kind: 'access-token', state: 'good' }] } },
      });
      expect(json['info']).not.toHaveProperty('credentials.credentials');
    });

    it.each([
      ['an empty token', { access_token: '' }],
      ['a token of several lines', { access_token: 'a\nb' }],
      ['a token that is no text', { access_token: 12 }],
      ['a life in words', { expires_in: '7200' }],
      ['no life', { expires_in: 0 }],
      ['a negative life', { expires_in: -1 }],
      ['an errcode in words', { errcode: 'none' }],
    ])('does not keep %s', async (_, fields) => {
      stage.simulator.world.faults.add({ kind: 'fields', fields, times: 1 });
      expect((await stage.ask('/access-token')).status).toBe(503);
      expect((await stage.ask('/health/ready', { token: null })).text).toContain('unusable');
    });

    it('replaces a dead access token when a ticket needs it, once, and goes on', async () => {
      const dead = await token();
      stage.simulator.world.kill(dead);
      const ticket = await stage.ask('/ticket?type=wx_card');
      expect(stage.simulator.world.verdict(ticket.text)).toMatchObject({ accepted: true, kind: 'wx_card' });
      expect(await token()).not.toBe(dead);
      expect([count('/cgi-bin/token'), count('/cgi-bin/ticket/getticket')]).toEqual([2, 2]);
      expect((await stage.ask('/health/ready', { token: null })).text).toContain('"foreign_mints":1');
    });

    it('does not burn tokens on a ticket that WeChat refuses with every token', async () => {
      stage.simulator.world.faults.add({ kind: 'errcode', errcode: 40001, path: '/cgi-bin/ticket/getticket' });
      for (let i = 0; i < 20; i += 1) expect((await stage.ask('/ticket?type=jsapi')).status).toBe(502);
      expect([count('/cgi-bin/token'), count('/cgi-bin/ticket/getticket')]).toEqual([2, 2]);
    });

    it('hears of an old token without asking WeChat', async () => {
      const old = await token();
      const { text: present } = await stage.ask(rotated(old));
      const reply = await stage.post('/apps/default/access-token/report', { token: old, errcode: 40001, rid: 'x' });
      expect(reply.json).toMatchObject({ verdict: 'superseded', access_token: present });
      expect(count('/cgi-bin/get_api_domain_ip')).toBe(0);
    });

    it('asks WeChat once, however many report, and keeps a token that is alive', async () => {
      const value = await token();
      // Long enough for all of them to come, on however busy a machine.
      stage.simulator.world.faults.add({ kind: 'slow', milliseconds: 2000, path: '/cgi-bin/get_api_domain_ip' });
      const replies = await many(50, () => stage.post('/apps/default/access-token/report', { token: value }));
      for (const { json } of replies) expect(json).toMatchObject({ verdict: 'alive', access_token: value });
      expect([count('/cgi-bin/get_api_domain_ip'), count('/cgi-bin/token')]).toEqual([1, 1]);
    });

    it('replaces a token that WeChat says is dead, once, however many report it', async () => {
      const { version, access_token: dead } = (await stage.ask('/apps/default/access-token')).json;
      stage.simulator.world.kill(String(dead));
      const replies = await many(50, () => stage.post('/apps/default/access-token/report', { version }));
      expect(replies.map(({ json }) => json['verdict'])).toContain('replaced');
      expect(replies.map(({ json }) => json['verdict'])).not.toContain('alive');
      expect(new Set(replies.map(({ json }) => json['access_token']))).toEqual(new Set([await token()]));
      expect([count('/cgi-bin/get_api_domain_ip'), count('/cgi-bin/token')]).toEqual([1, 2]);
      expect((await stage.ask('/health/ready', { token: null })).text).toContain('"foreign_mints":1');
    });

    it('asks again for a later report, but not within ten seconds', async () => {
      const value = await token();
      const begun = Date.now();
      await stage.post('/apps/default/access-token/report', { token: value });
      stage.simulator.world.kill(value);
      const reply = await stage.post('/apps/default/access-token/report', { token: value });
      expect(reply.json['verdict']).toBe('replaced');
      expect(Date.now() - begun).toBeGreaterThan(9_900);
      expect(count('/cgi-bin/get_api_domain_ip')).toBe(2);
    });

    it('leaves a token alone when WeChat does not say whether it is alive', async () => {
      const value = await token();
      stage.simulator.world.faults.add({ kind: 'errcode', errcode: -1, path: '/cgi-bin/get_api_domain_ip' });
      const reply = await stage.post('/apps/default/access-token/report', { token: value });
      expect(reply).toMatchObject({ status: 502, json: { errcode: -1 } });
      expect(reply.headers.get('retry-after')).not.toBeNull();
      expect(await token()).toBe(value);
    });

    it('serves nothing that WeChat said is dead, though it gives no other', async () => {
      const dead = await token();
      stage.simulator.world.kill(dead);
      stage.simulator.world.faults.add({ kind: 'errcode', errcode: -1, path: '/cgi-bin/token' });
      expect((await stage.post('/apps/default/access-token/report', { token: dead })).status).toBe(502);
      const read = await stage.ask('/access-token');
      expect([read.status, read.text.includes(dead)]).toEqual([502, false]);
    });
  });

  describe('on the stable endpoint', () => {
    beforeEach(async () => (stage = await Stage.set({ WECHAT_TOKEN_ENDPOINT: 'stable' })));

    it('asks normally, and forces only when the value to rotate comes back, 31 s apart', async () => {
      const first = await token();
      const { text: second } = await stage.ask(rotated(first));
      expect(second).not.toBe(first);
      const forced = stage.simulator.world.calls.map((call) => call.forced);
      expect(forced).toEqual([false, false, true]);
      const tooSoon = await stage.ask(rotated(second));
      expect(tooSoon.status).toBe(429);
      expect(Number(tooSoon.headers.get('retry-after'))).toBeLessThanOrEqual(31);
      expect(await token()).toBe(second);
    });

    it('remembers over a restart how often it has forced', async () => {
      const { text: second } = await stage.ask(rotated(await token()));
      await stage.restart();
      expect((await stage.ask(rotated(second))).status).toBe(429);
    });

    it('takes the token that somebody else has forced, without forcing', async () => {
      const first = await token();
      stage.simulator.world.kill(first);
      const reply = await stage.post('/apps/default/access-token/report', { token: first });
      expect(reply.json['verdict']).toBe('replaced');
      expect(stage.simulator.world.verdict(String(reply.json['access_token'])).accepted).toBe(true);
    });
  });
});

describe('a hub with many apps', () => {
  let stage: Stage;
  let file: string;
  const config = (apps: object, clients: object = {}): void => writeFileSync(file, JSON.stringify({ apps, clients }));
  const shop = { platform: 'official-account', appid: 'wxshop', secret: { env: 'SHOP' }, endpoint: 'stable' };
  const mini = { platform: 'mini-program', appid: 'wxmini', secret: { env: 'MINI' } };
  const crm = { platform: 'wecom', corpid: 'wwcrm', agentid: 1, secret: { file: 'crm.secret' } };

  beforeEach(async () => {
    stage = await Stage.set();
    file = join(stage.dataDir, 'hub.json');
    writeFileSync(join(stage.dataDir, 'crm.secret'), 'crm-secret\n');
    const { world } = stage.simulator;
    world.account({ appid: 'wxshop', secret: 'shop-secret', kind: 'official-account' });
    world.account({ appid: 'wxmini', secret: 'mini-secret', kind: 'mini-program' });
    world.corp({ corpid: 'wwcrm', agents: [{ agentid: 1, secret: 'crm-secret' }] });
    config({ shop, mini, crm });
    await stage.restart({ HUB_CONFIG: file, SHOP: 'shop-secret', MINI: 'mini-secret' });
  });
  afterEach(() => stage.strike());

  const value = async (path: string): Promise<string> =>
    (await stage.ask(path, { headers: { Accept: 'text/plain' } })).text;
  /** Waits until the hub has taken over what was just written. */
  const until = async (isSo: () => Promise<boolean>): Promise<void> => {
    const end = Date.now() + 5000;
    while (!(await isSo())) if (Date.now() > end) throw new Error('the hub did not follow its configuration');
  };
  const status = async (path: string): Promise<number> => (await stage.ask(path)).status;

  it('never gives one app what is another one’s', async () => {
    const replies = await many(200, (i) =>
      stage.ask(`/apps/${['default', 'shop', 'mini', 'crm'][i % 4] ?? ''}/access-token`),
    );
    const owners = { default: APPID, shop: 'wxshop', mini: 'wxmini', crm: 'wwcrm' };
    for (const { json } of replies) {
      const owner = owners[json['app'] as keyof typeof owners];
      expect(stage.simulator.world.verdict(String(json['access_token']))).toMatchObject({
        accepted: true,
        appid: owner,
      });
      expect(json['appid']).toBe(owner);
    }
    expect(stage.simulator.world.calls).toHaveLength(4);
  });

  it('serves the tickets of every platform', async () => {
    for (const [app, types] of Object.entries({
      shop: ['jsapi', 'wx_card', 'sdk', '2'],
      crm: ['jsapi', 'agent_config'],
    })) {
      for (const type of types) {
        const ticket = await value(`/apps/${app}/ticket?type=${type}`);
        expect(stage.simulator.world.verdict(ticket)).toMatchObject({
          accepted: true,
          kind: type === 'sdk' ? '2' : type,
        });
      }
    }
    expect(await status('/apps/crm/ticket?type=wx_card')).toBe(400);
  });

  it('takes 40001 of WeCom for a wrong secret, and does not hammer', async () => {
    writeFileSync(join(stage.dataDir, 'crm.secret'), 'wrong');
    await stage.restart({ HUB_CONFIG: file, SHOP: 'shop-secret', MINI: 'mini-secret' });
    for (let i = 0; i < 20; i += 1) {
      const reply = await stage.ask('/apps/crm/access-token');
      expect(reply).toMatchObject({ status: 502, json: { errcode: 40001 } });
      expect(reply.json['detail']).toMatch(/secret is wrong/);
    }
    expect(stage.simulator.world.count('/cgi-bin/gettoken')).toBe(1);
    writeFileSync(join(stage.dataDir, 'crm.secret'), 'crm-secret');
    await until(async () => (await status('/apps/crm/access-token')) === 200);
  });

  it('replaces a WeCom token that died early', async () => {
    const dead = await value('/apps/crm/access-token');
    stage.simulator.world.kill(dead, 42001);
    const reply = await stage.post('/apps/crm/access-token/report', { token: dead });
    expect(reply.json['verdict']).toBe('replaced');
    expect(stage.simulator.world.verdict(String(reply.json['access_token'])).accepted).toBe(true);
  });

  it('follows its configuration: added apps start, removed ones stop, renamed ones keep what they have', async () => {
    const kept = await value('/apps/shop/access-token');
    const other = { ...mini, appid: 'wxnew', secret: { env: 'MINI' } };
    stage.simulator.world.account({ appid: 'wxnew', secret: 'mini-secret', kind: 'mini-program' });
    config({ boutique: shop, other });
    await until(async () => (await status('/apps/other/access-token')) === 200);
    expect(await status('/apps/crm/access-token')).toBe(404);
    expect(await status('/apps/shop/access-token')).toBe(404);
    expect(await value('/apps/boutique/access-token')).toBe(kept);
    config({ shop, mini, crm });
    await until(async () => (await status('/apps/crm/access-token')) === 200);
    expect(await value('/apps/shop/access-token')).toBe(kept);
  });

  it('keeps a credential when the secret of its app changes', async () => {
    const kept = await value('/apps/crm/access-token');
    writeFileSync(join(stage.dataDir, 'crm.secret'), 'another-secret');
    config({ shop, mini, crm, extra: { ...mini, appid: 'wxextra' } });
    await until(async () => (await stage.ask('/apps')).text.includes('extra'));
    expect(await value('/apps/crm/access-token')).toBe(kept);
  });

  it('refuses a bad new configuration, says so where operators look, and stays as it was', async () => {
    const kept = await value('/apps/shop/access-token');
    writeFileSync(file, '{ "apps": { "shop": { "platform": "nonsense" } } }');
    await until(async () => (await stage.ask('/health/ready', { token: null })).json['status'] === 'degraded');
    const ready = await stage.ask('/health/ready', { token: null });
    expect([ready.status, ready.text.includes('HUB_CONFIG.apps.shop')]).toEqual([200, true]);
    expect(await value('/apps/shop/access-token')).toBe(kept);
    config({ shop, mini, crm });
    await until(async () => (await stage.ask('/health/ready', { token: null })).json['status'] === 'ok');
  });
});
