import { problem, refusedConnection, settled, StandIn, token } from '../test/stand-in.fixture.js';

const valueOf = async (promise: Promise<{ readonly value: string }>): Promise<string> => (await promise).value;

describe('a credential in hand', () => {
  it('is asked for once, however often it is wanted until a newer one is to be had', async () => {
    const hub = new StandIn();
    const client = hub.client();
    expect(await client.accessToken()).toEqual({
      value: 'TOKEN-1',
      version: 1,
      appid: 'wx0123456789abcdef',
      expiresIn: 7200,
    });
    await hub.pass(6899);
    expect(await client.accessToken()).toMatchObject({ value: 'TOKEN-1', expiresIn: 301 });
    expect(hub.asked).toHaveLength(1);
  });

  it('is asked for once by a hundred callers at once', async () => {
    const hub = new StandIn();
    const client = hub.client();
    const values = await Promise.all(Array.from({ length: 100 }, () => valueOf(client.accessToken())));
    expect(new Set(values)).toEqual(new Set(['TOKEN-1']));
    expect(hub.asked).toHaveLength(1);
  });

  it('is given on while a newer one is asked for, by one of a hundred', async () => {
    const hub = new StandIn();
    const client = hub.client();
    await client.accessToken();
    hub.reply = () => token(2);
    hub.clock.advance(6_900_000);
    const values = await Promise.all(Array.from({ length: 100 }, () => valueOf(client.accessToken())));
    expect(new Set(values)).toEqual(new Set(['TOKEN-1']));
    await settled();
    expect(await valueOf(client.accessToken())).toBe('TOKEN-2');
    expect(hub.asked).toHaveLength(2);
  });

  it('stays in hand when the hub has no newer one, which is asked for less and less often', async () => {
    const hub = new StandIn();
    const client = hub.client();
    await client.accessToken();
    hub.reply = ({ headers }) =>
      headers.get('if-none-match') === '"1"' ? new Response(null, { status: 304 }) : token(9);
    await hub.pass(6900);
    for (let second = 0; second < 120; second++) {
      expect(await valueOf(client.accessToken())).toBe('TOKEN-1');
      await hub.pass(1);
    }
    // 1 + 2 + 4 + 8 + 15 + 30 + 30 seconds apart and up to a quarter more.
    expect(hub.asked.length - 1).toBeGreaterThanOrEqual(6);
    expect(hub.asked.length - 1).toBeLessThanOrEqual(8);
  });

  it('is held while the hub is out, until its end and not a second longer', async () => {
    const hub = new StandIn();
    const client = hub.client();
    await client.accessToken();
    hub.reply = () => refusedConnection;
    await hub.pass(7199.999);
    expect(await client.accessToken()).toMatchObject({ value: 'TOKEN-1', expiresIn: 0 });
    await hub.pass(0.001);
    await expect(client.accessToken()).rejects.toMatchObject({
      name: 'HubError',
      message: 'The hub cannot be reached: ECONNREFUSED',
    });
  });

  it('lives from when it was asked for, not from when the answer came', async () => {
    const hub = new StandIn();
    const client = hub.client();
    hub.reply = () => {
      hub.clock.advance(4000);
      return token(1, { expires_in: 10, refresh_after: 9 });
    };
    expect(await client.accessToken()).toMatchObject({ expiresIn: 6 });
    hub.reply = () => refusedConnection;
    await hub.pass(6);
    await expect(client.accessToken()).rejects.toThrow('cannot be reached');
  });

  it('is none, if it was at its end when it came', async () => {
    const hub = new StandIn();
    hub.reply = () => {
      hub.clock.advance(4000);
      return token(1, { expires_in: 3, refresh_after: 3 });
    };
    await expect(hub.client().accessToken()).rejects.toThrow('at its end when it came');
  });

  it('is not given up for an older one, whose answer came late', async () => {
    const hub = new StandIn();
    const client = hub.client();
    let answerLate: (reply: object) => void = () => undefined;
    const late = new Promise<object>((resolve) => (answerLate = resolve));
    hub.reply = ({ method }) => (method === 'POST' ? { verdict: 'replaced', ...token(2) } : late);
    const first = client.accessToken();
    await client.refused('TOKEN-1', 40001);
    answerLate(token(1));
    expect(await valueOf(first)).toBe('TOKEN-2');
    expect(await valueOf(client.accessToken())).toBe('TOKEN-2');
    expect(hub.asked).toHaveLength(2);
  });

  it('is asked for in vain by one alone, less and less often', async () => {
    const hub = new StandIn();
    const client = hub.client();
    hub.reply = () => refusedConnection;
    for (let second = 0; second < 120; second++) {
      await Promise.all(Array.from({ length: 5 }, () => expect(client.accessToken()).rejects.toThrow('ECONNREFUSED')));
      await hub.pass(1);
    }
    expect(hub.asked.length).toBeGreaterThanOrEqual(6);
    expect(hub.asked.length).toBeLessThanOrEqual(8);
    hub.reply = () => token(1);
    await hub.pass(40);
    expect(await valueOf(client.accessToken())).toBe('TOKEN-1');
  });

  it('is tried for again after a second, when trouble comes anew', async () => {
    const hub = new StandIn();
    const client = hub.client();
    for (let trouble = 0; trouble < 3; trouble++) {
      hub.reply = () => refusedConnection;
      await expect(client.accessToken()).rejects.toThrow('ECONNREFUSED');
      hub.reply = () => token(trouble + 1, { expires_in: 60, refresh_after: 50 });
      await hub.pass(1.25);
      await client.accessToken();
      await hub.pass(60);
    }
    expect(hub.asked).toHaveLength(6);
  });

  it.each([429, 503])('is not asked for again before the time that the hub told with a %i', async (status) => {
    const hub = new StandIn();
    const client = hub.client();
    hub.reply = () => problem(status, {}, { 'Retry-After': '20' });
    await expect(client.accessToken()).rejects.toMatchObject({ status, retryAfter: 20 });
    hub.reply = () => token(1);
    await hub.pass(19.999);
    await expect(client.accessToken()).rejects.toMatchObject({ status });
    expect(hub.asked).toHaveLength(1);
    await hub.pass(5.001);
    expect(await valueOf(client.accessToken())).toBe('TOKEN-1');
  });

  it('is asked for within minutes, whatever the hub told: it may be mended sooner', async () => {
    const hub = new StandIn();
    const client = hub.client();
    hub.reply = () => problem(502, { errcode: 45009 }, { 'Retry-After': '30000' });
    await expect(client.accessToken()).rejects.toMatchObject({ errcode: 45009, retryAfter: 30_000 });
    hub.reply = () => token(1);
    await hub.pass(375);
    expect(await valueOf(client.accessToken())).toBe('TOKEN-1');
  });
});
