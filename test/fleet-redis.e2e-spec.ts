import { Fleet, noteFigures, type Readers, RECOVERY_MS, secondsOf, valueOf } from './process.fixture.js';
import { until } from './redis.fixture.js';

const START_MS = 60_000;
const STORIES = ['restarted', 'frozen', 'emptied', 'older', 'untold', 'gone'] as const;

describe('three hubs whose Redis', () => {
  let fleet: Fleet;
  beforeAll(async () => {
    const apps = STORIES.flatMap((story) => [
      [`classic-${story}`, 'classic'] as const,
      [`stable-${story}`, 'stable'] as const,
    ]);
    fleet = await Fleet.start(Object.fromEntries(apps));
  }, START_MS);
  afterEach(() => fleet.redis.thaw());
  afterAll(() => fleet.stop());

  /** The credentials of a story, served by all, with clients that read them on and on; and what it came to. */
  async function begin(story: (typeof STORIES)[number]): Promise<Story> {
    const classic = `classic-${story}/access-token`;
    const stable = `stable-${story}/access-token`;
    const paths = [classic, stable, `classic-${story}/ticket?type=jsapi`];
    const values = await Promise.all(paths.map((path) => fleet.allServeOneLiveValue(path)));
    const asked = (): number => fleet.calls(`classic-${story}`) + fleet.calls(`stable-${story}`);
    const calls = asked();
    return { classic, stable, paths, values, readers: fleet.follow(...paths), callsSince: () => asked() - calls };
  }

  /** All of them say that they are well, or that they are of use though something is wrong; and never that they are not. */
  async function allAre(wanted: 'ok' | 'degraded'): Promise<void> {
    await until(async () => {
      const said = await Promise.all(fleet.hubs.map((hub) => fleet.ready(hub)));
      expect(new Set(said.map(({ status }) => status))).toEqual(new Set([200]));
      return said.every(({ json }) => json['status'] === wanted);
    }, RECOVERY_MS);
  }

  /** What there was is there as before, in every memory and for who comes new, and it can be rotated. */
  async function expectAllAsBefore(title: string, story: Story, values = story.values): Promise<void> {
    const { paths, readers, classic } = story;
    const before = story.callsSince();
    const seconds = await secondsOf(fleet.rotated(classic, values[0] ?? ''));
    await allAre('ok');
    const calls = story.callsSince();
    const present = await Promise.all(paths.map((path) => fleet.allServeOneLiveValue(path)));
    expect(present.slice(1)).toEqual(values.slice(1));
    const next = fleet.launch();
    await next.listens();
    expect(await Promise.all(paths.map(async (path) => valueOf(await fleet.read(path, next))))).toEqual(present);
    await next.kill();
    await readers.stop();
    expect(readers.complaints).toEqual([]);
    expect(story.callsSince()).toBe(calls);
    noteFigures(title, {
      rotates_again_after_s: seconds,
      reads: readers.reads,
      failed_reads: readers.complaints.length,
      calls: calls - before,
    });
  }

  it('is killed and comes back with what it had: nobody notices, and nothing is asked', async () => {
    const story = await begin('restarted');
    await fleet.redis.save();
    await fleet.redis.kill();
    await Promise.all(fleet.hubs.map((hub) => hub.says(/"event":"store-away"/)));
    await story.readers.readOn(5);
    await fleet.redis.run();
    await expectAllAsBefore('Redis restarted with its data', story);
    expect(story.callsSince()).toBe(1);
  }, 60_000);

  it('is frozen: reads are answered as ever, and a rotation is refused until it thaws', async () => {
    const story = await begin('frozen');
    const { paths, values, classic, readers } = story;
    fleet.redis.freeze();
    const answers = await Promise.all(paths.flatMap((path) => fleet.hubs.map((hub) => fleet.read(path, hub))));
    expect(new Set(answers.map(valueOf))).toEqual(new Set(values));
    const refused = await fleet.rotate(classic, values[0] ?? '');
    expect([refused.status, refused.headers.get('content-type')]).toEqual([503, 'application/problem+json']);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    await readers.readOn(5);
    await allAre('degraded');
    fleet.redis.thaw();
    await expectAllAsBefore('Redis frozen and thawed', story);
    expect(story.callsSince()).toBe(1);
  }, 60_000);

  it('comes back with nothing: it is told all that they know, and WeChat is not asked', async () => {
    const story = await begin('emptied');
    await fleet.redis.goBackToNothing();
    await fleet.redis.run();
    await expectAllAsBefore('Redis restarted empty', story);
    expect(story.callsSince()).toBe(1);
  }, 60_000);

  it('comes back with something older: what was rotated since stays rotated', async () => {
    const story = await begin('older');
    const { classic, stable, values } = story;
    await fleet.redis.save('older');
    const present = [
      await fleet.rotated(classic, values[0] ?? ''),
      await fleet.rotated(stable, values[1] ?? ''),
      values[2] ?? '',
    ];
    const calls = story.callsSince();
    await fleet.redis.goBackTo('older');
    await fleet.redis.run();
    await expectAllAsBefore('Redis restarted with an older snapshot', story, present);
    expect(story.callsSince() - calls).toBe(1);
  }, 60_000);

  it('dies together with one of them, which alone knows a value: the others soon have one that lives', async () => {
    const { classic, values, readers, callsSince } = await begin('untold');
    const appid = Fleet.appid('classic-untold');
    fleet.simulator.world.faults.add({ kind: 'slow', milliseconds: 1000, appid, path: '/cgi-bin/token', times: 1 });
    await fleet.redis.save();
    const doomed = fleet.at(2);
    // Redis answers nobody while it saves, which on a busy disk takes longer than the hubs have patience with it.
    await allAre('ok');
    let answer = fleet.rotate(classic, values[0] ?? '', doomed);
    const isUnderWay = until(() => Promise.resolve(callsSince() === 1)).then(() => true);
    while (!(await Promise.race([isUnderWay, answer.then(() => false)]))) {
      expect((await answer).status).toBe(503);
      await allAre('ok');
      answer = fleet.rotate(classic, values[0] ?? '', doomed);
    }
    await fleet.redis.kill();
    const untold = valueOf(await answer);
    expect(fleet.isLive(untold)).toBe(true);
    fleet.leave(doomed);
    await doomed.kill();
    await fleet.redis.run();
    const seconds = await secondsOf(fleet.allServeOneLiveValue(classic, values[0]));
    await readers.stop();
    expect(readers.complaints).toEqual([]);
    // Whoever was given it can go on with it for a while.
    expect(fleet.simulator.world.verdict(untold).accepted).toBe(true);
    expect(callsSince()).toBe(2);
    noteFigures('Redis and the hub that knew the newest value killed', {
      one_live_value_after_s: seconds,
      failed_reads: readers.complaints.length,
      calls: callsSince(),
    });
    await fleet.join();
  }, 60_000);

  it('is gone for good serve what they remember; who comes new is not ready, and says when to ask again', async () => {
    const { classic, stable, paths, values, readers, callsSince } = await begin('gone');
    await fleet.redis.kill();
    await allAre('degraded');
    await readers.readOn(5);
    expect(await Promise.all(paths.map((path) => fleet.allServeOneLiveValue(path)))).toEqual(values);
    expect(callsSince()).toBe(0);

    const next = fleet.launch();
    await next.listens();
    expect((await fleet.ready(next)).status).toBe(503);
    const refused = await fleet.read(classic, next);
    expect([refused.status, refused.headers.get('content-type')]).toEqual([503, 'application/problem+json']);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    // WeChat repeats a stable token to whoever asks, so asking for it alone does no harm.
    expect(valueOf(await fleet.read(stable, next))).toBe(values[1]);
    expect(await fleet.ready(next)).toMatchObject({ status: 200, json: { status: 'degraded' } });
    next.signal('SIGTERM');
    expect(await next.exited).toEqual({ code: 0, signal: null });
    await readers.stop();
    expect(readers.complaints).toEqual([]);
  }, 60_000);
});

interface Story {
  readonly classic: string;
  readonly stable: string;
  /** Of the tokens, classic first, and of a ticket. */
  readonly paths: readonly string[];
  readonly values: readonly string[];
  readonly readers: Readers;
  /** How often WeChat was asked since. */
  readonly callsSince: () => number;
}
