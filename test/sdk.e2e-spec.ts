import easywechat from 'node-easywechat';
import { APPID, Stage } from './hub.fixture.js';

/**
 * What an application writes to feed node-easywechat from the hub: read the token for each call, and report the one that
 * WeChat refused.
 */
class HubAccessToken {
  private token = '';

  constructor(private readonly stage: Stage) {}

  async getToken(): Promise<string> {
    this.token = (await this.stage.ask('/access-token')).text;
    return this.token;
  }

  async toQuery(): Promise<{ access_token: string }> {
    return { access_token: await this.getToken() };
  }

  async refused(errcode: number): Promise<void> {
    await this.stage.post('/apps/default/access-token/report', { token: this.token, errcode });
  }
}

describe('node-easywechat, unmodified', () => {
  it('calls WeChat with the hub’s token, has it replaced when it dies, and goes on', async () => {
    const stage = await Stage.set();
    const { world } = stage.simulator;
    const accessToken = new HubAccessToken(stage);
    const app = new easywechat.OfficialAccount({
      app_id: APPID,
      secret: 'the-secret-stays-in-the-hub',
      http: { baseURL: stage.simulator.url, throw: false },
    });
    app.setAccessToken(accessToken);
    const users = async (): Promise<Record<string, unknown>> =>
      (await app.getClient().get('cgi-bin/user/get')).toObject();

    expect(await users()).toHaveProperty('data');
    const first = await accessToken.getToken();
    world.kill(first);
    const refused = await users();
    expect(refused['errcode']).toBe(40001);
    await accessToken.refused(Number(refused['errcode']));
    expect(await users()).toHaveProperty('data');
    expect(await accessToken.getToken()).not.toBe(first);
    expect(world.count('/cgi-bin/token')).toBe(2);
    await stage.strike();
  });
});
