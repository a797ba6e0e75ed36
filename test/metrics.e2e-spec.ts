import { ask, Stage } from './hub.fixture.js';

/** The samples of a metric, by their labels in alphabetical order. */
function samples(text: string, name: string): Record<string, number> {
  const lines = text
    .split('\n')
    .filter((line) => line.startsWith(`wechat_token_hub_${name}{`) || line.startsWith(`wechat_token_hub_${name} `));
  return Object.fromEntries(
    lines.map((line) => {
      const [, labels = '', value = ''] = /^\w+(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
      return [labels.split(',').sort().join(','), Number(value)];
    }),
  );
}

describe('the metrics', () => {
  let stage: Stage;
  const metrics = async (): Promise<string> => (await stage.ask('/metrics', { token: null })).text;
  beforeEach(async () => {
    stage = await Stage.set();
  });
  afterEach(() => stage.strike());

  it('are text for Prometheus, without a JWT, and nobody keeps them', async () => {
    const { status, headers } = await stage.ask('/metrics', { token: null });
    expect([status, headers.get('content-type'), headers.get('cache-control')]).toEqual([
      200,
      'text/plain; version=0.0.4; charset=utf-8',
      'no-store',
    ]);
    expect((await stage.ask('/metrics', { token: null, method: 'POST' })).status).toBe(405);
  });

  it('tell how long each credential lives yet, its version, and nothing of those that nobody asked for', async () => {
    const { json } = await stage.ask('/apps/default/access-token');
    const text = await metrics();
    const labels = 'app="default",kind="access-token"';
    const expiry = samples(text, 'credential_expiry_seconds');
    expect(Object.keys(expiry)).toEqual([labels]);
    expect(Math.abs((expiry[labels] ?? 0) - Number(json['expires_in']))).toBeLessThanOrEqual(2);
    expect(samples(text, 'credential_life_seconds')).toEqual({ [labels]: 7200 });
    expect(samples(text, 'credential_version')).toEqual({ [labels]: json['version'] });
    expect(samples(text, 'credential_failing')).toEqual({});
  });

  it('count refreshes by reason and outcome, and calls to WeChat against the quota', async () => {
    const token = (await stage.ask('/access-token')).text;
    await stage.ask(`/access-token?rotate_token=${token}`);
    stage.simulator.world.faults.add({ kind: 'errcode', errcode: 40164, path: '/cgi-bin/ticket/getticket' });
    await stage.ask('/ticket?type=jsapi');
    const text = await metrics();
    expect(samples(text, 'refreshes_total')).toEqual({
      'app="default",cause="none",kind="access-token",reason="missing",result="minted"': 1,
      'app="default",cause="none",kind="access-token",reason="refused",result="minted"': 1,
      'app="default",cause="40164",kind="ticket/jsapi",reason="missing",result="failed"': 1,
    });
    expect(samples(text, 'credential_failing')).toEqual({ 'app="default",cause="40164",kind="ticket/jsapi"': 1 });
    expect(samples(text, 'credential_expiry_seconds')).toMatchObject({ 'app="default",kind="ticket/jsapi"': 0 });
    expect(samples(text, 'wechat_calls_total')).toEqual({
      'api="/cgi-bin/token",app="default",outcome="ok"': 2,
      'api="/cgi-bin/ticket/getticket",app="default",outcome="40164"': 1,
    });
    expect(samples(text, 'wechat_calls_today')).toEqual({
      'api="/cgi-bin/token",app="default"': 2,
      'api="/cgi-bin/ticket/getticket",app="default"': 1,
    });
    expect(samples(text, 'wechat_daily_quota')).toEqual({ 'api="/cgi-bin/token",app="default"': 2000 });
    expect(samples(text, 'rotations_left')).toEqual({ 'app="default"': 2 });
  });

  it('count errcodes that the hub does not know under one label', async () => {
    stage.simulator.world.faults.add({ kind: 'errcode', errcode: 987654 });
    await stage.ask('/access-token');
    expect(samples(await metrics(), 'credential_failing')).toEqual({
      'app="default",cause="other",kind="access-token"': 1,
    });
  });

  it('count reports by verdict, and who else mints', async () => {
    const token = (await stage.ask('/access-token')).text;
    await stage.post('/apps/default/access-token/report', { token: 'an-older-one' });
    stage.simulator.world.kill(token);
    await stage.post('/apps/default/access-token/report', { token });
    const text = await metrics();
    expect(samples(text, 'reports_total')).toEqual({
      'app="default",verdict="superseded"': 1,
      'app="default",verdict="replaced"': 1,
    });
    expect(samples(text, 'foreign_mints_total')).toEqual({ 'app="default",kind="access-token"': 1 });
  });

  it('count requests by client, app, route and status; what a stranger made up is no label', async () => {
    await stage.ask('/access-token');
    await stage.ask('/apps/default/access-token');
    await stage.ask('/apps/default/ticket?type=nonsense');
    await stage.ask('/apps/made-up/access-token');
    await stage.ask('/made/up', { token: null });
    await stage.ask('/access-token', { token: 'made.up.token' });
    const text = await metrics();
    expect(samples(text, 'http_requests_total')).toEqual({
      'app="default",client="web",route="/access-token",status="200"': 1,
      'app="default",client="web",route="/apps/:app/access-token",status="200"': 1,
      'app="default",client="web",route="/apps/:app/ticket",status="400"': 1,
      'app="none",client="web",route="/apps/:app/access-token",status="404"': 1,
      'app="none",client="none",route="none",status="404"': 1,
      'app="none",client="none",route="/access-token",status="401"': 1,
    });
    expect(text).not.toContain('made');
  });

  it('say that the event loop turns, and which version runs', async () => {
    const text = await metrics();
    expect(text).toMatch(/^nodejs_eventloop_lag_p99_seconds \d/m);
    expect(Object.keys(samples(text, 'build_info'))).toEqual([expect.stringMatching(/^version="\d+\.\d+\.\d+"$/)]);
    expect(samples(text, 'store_up')).toEqual({ '': 1 });
    expect(samples(text, 'store_unsaved')).toEqual({ '': 0 });
    expect(samples(text, 'configuration_refused')).toEqual({ '': 0 });
  });
});

describe('metrics with a port of their own', () => {
  it('are there and nowhere else', async () => {
    const stage = await Stage.set({ METRICS_PORT: '0' });
    try {
      const { status, text } = await ask(`http://127.0.0.1:${stage.metricsPort ?? 0}/metrics`, { token: null });
      expect([status, text.includes('wechat_token_hub_store_up 1')]).toEqual([200, true]);
      expect((await ask(`http://127.0.0.1:${stage.metricsPort ?? 0}/access-token`)).status).toBe(404);
      expect((await ask(`http://127.0.0.1:${stage.metricsPort ?? 0}/metrics`, { method: 'POST' })).status).toBe(405);
      expect((await stage.ask('/metrics', { token: null })).status).toBe(404);
    } finally {
      await stage.strike();
    }
  });
});
