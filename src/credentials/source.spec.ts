import { Secret } from '../config/secret.js';
import { type LoneOutside, LoneSource } from '../../test/lone-source.fixture.js';
import { VirtualTime } from '../../test/simulation/virtual-time.js';
import type { Minted, Nature, Need } from '../wechat/platforms/platform.js';
import { WechatNonsense, WechatRefusal, WechatUnreachable } from '../wechat/wechat.error.js';
import { AllowanceSpent } from './allowance.js';
import type { Renewed, SourceEvent } from './outside.js';
import { NotTheCredential } from './failure.js';
import { MemoryStore } from './store/memory.store.js';
import type { Entry, Written } from './store/store.js';
import { Closed, Unavailable } from './unavailable.js';

const busy = new WechatRefusal('wechat', -1, 'system error', false);
const deadToken = new WechatRefusal('wechat', 40001, 'invalid credential', true);
const wrongSecret = new WechatRefusal('wechat', 40125, 'invalid appsecret', false);
const lost = new WechatUnreachable('no answer within 5 s', true);
const neverSent = new WechatUnreachable('ECONNREFUSED', false);

/** A store on a disk that may be full. */
class DiskStore extends MemoryStore {
  isFull = false;

  override async put(...asked: Parameters<MemoryStore['put']>): Promise<Written> {
    return this.faulty(await super.put(...asked));
  }

  override async commit(...asked: Parameters<MemoryStore['commit']>): Promise<Written> {
    return this.faulty(await super.commit(...asked));
  }

  private faulty(written: Written): Written {
    return this.isFull ? { ...written, fault: new Error('ENOSPC') } : written;
  }
}

/** A source in a world that the test decides on. */
class Bench implements LoneOutside {
  readonly time = new VirtualTime();
  readonly sleep = this.time.sleep;
  readonly replica = 'hub';
  readonly store = new DiskStore(this.time);
  readonly events: SourceEvent[] = [];
  /** What WeChat answers, in turn; the last answer repeats. */
  answers: (Minted | Error | ((need: Need) => Promise<Minted>))[] = [];
  asked = 0;
  latency = 100;
  wakeAt: number | undefined;
  readonly source: LoneSource;

  constructor(
    private readonly nature: Nature = { supersedesAfterMs: 300_000 },
    entry?: Entry,
  ) {
    this.source = this.open(entry);
  }

  /** Opens a source as after a restart, on what the store has then. */
  open(entry?: Entry): LoneSource {
    const source = new LoneSource('app/token', (need) => this.mint(need), this.nature, this);
    if (entry) this.store.restore('app/token', entry);
    else this.store.clear();
    source.hear({ entry: entry ?? {}, revision: entry ? 1 : 0 });
    return source;
  }

  /** What the store has. */
  get saved(): Entry {
    return this.store.entries().get('app/token') ?? {};
  }

  now(): number {
    return this.time.now();
  }

  random(): number {
    return 0;
  }

  tell(event: SourceEvent): void {
    this.events.push(event);
  }

  plan({ wakeAt }: Renewed): void {
    this.wakeAt = wakeAt;
  }

  /** Lets time pass as the clockwork of the hub would: the source is woken whenever it wants to be. */
  async passWithCron(ms: number): Promise<void> {
    const end = this.now() + ms;
    while (this.wakeAt !== undefined && this.wakeAt <= end) {
      await this.time.passUntil(Math.max(this.wakeAt, this.now()));
      await this.time.during(this.source.wake());
    }
    await this.time.passUntil(Math.max(end, this.now()));
  }

  /** What became of a promise, once time has brought it about. */
  async outcome<T>(promise: Promise<T>): Promise<T | Error> {
    return this.time.during(promise.catch((error: unknown) => error as Error));
  }

  private async mint(need: Need): Promise<Minted> {
    const answer = this.answers[Math.min(this.asked, this.answers.length - 1)];
    this.asked += 1;
    await this.time.sleep(this.latency);
    if (typeof answer === 'function') return answer(need);
    if (!answer || answer instanceof Error) throw answer ?? new Error('nobody told WeChat what to answer');
    return answer;
  }
}

const value = (name: string, expiresIn = 7200): Minted => ({ value: name, expiresIn });
const allowed = (): void => undefined;

describe('a source', () => {
  describe('that is cold', () => {
    it('asks once, however many want the credential', async () => {
      const bench = new Bench();
      bench.answers = [value('A')];
      const reads = await bench.time.during(Promise.all(Array.from({ length: 500 }, () => bench.source.get())));
      expect(new Set(reads.map((credential) => credential.value))).toEqual(new Set(['A']));
      expect(bench.asked).toBe(1);
    });

    it('counts the life from before the asking', async () => {
      const bench = new Bench();
      bench.answers = [value('A')];
      bench.latency = 4000;
      const before = bench.now();
      expect(await bench.time.during(bench.source.get())).toMatchObject({
        issuedAt: before,
        expiresAt: before + 7_200_000,
      });
    });

    it('stores the credential before it hands it out', async () => {
      const bench = new Bench();
      bench.answers = [value('A')];
      const credential = await bench.time.during(bench.source.get());
      expect(bench.saved).toEqual({ credential });
    });

    it('answers everybody with the same failure until it is time to ask again', async () => {
      const bench = new Bench();
      bench.answers = [busy];
      const first = await bench.outcome(bench.source.get());
      expect(first).toBeInstanceOf(Unavailable);
      expect(first).toMatchObject({ cause: busy, retryAt: bench.now() + 1000 });
      for (let i = 0; i < 100; i += 1) expect(await bench.outcome(bench.source.get())).toEqual(first);
      expect(bench.asked).toBe(1);
    });

    it('asks 1, 2, 4, 8, 15 and then every 30 s while WeChat is away, and is well at once when it is back', async () => {
      const bench = new Bench();
      bench.latency = 0;
      bench.answers = [neverSent];
      await bench.outcome(bench.source.get());
      const start = bench.now();
      await bench.passWithCron(120_000);
      const tries = bench.events.flatMap((event) => (event.event === 'failed' ? (event.retryAt - start) / 1000 : []));
      expect(tries).toEqual([1, 3, 7, 15, 30, 60, 90, 120, 150]);
      bench.answers = [value('A')];
      await bench.passWithCron(30_000);
      expect(bench.source.status).toMatchObject({ usable: true, failure: undefined });
    });

    it('waits a minute where only a person can help, and asks at once when the configuration has changed', async () => {
      const bench = new Bench();
      bench.answers = [wrongSecret, value('A')];
      await bench.outcome(bench.source.get());
      await bench.passWithCron(59_000);
      expect(bench.asked).toBe(1);
      bench.source.reconfigure(() => Promise.resolve(value('with the new secret')));
      expect(bench.wakeAt).toBe(bench.now());
      expect(await bench.time.during(bench.source.get())).toMatchObject({ value: 'with the new secret' });
    });
  });

  it('does not wait for what a configuration brought about that was changed meanwhile', async () => {
    const bench = new Bench();
    bench.answers = [wrongSecret];
    const first = bench.source.get();
    await bench.time.pass(50);
    bench.source.reconfigure(() => Promise.resolve(value('with the new secret')));
    expect(await bench.outcome(first)).toMatchObject({ cause: wrongSecret });
    expect(await bench.time.during(bench.source.get())).toMatchObject({ value: 'with the new secret' });
  });

  describe('that is warm', () => {
    it('serves without asking, as often as anybody likes', async () => {
      const bench = new Bench();
      bench.answers = [value('A')];
      await bench.time.during(bench.source.get());
      for (let i = 0; i < 2000; i += 1) await bench.source.get();
      expect(bench.asked).toBe(1);
    });

    it('renews itself when 300 s are left, and serves the old value meanwhile', async () => {
      const bench = new Bench();
      bench.answers = [value('A'), value('B')];
      const { issuedAt } = await bench.time.during(bench.source.get());
      expect(bench.wakeAt).toBe(issuedAt + 6_900_000);
      await bench.time.passUntil(issuedAt + 6_900_000);
      const renewal = bench.source.wake();
      expect(await bench.source.get()).toMatchObject({ value: 'A' });
      await bench.time.during(renewal);
      expect(await bench.source.get()).toMatchObject({ value: 'B' });
    });

    it('needs at most 13 calls a day', async () => {
      const bench = new Bench();
      bench.answers = Array.from({ length: 20 }, (_, i) => value(`T${i}`));
      await bench.time.during(bench.source.get());
      await bench.passWithCron(86_400_000);
      expect(bench.asked).toBe(13);
    });

    it('is handed out until a tenth of a short life is left', async () => {
      const bench = new Bench();
      bench.answers = [value('A', 20), value('B', 20)];
      const { expiresAt } = await bench.time.during(bench.source.get());
      await bench.time.passUntil(expiresAt - 2001);
      expect(await bench.source.get()).toMatchObject({ value: 'A' });
      await bench.time.pass(1);
      expect(await bench.time.during(bench.source.get())).toMatchObject({ value: 'B' });
    });

    it('renews a short life when a third of it is left', async () => {
      const bench = new Bench();
      bench.answers = [value('A', 12), value('B', 12)];
      const { issuedAt } = await bench.time.during(bench.source.get());
      expect(bench.wakeAt).toBe(issuedAt + 8000);
    });

    it('loses nothing by a failed renewal', async () => {
      const bench = new Bench({});
      bench.answers = [value('A'), busy];
      const first = await bench.time.during(bench.source.get());
      await bench.passWithCron(6_960_000);
      expect(bench.asked).toBeGreaterThan(5);
      expect(await bench.source.get()).toEqual(first);
      expect(bench.source.status).toMatchObject({ usable: true, failure: { error: busy } });
    });

    it('is not handed out in its last ten seconds, and the read then waits for a new one', async () => {
      const bench = new Bench();
      bench.answers = [value('A'), value('B')];
      const first = await bench.time.during(bench.source.get());
      await bench.time.passUntil(first.expiresAt - 10_001);
      expect(await bench.source.get()).toMatchObject({ value: 'A' });
      await bench.time.pass(1);
      expect(await bench.time.during(bench.source.get())).toMatchObject({ value: 'B' });
    });

    it('gives each new value a greater version, also when the clock of versions stands still', async () => {
      const bench = new Bench();
      bench.latency = 0;
      bench.answers = [value('A'), value('B'), value('C')];
      const a = await bench.time.during(bench.source.get());
      const b = await bench.time.during(bench.source.replace('A', allowed));
      const c = await bench.time.during(bench.source.replace('B', allowed));
      expect([b.version - a.version, c.version - b.version]).toEqual([1, 1]);
    });
  });

  describe('whose value a client says is refused', () => {
    it('asks once, however many say so', async () => {
      const bench = new Bench();
      bench.answers = [value('A'), value('B')];
      await bench.time.during(bench.source.get());
      let permits = 0;
      const rotations = Array.from({ length: 500 }, () => bench.source.replace('A', () => void (permits += 1)));
      const values = (await bench.time.during(Promise.all(rotations))).map((credential) => credential.value);
      expect(new Set(values)).toEqual(new Set(['B']));
      expect([bench.asked, permits]).toEqual([2, 1]);
    });

    it('does not ask for a value that is not the current one', async () => {
      const bench = new Bench();
      bench.answers = [value('A')];
      await bench.time.during(bench.source.get());
      const forbid = (): never => {
        throw new Error('nobody should ask');
      };
      expect(await bench.source.replace('older', forbid)).toMatchObject({ value: 'A' });
      expect(bench.asked).toBe(1);
    });

    it('keeps the value when the budget forbids to ask', async () => {
      const bench = new Bench();
      bench.answers = [value('A')];
      await bench.time.during(bench.source.get());
      const spent = new AllowanceSpent(bench.now() + 30_000);
      const rotation = bench.source.replace('A', () => {
        throw spent;
      });
      expect(await bench.outcome(rotation)).toBe(spent);
      expect(await bench.source.get()).toMatchObject({ value: 'A' });
      expect(bench.source.status.failure).toBeUndefined();
    });

    it('keeps the value when WeChat fails, says so, and goes on trying by itself', async () => {
      const bench = new Bench();
      bench.answers = [value('A'), busy, value('B')];
      await bench.time.during(bench.source.get());
      expect(await bench.outcome(bench.source.replace('A', allowed))).toMatchObject({ cause: busy });
      expect(await bench.source.get()).toMatchObject({ value: 'A' });
      await bench.passWithCron(1100);
      expect(await bench.source.get()).toMatchObject({ value: 'B' });
    });

    it('takes the new value of a renewal that is under way', async () => {
      const bench = new Bench();
      bench.answers = [value('A'), value('B')];
      await bench.time.during(bench.source.get());
      await bench.time.pass(6_900_000);
      const renewal = bench.source.wake();
      expect(await bench.time.during(bench.source.replace('A', allowed))).toMatchObject({ value: 'B' });
      await renewal;
      expect(bench.asked).toBe(2);
    });

    it('says the same value again where WeChat does, without a longer life', async () => {
      const bench = new Bench({});
      bench.answers = [value('A')];
      const first = await bench.time.during(bench.source.get());
      await bench.time.pass(3_000_000);
      const again = await bench.time.during(
        Promise.all([bench.source.replace('A', allowed), bench.source.replace('A', allowed)]),
      );
      expect(again).toEqual([first, first]);
      expect(bench.asked).toBe(2);
    });

    it('is served with five minutes at most while the asking may have ended it', async () => {
      const bench = new Bench();
      bench.answers = [value('A'), value('B')];
      await bench.time.during(bench.source.get());
      const askedAt = bench.now();
      const rotation = bench.source.replace('A', allowed);
      await bench.time.pass(50);
      const served = await bench.source.get();
      expect(served).toMatchObject({ value: 'A', expiresAt: askedAt + 300_000 });
      // What is answered is made once for each object.
      expect(await bench.source.get()).toBe(served);
      await bench.time.during(rotation);
    });
  });

  describe('whose last call was lost', () => {
    it('serves the old value for five minutes at most, and asks again', async () => {
      const bench = new Bench();
      bench.answers = [value('A'), lost, value('B')];
      await bench.time.during(bench.source.get());
      const askedAt = bench.now();
      await bench.outcome(bench.source.replace('A', allowed));
      expect(await bench.source.get()).toMatchObject({ value: 'A', expiresAt: askedAt + 300_000 });
      await bench.passWithCron(2000);
      expect(await bench.source.get()).toMatchObject({ value: 'B' });
    });

    it('trusts the next value for five minutes only, until the lost call cannot come late and end it', async () => {
      const bench = new Bench();
      bench.answers = [value('A'), lost, value('B'), value('C')];
      await bench.time.during(bench.source.get());
      await bench.outcome(bench.source.replace('A', allowed));
      await bench.time.pass(1000);
      const { issuedAt, expiresAt } = await bench.time.during(bench.source.replace('A', allowed));
      expect(expiresAt - issuedAt).toBe(300_000);
      expect(await bench.source.get()).toMatchObject({ value: 'B', expiresAt });
      await bench.passWithCron(15_000);
      expect(await bench.source.get()).toMatchObject({ value: 'C' });
      expect(bench.saved).not.toHaveProperty('intents');
      await bench.passWithCron(3_600_000);
      expect(bench.asked).toBe(4);
    });

    it('gives the old value its life back when nothing was sent, as far as another try will let it have that', async () => {
      const bench = new Bench();
      bench.answers = [value('A'), neverSent, busy, value('B')];
      const first = await bench.time.during(bench.source.get());
      await bench.outcome(bench.source.replace('A', allowed));
      expect(bench.saved).toEqual({ credential: first, failure: expect.anything() as unknown });
      for (let tries = 2; tries < 4; tries += 1) {
        expect(bench.asked).toBe(tries);
        const expiresAt = bench.source.renewalAt + 300_000;
        expect(await bench.source.get()).toEqual({ ...first, expiresAt });
        await bench.passWithCron(bench.source.renewalAt - bench.now() + 1000);
      }
      expect(await bench.source.get()).toMatchObject({ value: 'B' });
    });

    it('keeps the doubt of the first lost call when a later one is clearly refused', async () => {
      const bench = new Bench();
      bench.answers = [value('A'), lost, busy];
      await bench.time.during(bench.source.get());
      const askedAt = bench.now();
      await bench.outcome(bench.source.replace('A', allowed));
      await bench.passWithCron(1100);
      expect(bench.asked).toBe(3);
      expect(await bench.source.get()).toMatchObject({ value: 'A', expiresAt: askedAt + 300_000 });
    });

    it('loses no life where asking ends nothing', async () => {
      const bench = new Bench({});
      bench.answers = [value('A'), lost];
      const first = await bench.time.during(bench.source.get());
      await bench.outcome(bench.source.replace('A', allowed));
      expect(await bench.source.get()).toEqual(first);
    });
  });

  describe('that was cut off', () => {
    const stored = (bench: Bench): Entry => bench.saved;

    it('starts with what is stored, and asks nothing', async () => {
      const bench = new Bench();
      bench.answers = [value('A')];
      const first = await bench.time.during(bench.source.get());
      const next = bench.open(stored(bench));
      expect(await next.get()).toEqual(first);
      expect(bench.asked).toBe(1);
    });

    it('knows of the call that it was cut off in: the old value has five minutes, and once the call must have arrived a new one is asked for', async () => {
      const bench = new Bench();
      bench.answers = [value('A'), value('minted and lost'), value('C')];
      await bench.time.during(bench.source.get());
      const askedAt = bench.now();
      void bench.source.replace('A', allowed);
      await bench.time.pass(50);
      const next = bench.open(stored(bench));
      expect(await next.get()).toMatchObject({ value: 'A', expiresAt: askedAt + 300_000 });
      expect(bench.wakeAt).toBe(askedAt + 15_000);
      await bench.time.passUntil(askedAt + 15_000);
      await bench.time.during(next.wake());
      const { issuedAt, expiresAt } = await next.get();
      expect(expiresAt - issuedAt).toBe(7_200_000);
    });

    it('does not trust the next value at once either: the call that was cut off may come late', async () => {
      const bench = new Bench();
      bench.answers = [value('A'), () => new Promise(() => undefined), value('C')];
      await bench.time.during(bench.source.get());
      void bench.source.replace('A', allowed);
      await bench.time.pass(50);
      const next = bench.open(stored(bench));
      const { issuedAt, expiresAt } = await bench.time.during(next.replace('A', allowed));
      expect(expiresAt - issuedAt).toBe(300_000);
    });

    it('gives greater versions after everything stored was lost', async () => {
      const bench = new Bench();
      bench.answers = [value('A'), value('B')];
      const { version } = await bench.time.during(bench.source.get());
      await bench.time.pass(1000);
      expect((await bench.time.during(bench.open().get())).version).toBeGreaterThan(version);
    });

    it('does not trust a value from the future, but keeps its version', async () => {
      const bench = new Bench({ repeats: 'life-left' });
      const future = bench.now() + 3_600_000;
      const credential = { value: 'A', issuedAt: future, expiresAt: future + 7_200_000, version: 99_999_999_999 };
      bench.answers = [value('A', 5000)];
      const next = bench.open({ credential });
      expect(await bench.time.during(next.get())).toMatchObject({ value: 'A', version: 100_000_000_000 });
    });
  });

  describe('whose store cannot write', () => {
    it('serves all the same, tells it once, and stores again by itself', async () => {
      const bench = new Bench();
      bench.answers = [value('A')];
      bench.store.isFull = true;
      expect(await bench.time.during(bench.source.get())).toMatchObject({ value: 'A' });
      expect(bench.source.status.unsaved).toBe(true);
      await bench.passWithCron(60_000);
      expect(bench.events.filter(({ event }) => event === 'unsaved')).toHaveLength(1);
      bench.store.isFull = false;
      await bench.passWithCron(5000);
      expect(bench.saved).toHaveProperty('credential.value', 'A');
      expect(bench.source.status.unsaved).toBe(false);
    });
  });

  describe('whose value WeChat gives again', () => {
    it('does not get a longer life, and asks again after half of what is left', async () => {
      const bench = new Bench({});
      bench.answers = [value('A'), value('A'), value('A'), value('B')];
      const first = await bench.time.during(bench.source.get());
      await bench.passWithCron(6_900_000);
      expect(await bench.source.get()).toEqual({ ...first, repeated: true });
      expect(bench.wakeAt).toBe(bench.now() + (first.expiresAt - bench.now()) / 2);
      await bench.passWithCron(250_000);
      expect(await bench.source.get()).toMatchObject({ value: 'B' });
    });

    it('gets a shorter life when WeChat says so', async () => {
      const bench = new Bench({});
      bench.answers = [value('A'), value('A', 100)];
      const first = await bench.time.during(bench.source.get());
      const askedAt = bench.now();
      const again = await bench.time.during(bench.source.replace('A', allowed));
      expect(again).toEqual({ ...first, expiresAt: askedAt + 100_000 });
    });

    it('is served to its very end, since WeChat has no better', async () => {
      const bench = new Bench({ repeats: 'full-life' });
      bench.latency = 0;
      bench.answers = [value('A')];
      const { expiresAt } = await bench.time.during(bench.source.get());
      await bench.passWithCron(7_199_000);
      expect(await bench.source.get()).toMatchObject({ value: 'A', expiresAt });
    });

    it('lets a read wait while WeChat, which began to count later, is still at the old value', async () => {
      const bench = new Bench({ repeats: 'full-life' });
      bench.answers = [value('A'), value('A'), value('A'), value('B')];
      await bench.time.during(bench.source.get());
      await bench.time.pass(7_200_000);
      expect(await bench.time.during(bench.source.get())).toMatchObject({ value: 'B' });
    });

    it('is as old as the call whose answer was lost', async () => {
      const bench = new Bench({ repeats: 'full-life' });
      bench.answers = [lost, value('A')];
      const askedAt = bench.now();
      await bench.outcome(bench.source.get());
      await bench.passWithCron(60_000);
      expect(await bench.source.get()).toMatchObject({ value: 'A', issuedAt: askedAt, expiresAt: askedAt + 7_200_000 });
    });

    it('is not served past its end, however fresh WeChat makes it look', async () => {
      const bench = new Bench({});
      bench.answers = [value('A')];
      await bench.time.during(bench.source.get());
      await bench.time.pass(7_200_000);
      expect(await bench.outcome(bench.source.get())).toMatchObject({ cause: expect.any(WechatNonsense) as unknown });
    });

    it('is served on where WeChat tells what is truly left', async () => {
      const bench = new Bench({ repeats: 'life-left' });
      bench.answers = [value('A'), value('A', 600)];
      await bench.time.during(bench.source.get());
      await bench.time.pass(7_200_000);
      const askedAt = bench.now();
      expect(await bench.time.during(bench.source.get())).toMatchObject({ value: 'A', expiresAt: askedAt + 600_000 });
    });
  });

  describe('that lends its value', () => {
    const refuse =
      (...dead: string[]) =>
      (lent: string): Promise<string> =>
        dead.includes(lent) ? Promise.reject(deadToken) : Promise.resolve(`done with ${lent}`);

    it('replaces a value that WeChat blames, and lets the work try once more', async () => {
      const bench = new Bench();
      bench.answers = [value('A'), value('B')];
      expect(await bench.time.during(bench.source.use(refuse('A')))).toBe('done with B');
      expect(bench.events).toContainEqual(expect.objectContaining({ event: 'refused-by-wechat' }));
    });

    it('replaces it once, though many borrowers see it refused', async () => {
      const bench = new Bench();
      bench.answers = [value('A'), value('B'), value('C')];
      const work = Array.from({ length: 50 }, () => bench.source.use(refuse('A')));
      expect(new Set(await bench.time.during(Promise.all(work)))).toEqual(new Set(['done with B']));
      expect(bench.asked).toBe(2);
    });

    it('does not take the token for the culprit when the new one is refused too', async () => {
      const bench = new Bench();
      bench.answers = [value('A'), value('B'), value('C')];
      expect(await bench.outcome(bench.source.use(refuse('A', 'B')))).toBeInstanceOf(NotTheCredential);
      expect(bench.asked).toBe(2);
    });

    it('leaves the value alone when the work fails for another reason', async () => {
      const bench = new Bench();
      bench.answers = [value('A')];
      expect(await bench.outcome(bench.source.use(() => Promise.reject(busy)))).toBe(busy);
      expect(bench.asked).toBe(1);
    });

    it('never serves a value again that WeChat was seen to refuse, over restarts too', async () => {
      const bench = new Bench();
      bench.answers = [value('A'), busy];
      await bench.time.during(bench.source.get());
      expect(await bench.outcome(bench.source.condemn('A'))).toBeInstanceOf(Unavailable);
      expect(await bench.outcome(bench.source.get())).toBeInstanceOf(Unavailable);
      const next = bench.open(bench.saved);
      expect(await bench.outcome(next.get())).toBeInstanceOf(Unavailable);
      await bench.time.pass(1000);
      bench.answers = [value('B')];
      expect(await bench.time.during(next.get())).toMatchObject({ value: 'B' });
    });
  });

  describe('with a ration', () => {
    const forced = { times: 18, withinMs: 86_400_000, apartMs: 31_000 };
    const stable = (): Bench => {
      const bench = new Bench({ repeats: 'life-left' });
      let current = 0;
      bench.answers = [
        async ({ refused, spend }) => {
          if (refused === `T${current}`) {
            await spend(forced);
            current += 1;
          }
          return value(`T${current}`);
        },
      ];
      return bench;
    };

    it('forces 31 s apart and 18 times a day, and remembers it over restarts', async () => {
      const bench = stable();
      let { value: present } = await bench.time.during(bench.source.get());
      const start = bench.now();
      const forcedAt: number[] = [];
      while (bench.now() < start + 86_000_000) {
        const source = bench.open(bench.saved);
        const outcome = await bench.outcome(source.replace(present, allowed));
        if (!(outcome instanceof Error) && outcome.value !== present) {
          forcedAt.push(bench.now());
          present = outcome.value;
        }
        await bench.time.pass(10_000);
      }
      expect(forcedAt).toHaveLength(18);
      for (const [i, at] of forcedAt.entries())
        expect(at - (forcedAt[i - 1] ?? -Infinity)).toBeGreaterThanOrEqual(31_000);
    });

    it('serves the old value for five minutes at most when a forced refresh was lost', async () => {
      const bench = new Bench({ supersedesAfterMs: 300_000, repeats: 'life-left' });
      bench.answers = [
        value('A'),
        async ({ spend }) => {
          await spend(forced);
          throw lost;
        },
        busy,
      ];
      await bench.time.during(bench.source.get());
      await bench.outcome(bench.source.replace('A', allowed));
      const { spent: [forcedAt] = [] } = bench.saved;
      await bench.passWithCron(10_000);
      expect(await bench.source.get()).toMatchObject({ value: 'A', expiresAt: (forcedAt ?? 0) + 300_000 });
    });

    it('tells when it may force again, and keeps the value until then', async () => {
      const bench = stable();
      await bench.time.during(bench.source.get());
      await bench.time.during(bench.source.replace('T0', allowed));
      const forcedAt = bench.saved.spent?.[0] ?? 0;
      const second = await bench.outcome(bench.source.replace('T1', allowed));
      expect(second).toMatchObject({ name: 'AllowanceSpent', retryAt: forcedAt + 31_000 });
      expect(await bench.source.get()).toMatchObject({ value: 'T1' });
    });
  });

  describe('that hears what another hub wrote', () => {
    it('goes by it at once', async () => {
      const bench = new Bench();
      bench.answers = [value('A')];
      const first = await bench.time.during(bench.source.get());
      const next = { ...first, value: 'B', version: first.version + 1, issuedAt: bench.now() };
      bench.source.hear({ entry: { credential: next }, revision: bench.source.revision + 1 });
      expect(await bench.source.get()).toEqual(next);
      expect(bench.source.status.unsaved).toBe(false);
    });

    it('passes over old news', async () => {
      const bench = new Bench();
      bench.answers = [value('A'), value('B')];
      const old = {
        entry: { credential: await bench.time.during(bench.source.get()) },
        revision: bench.source.revision,
      };
      const present = await bench.time.during(bench.source.replace('A', allowed));
      bench.source.hear(old);
      expect(await bench.source.get()).toEqual(present);
      expect(bench.source.status.unsaved).toBe(false);
    });

    it('knows better when a store says that its value is younger than it is, as after its clock was set back', async () => {
      const bench = new Bench({ supersedesAfterMs: 300_000, repeats: 'life-left' });
      bench.answers = [value('A')];
      const { expiresAt, ...rest } = await bench.time.during(bench.source.get());
      const younger = { ...rest, issuedAt: rest.issuedAt + 3_600_000, expiresAt: expiresAt + 3_600_000 };
      bench.source.hear({ entry: { credential: younger }, revision: bench.source.revision + 1 });
      expect(await bench.source.get()).toEqual({ ...rest, expiresAt });
      expect(bench.asked).toBe(1);
      // The store is told.
      expect(bench.source.status.unsaved).toBe(true);
    });
  });

  describe('that is closed', () => {
    it('ends with the call under way and its outcome stored, and begins no other', async () => {
      const bench = new Bench();
      bench.answers = [value('A'), value('B')];
      const read = bench.source.get();
      await bench.time.during(bench.source.close());
      expect(bench.saved).toHaveProperty('credential.value', 'A');
      expect(await read).toMatchObject({ value: 'A' });
      expect(await bench.source.get()).toMatchObject({ value: 'A' });
      expect(await bench.outcome(bench.source.replace('A', allowed))).toBeInstanceOf(Closed);
      expect(bench.asked).toBe(1);
    });
  });

  it('tells nobody a value', async () => {
    const bench = new Bench();
    const canary = new Secret('canary-8d1f').reveal();
    bench.answers = [value(canary), busy];
    await bench.time.during(bench.source.get());
    await bench.outcome(bench.source.replace(canary, allowed));
    expect(JSON.stringify(bench.events)).not.toContain(canary);
  });
});
