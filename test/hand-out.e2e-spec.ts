import { APPID, Stage } from './hub.fixture.js';

describe('handing out', () => {
  let stage: Stage;
  beforeEach(async () => (stage = await Stage.set()));
  afterEach(() => stage.strike());

  it('gives the access token of the default app as bare text', async () => {
    const reply = await stage.ask('/access-token');
    expect(reply.status).toBe(200);
    expect(reply.headers.get('content-type')).toMatch(/^text\/plain/);
    expect(stage.simulator.world.verdict(reply.text)).toMatchObject({ accepted: true, appid: APPID, kind: 'classic' });
  });
});
