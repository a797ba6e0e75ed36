import { DrivenClock } from './clock.js';
import type { Effect } from './faults.js';
import { World } from './world.js';

const appid = 'wx00000000000000aa';
const target = `/cgi-bin/token?grant_type=client_credential&appid=${appid}&secret=x`;

function setUp() {
  const world = new World({ clock: new DrivenClock() });
  world.account({ appid, secret: 'x', kind: 'official-account' });
  world.account({ appid: 'wxother', secret: 'x', kind: 'official-account' });
  return { world, ask: (asked = target) => world.answer({ method: 'GET', target: asked }) };
}

describe('faults', () => {
  it('strike the calls of one path and account, so many times, after so many were let pass', () => {
    const { world, ask } = setUp();
    world.faults.add({ kind: 'errcode', errcode: -1, path: '/cgi-bin/token', appid, skip: 1, times: 2 });
    const codes = Array.from({ length: 5 }, () => ask().errcode);
    expect(codes).toEqual([0, -1, -1, 0, 0]);
  });

  it('spare other accounts and other paths, and last until they are cleared', () => {
    const { world, ask } = setUp();
    const end = world.faults.add({ kind: 'errcode', errcode: 45009, path: '/cgi-bin/tok*', appid });
    expect([ask().errcode, ask(target.replace(appid, 'wxother')).errcode]).toEqual([45009, 0]);
    expect(ask(`/cgi-bin/getcallbackip?access_token=${world.mintElsewhere(appid)}`).errcode).toBe(0);
    end();
    expect(ask().errcode).toBe(0);
    world.faults.add({ kind: 'empty' });
    world.faults.clear();
    expect(ask().errcode).toBe(0);
  });

  it.each([false, true])('lose a call on its way there or its answer on the way back: executed %p', (executed) => {
    for (const kind of ['reset', 'hang'] as const) {
      const { world, ask } = setUp();
      const before = world.mintElsewhere(appid);
      world.faults.add({ kind, executed, times: 1 });
      expect(ask().transport).toEqual({ kind, executed });
      expect(world.verdict(before).current).toBe(!executed);
      expect(world.calls.at(-1)).toMatchObject({ errcode: null, fault: kind });
    }
  });

  it.each<[Effect, object]>([
    [
      { kind: 'slow', milliseconds: 70 },
      { errcode: 0, transport: { kind: 'slow', milliseconds: 70 } },
    ],
    [
      { kind: 'drip', milliseconds: 5 },
      { errcode: 0, transport: { kind: 'drip', milliseconds: 5 } },
    ],
    [
      { kind: 'status', status: 502 },
      { status: 502, headers: { 'content-type': 'text/html' }, errcode: null },
    ],
    [{ kind: 'empty' }, { status: 200, body: '' }],
    [
      { kind: 'body', body: '[1' },
      { status: 200, body: '[1', errcode: null },
    ],
    [
      { kind: 'redirect', location: 'http://x/' },
      { status: 302, headers: { location: 'http://x/' } },
    ],
    [{ kind: 'text-plain' }, { headers: { 'content-type': 'text/plain' }, errcode: 0 }],
  ])('%j', (effect, expected) => {
    const { world, ask } = setUp();
    world.faults.add(effect);
    expect(ask()).toMatchObject(expected);
  });

  it('dress a refusal as the service would', () => {
    const { world, ask } = setUp();
    world.faults.add({ kind: 'errcode', errcode: 40164 });
    expect(ask().body).toContain('invalid ip 127.0.0.1 ipv6 ::ffff:127.0.0.1, not in whitelist rid: ');
    expect(ask('/cgi-bin/gettoken').body).toContain('from ip: 127.0.0.1, more info at ');
  });

  it('replace fields of an answer that was otherwise right', () => {
    const { world, ask } = setUp();
    world.faults.add({ kind: 'fields', fields: { expires_in: '7200' } });
    const body = JSON.parse(ask().body) as Record<string, unknown>;
    expect(body).toEqual({ access_token: expect.any(String) as string, expires_in: '7200' });
    expect(world.verdict(String(body['access_token'])).accepted).toBe(true);
  });

  it('put a control character into an answer, which is right once it is taken out', () => {
    const { world, ask } = setUp();
    world.faults.add({ kind: 'control-character' });
    const { body } = ask();
    expect(() => JSON.parse(body) as unknown).toThrow();
    const { access_token } = JSON.parse(body.replace('\u0001', '')) as { access_token: string };
    expect(world.verdict(access_token).accepted).toBe(true);
  });

  it('blow up an answer to just the size that is wanted', () => {
    const { world, ask } = setUp();
    world.faults.add({ kind: 'oversized', times: 1 });
    expect(ask().body).toHaveLength(65_537);
    world.faults.add({ kind: 'oversized', bytes: 200_000 });
    expect(ask().body).toHaveLength(200_000);
  });

  it('can spoil the answer after the call took effect', () => {
    const { world, ask } = setUp();
    world.faults.add({ kind: 'status', status: 502, executed: true });
    ask();
    expect(world.mints(appid)).toBe(1);
  });
});
