import WechatAPI from 'co-wechat-api';
import easywechat from 'node-easywechat';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { APPID, APPSECRET, environmentFor, tokenFor, WEB_KEY } from '../../test/hub.fixture.js';
import { HubProcess } from '../../test/process.fixture.js';
import { Simulator } from '../../test/simulator/server.js';
import { feedCoWechatApi, feedEasywechat, sharedKey, WechatHub } from '../src/index.js';
import { jwtFile } from '../src/node.js';

const PAGE = 'https://shop.example/cart?item=1';

describe('against a hub that runs', () => {
  let simulator: Simulator;
  let folder: string;
  let hubProcess: HubProcess;
  let hub: WechatHub;

  beforeEach(async () => {
    simulator = await Simulator.start();
    simulator.world.account({ appid: APPID, secret: APPSECRET, kind: 'official-account' });
    folder = mkdtempSync(join(tmpdir(), 'client-'));
    hubProcess = await HubProcess.start({ ...environmentFor(simulator, folder), AUTH_STRICT: 'true' });
    hub = new WechatHub({ url: hubProcess.url, jwt: sharedKey({ kid: 'web', secret: WEB_KEY }) });
  });
  afterEach(async () => {
    await hubProcess.kill();
    await simulator.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** A call to WeChat as somebody writes it by hand. */
  const users = async (accessToken: string): Promise<unknown> =>
    (await fetch(`${simulator.url}/cgi-bin/user/get?access_token=${accessToken}`)).json();
  const isGood = (claim: { nonceStr: string; timestamp: string | number; signature: string }): unknown =>
    simulator.world.verifySignature({
      appid: APPID,
      noncestr: claim.nonceStr,
      timestamp: String(claim.timestamp),
      url: PAGE,
      signature: claim.signature,
    });

  describe('a client', () => {
    it('gets what WeChat takes, and signs pages that it takes', async () => {
      const { value, appid, expiresIn } = await hub.accessToken();
      expect(simulator.world.verdict(value)).toMatchObject({ accepted: true, current: true });
      expect(appid).toBe(APPID);
      expect(expiresIn).toBeGreaterThan(7000);
      expect(simulator.world.verdict((await hub.ticket('jsapi')).value)).toMatchObject({ accepted: true });
      expect(isGood(await hub.signPage(`${PAGE}#top`))).toEqual({ ok: true });
    });

    it('has a dead token replaced, and the call repeated', async () => {
      const { value: dead } = await hub.accessToken();
      simulator.world.kill(dead);
      expect(await hub.withToken(users)).toHaveProperty('data');
      expect((await hub.accessToken()).value).not.toBe(dead);
      expect(simulator.world.count('/cgi-bin/token')).toBe(2);
    });

    it('lets a token live that WeChat refused for another reason', async () => {
      const { value } = await hub.accessToken();
      expect(await hub.refused(value, 40001)).toMatchObject({ value });
      expect(simulator.world.count('/cgi-bin/token')).toBe(1);
    });

    it('goes on with what it has when the hub is gone', async () => {
      const before = await hub.accessToken();
      await hubProcess.kill();
      expect(await hub.accessToken()).toMatchObject({ value: before.value });
      await expect(hub.ticket('jsapi')).rejects.toThrow('The hub cannot be reached: ECONNREFUSED');
    });

    it('is told what is wrong by the hub', async () => {
      await expect(hub.ticket('no-such')).rejects.toMatchObject({ status: 400, type: '/problems/unknown-ticket-type' });
      const stranger = new WechatHub({ url: hubProcess.url, jwt: sharedKey({ kid: 'web', secret: 'another key' }) });
      await expect(stranger.accessToken()).rejects.toMatchObject({ status: 401, type: '/problems/unauthenticated' });
    });

    it('reads the JWT of a file anew', async () => {
      const file = join(folder, 'jwt');
      writeFileSync(file, `${tokenFor()}\n`);
      const client = new WechatHub({ url: hubProcess.url, jwt: jwtFile(file) });
      await client.accessToken();
      writeFileSync(file, tokenFor('web', 'another key'));
      await expect(client.ticket('jsapi')).rejects.toMatchObject({ status: 401 });
      writeFileSync(file, tokenFor());
      expect(await client.ticket('wx_card')).toHaveProperty('value');
      rmSync(file);
      await expect(client.ticket('sdk')).rejects.toThrow(
        'There is no JWT to show the hub: its file cannot be read (ENOENT)',
      );
    });
  });

  describe('co-wechat-api, unmodified', () => {
    const fed = (): WechatAPI => {
      const api = feedCoWechatApi(new WechatAPI(APPID, ''), hub);
      api.prefix = `${simulator.url}/cgi-bin/`;
      return api;
    };

    it('works with the hub’s token and tickets, and asks WeChat for none itself', async () => {
      const api = fed();
      expect(await api.getFollowers()).toHaveProperty('data');
      expect(isGood(await api.getJsConfig({ url: PAGE }))).toEqual({ ok: true });
      expect(await api.getCardExt({ card_id: 'p-1' })).toHaveProperty('signature');
      expect(simulator.world.count('/cgi-bin/token')).toBe(1);
      expect(simulator.world.count('/cgi-bin/ticket/getticket')).toBe(2);
    });

    it.each([40001, 42001])(
      'repeats a call that WeChat refused with %i, once the hub has replaced the token',
      async (errcode) => {
        const api = fed();
        await api.getFollowers();
        simulator.world.kill((await hub.accessToken()).value, errcode);
        const answers = await Promise.all([api.getFollowers(), api.getFollowers(), api.getFollowers()]);
        expect(answers.filter((answer) => 'data' in answer)).toHaveLength(3);
        expect(simulator.world.count('/cgi-bin/token')).toBe(2);
      },
    );

    it('repeats what it does not repeat by itself within the loan of a token', async () => {
      const api = fed();
      simulator.world.kill((await hub.accessToken()).value, 40014);
      expect(await hub.withToken(() => api.getFollowers())).toHaveProperty('data');
    });
  });

  describe('node-easywechat, unmodified', () => {
    const fed = (): InstanceType<typeof easywechat.OfficialAccount> =>
      feedEasywechat(
        new easywechat.OfficialAccount({
          app_id: APPID,
          secret: 'stays in the hub',
          http: { baseURL: simulator.url, throw: false },
        }),
        hub,
      );

    it('works with the hub’s token and ticket, and asks WeChat for none itself', async () => {
      const app = fed();
      expect((await app.getClient().get('cgi-bin/user/get')).toObject()).toHaveProperty('data');
      const config = (await app.getUtils().buildJsSdkConfig(PAGE)) as {
        nonceStr: string;
        timestamp: number;
        signature: string;
      };
      expect(isGood(config)).toEqual({ ok: true });
      expect(simulator.world.count('/cgi-bin/token')).toBe(1);
      expect(simulator.world.count('/cgi-bin/ticket/getticket')).toBe(1);
    });

    it('repeats a call that WeChat refused within the loan of a token', async () => {
      const app = fed();
      simulator.world.kill((await hub.accessToken()).value);
      const list = (): Promise<unknown> =>
        app
          .getClient()
          .get('cgi-bin/user/get')
          .then((response) => response.toObject());
      expect(await hub.withToken(list)).toHaveProperty('data');
      expect(simulator.world.count('/cgi-bin/token')).toBe(2);
    });
  });
});
