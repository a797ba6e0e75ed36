import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RedisServer } from '../../../test/redis.fixture.js';
import type { Clock } from '../clock.js';
import type { Credential } from '../policy.js';
import { EmbeddedStore } from './embedded.store.js';
import { MemoryStore } from './memory.store.js';
import { type Entry, LEASE_MS, NOTHING_STORED, type Store } from './store.js';

/** A clock that the test drives. */
class DrivenClock implements Clock {
  private instant = Date.UTC(2026, 0, 1);

  now(): number {
    return this.instant;
  }

  drift(): number {
    return 0;
  }

  pass(ms: number): void {
    this.instant += ms;
  }
}

/** Where a kind of store lives in a test. */
interface Place {
  /** A store there; the one before was closed, unless the kind can be shared. */
  open(): Promise<Store> | Store;
  /** Lets leases grow older. */
  pass(ms: number): Promise<void> | void;
  leave(): Promise<void> | void;
}

/** What outlives what. */
interface Kind {
  /** Whether what is written is there for who opens it next. */
  readonly isDurable: boolean;
}

const NOW = Date.UTC(2026, 0, 1);

function credential(value: string, version = 1): Credential {
  return { value, issuedAt: NOW, expiresAt: NOW + 7_200_000, version };
}

function entry(value: string, version?: number): Entry {
  return { credential: credential(value, version) };
}

/** An entry without the milliseconds of its instants, which may suffer a little on the way from one clock to another. */
function onTheSecond(entry: Entry): Entry {
  return JSON.parse(JSON.stringify(entry), (_, value: unknown) =>
    typeof value === 'number' && value > 1e12 ? Math.round(value / 1000) * 1000 : value,
  ) as Entry;
}

/** What every store has to do. */
function describeStore(name: string, settle: () => Promise<Place> | Place, { isDurable }: Kind): void {
  describe(`the contract of a store, kept by ${name},`, () => {
    let place: Place;
    let store: Store;
    const reopen = async (): Promise<void> => {
      await store.close();
      store = await place.open();
    };
    beforeEach(async () => {
      place = await settle();
      store = await place.open();
    });
    afterEach(async () => {
      await store.close();
      await place.leave();
    });

    const load = async (names: readonly string[]): Promise<Record<string, Entry>> =>
      Object.fromEntries([...(await store.load(names))].map(([each, { entry }]) => [each, onTheSecond(entry)]));

    /** What is there now, and after a restart if the store outlives one. */
    async function expectKept(expected: Readonly<Record<string, Entry>>): Promise<void> {
      expect(await load(Object.keys(expected))).toEqual(expected);
      if (!isDurable) return;
      await reopen();
      expect(await load(Object.keys(expected))).toEqual(expected);
    }

    /** A lease, which has to be given. */
    async function granted(each: string, seen: number, noted?: Entry): Promise<NonNullable<Lease>> {
      const { lease } = await store.grant(each, seen, noted);
      if (!lease) throw new Error('the lease was not given');
      return lease;
    }
    type Lease = Awaited<ReturnType<Store['grant']>>['lease'];

    describe('as for what is kept,', () => {
      it('is empty at first', async () => {
        expect([...(await store.load(['shop', 'crm']))]).toEqual([]);
        expect([...(await store.load([]))]).toEqual([]);
      });

      it('keeps an entry with all that is in it', async () => {
        const full: Entry = {
          credential: { ...credential('a-token', 17), refused: true, births: [NOW + 1000] },
          intents: [NOW + 123_000],
          spent: [NOW, NOW + 31_000],
          askAgainAt: NOW + 5000,
          failure: { reason: { unforeseen: true }, count: 3, at: NOW, retryAt: NOW + 8000 },
        };
        await store.put('shop', 0, full);
        await store.put('bare', 0, {});
        await store.put('budget', 0, { fullAgainAt: NOW + 90_000 });
        await expectKept({ shop: full, bare: {}, budget: { fullAgainAt: NOW + 90_000 } });
      });

      it('puts a new entry in the place of the old one', async () => {
        const { stored } = await store.put('shop', 0, { ...entry('old'), intents: [NOW] });
        expect(await store.put('shop', stored.revision, entry('new', 2))).toMatchObject({ kept: true });
        await expectKept({ shop: entry('new', 2) });
      });

      it('lets one be first of those who write on the same ground, and gives the others what it wrote', async () => {
        const writes = await Promise.all(['a', 'b', 'c'].map((value) => store.put('shop', 0, entry(value))));
        expect(writes.map(({ kept }) => kept)).toEqual([true, false, false]);
        for (const { stored } of writes) expect(onTheSecond(stored.entry)).toEqual(entry('a'));
        await expectKept({ shop: entry('a') });
      });

      it('gives each write a greater revision', async () => {
        let seen = NOTHING_STORED.revision;
        for (let version = 1; version < 5; version += 1) {
          const { stored } = await store.put('shop', seen, entry('a-token', version));
          expect(stored.revision).toBeGreaterThan(seen);
          seen = stored.revision;
        }
        expect((await store.load(['shop'])).get('shop')?.revision).toBe(seen);
      });

      it('keeps them all when many are written at once', async () => {
        const entries = Array.from({ length: 500 }, (_, index) => [`app-${index}`, entry(`token-${index}`)] as const);
        await Promise.all(entries.map(([app, value]) => store.put(app, 0, value)));
        await expectKept(Object.fromEntries(entries));
      });

      it('keeps values and names of any kind apart', async () => {
        const names = ['shop', 'Shop', ' shop', '商店', 'e\u0301', '\u00e9', '😀', "'; --", 'x'.repeat(500), ''];
        for (const each of names) await store.put(each, 0, entry(`token of ${each}`));
        await expectKept(Object.fromEntries(names.map((each) => [each, entry(`token of ${each}`)])));
      });

      it('gives out what was there then: a later write does not change it', async () => {
        const { stored } = await store.put('shop', 0, entry('old'));
        const before = await store.load(['shop']);
        await store.put('shop', stored.revision, entry('new', 2));
        expect(onTheSecond(before.get('shop')?.entry ?? {})).toEqual(entry('old'));
      });
    });

    describe('as for leases,', () => {
      it('gives one to whoever asks first, and tells the others for how long', async () => {
        const asked = await Promise.all(Array.from({ length: 5 }, () => store.grant('shop', 0)));
        expect(asked.map(({ lease }) => lease !== undefined)).toEqual([true, false, false, false, false]);
        for (const { heldForMs } of asked.slice(1)) {
          expect(heldForMs).toBeGreaterThan(LEASE_MS - 5000);
          expect(heldForMs).toBeLessThanOrEqual(LEASE_MS);
        }
        expect(await granted('crm', 0)).toBeDefined();
      });

      it('gives none to who has not seen the last write, but shows it', async () => {
        const { stored } = await store.put('shop', 0, entry('a-token'));
        const refused = await store.grant('shop', 0);
        expect([refused.kept, refused.lease, refused.heldForMs]).toEqual([false, undefined, undefined]);
        expect(refused.stored).toMatchObject({
          revision: stored.revision,
          entry: { credential: { value: 'a-token' } },
        });
        expect(await granted('shop', stored.revision)).toBeDefined();
      });

      it('writes down what its holder is about to do, at once', async () => {
        await granted('shop', 0, { intents: [NOW] });
        await expectKept({ shop: { intents: [NOW] } });
      });

      it('writes nothing where there is nothing to note', async () => {
        const { stored } = await store.put('shop', 0, entry('a-token'));
        expect((await granted('shop', stored.revision)).revision).toBe(stored.revision);
      });

      it('ends it with what came of it, and the next one gets it on that ground', async () => {
        const lease = await granted('shop', 0, { intents: [NOW] });
        const { kept, stored } = await store.commit(lease, entry('a-token'));
        expect([kept, stored.entry]).toEqual([true, entry('a-token')]);
        await expectKept({ shop: entry('a-token') });
        const { revision } = (await store.load(['shop'])).get('shop') ?? NOTHING_STORED;
        expect(await granted('shop', revision)).toBeDefined();
      });

      it('lets nobody write beside its holder', async () => {
        const { stored } = await store.put('shop', 0, entry('old'));
        const lease = await granted('shop', stored.revision);
        const written = await store.put('shop', stored.revision, entry('another'));
        expect(written).toMatchObject({ kept: false, stored: { entry: { credential: { value: 'old' } } } });
        expect(written.heldForMs).toBeGreaterThan(0);
        await store.commit(lease, entry('new', 2));
        await expectKept({ shop: entry('new', 2) });
      });

      it('gives it to another when it has ended by itself', async () => {
        await granted('shop', 0);
        await place.pass(LEASE_MS - 1000);
        expect((await store.grant('shop', 0)).lease).toBeUndefined();
        await place.pass(1001);
        expect(await granted('shop', 0)).toBeDefined();
      });

      it('gives it to another when it seems to last longer than any: the clock was set back', async () => {
        await granted('shop', 0);
        await place.pass(-3_600_000);
        expect((await store.grant('shop', 0)).lease).toBeDefined();
      });

      it('makes it longer for its holder, with what it notes', async () => {
        const lease = await granted('shop', 0);
        await place.pass(LEASE_MS - 1000);
        const longer = await store.grant('shop', lease.revision, { spent: [NOW] }, lease);
        expect(longer.lease?.owner).toBe(lease.owner);
        await place.pass(LEASE_MS - 1000);
        expect((await store.grant('shop', longer.stored.revision)).lease).toBeUndefined();
        await expectKept({ shop: { spent: [NOW] } });
      });

      it('does not make it longer once another has it', async () => {
        const lease = await granted('shop', 0);
        await place.pass(LEASE_MS + 1);
        await granted('shop', 0);
        const { kept, heldForMs } = await store.grant('shop', 0, { spent: [NOW] }, lease);
        expect([kept, (heldForMs ?? 0) > 0]).toEqual([false, true]);
      });

      it('takes what comes late if nobody had it since', async () => {
        const lease = await granted('shop', 0, { intents: [NOW] });
        await place.pass(LEASE_MS * 4);
        expect(await store.commit(lease, entry('a-token'))).toMatchObject({ kept: true });
        await expectKept({ shop: entry('a-token') });
      });

      it('takes the same twice, for who did not hear that it was taken', async () => {
        const lease = await granted('shop', 0, { intents: [NOW] });
        const first = await store.commit(lease, entry('a-token'), NOW);
        expect(await store.commit(lease, entry('a-token'), NOW)).toEqual(first);
        await expectKept({ shop: entry('a-token') });
      });

      it('does not take what comes late if somebody had it since, and notes the call that may have come in between', async () => {
        const late = await granted('shop', 0, { intents: [NOW] });
        await place.pass(LEASE_MS + 1);
        const next = await granted('shop', late.revision, { intents: [NOW] });
        const { kept, stored } = await store.commit(late, entry('late'), NOW + 1000);
        expect([kept, onTheSecond(stored.entry)]).toEqual([false, { intents: [NOW, NOW + 1000] }]);
        // Whoever has it cannot know of the call either.
        const written = await store.commit(next, entry('next', 2), NOW + 2000);
        expect([written.kept, onTheSecond(written.stored.entry)]).toEqual([
          true,
          { ...entry('next', 2), intents: [NOW + 1000] },
        ]);
        expect(await load(['shop'])).toEqual({ shop: { ...entry('next', 2), intents: [NOW + 1000] } });
      });

      it('keeps the earliest of such calls, until somebody writes who has seen it', async () => {
        const first = await granted('shop', 0);
        await place.pass(LEASE_MS + 1);
        const second = await granted('shop', 0);
        await place.pass(LEASE_MS + 1);
        const third = await granted('shop', 0);
        await store.commit(second, entry('second'), NOW + 2000);
        const { stored } = await store.commit(first, entry('first'), NOW + 1000);
        expect(onTheSecond(stored.entry)).toEqual({ intents: [NOW + 1000] });
        const after = await store.commit(third, entry('third'));
        expect(onTheSecond(after.stored.entry)).toEqual({ ...entry('third'), intents: [NOW + 1000] });
        expect(await store.put('shop', after.stored.revision, entry('settled'))).toMatchObject({ kept: true });
        await expectKept({ shop: entry('settled') });
      });

      it('notes nothing of one that did not ask WeChat', async () => {
        const late = await granted('shop', 0);
        await place.pass(LEASE_MS + 1);
        const next = await granted('shop', 0);
        await store.commit(next, entry('a-token'));
        expect(await store.commit(late, {})).toMatchObject({
          kept: false,
          stored: { entry: { credential: { value: 'a-token' } } },
        });
        await expectKept({ shop: entry('a-token') });
      });
    });
  });
}

describeStore(
  'the one in memory',
  () => {
    const clock = new DrivenClock();
    return {
      open: () => new MemoryStore(clock),
      pass: (ms) => {
        clock.pass(ms);
      },
      leave: () => undefined,
    };
  },
  { isDurable: false },
);

describeStore(
  'the embedded one',
  () => {
    const clock = new DrivenClock();
    const folder = mkdtempSync(join(tmpdir(), 'store-'));
    return {
      open: () => EmbeddedStore.open(folder, clock),
      pass: (ms) => {
        clock.pass(ms);
      },
      leave: () => {
        rmSync(folder, { recursive: true });
      },
    };
  },
  { isDurable: true },
);

describe('on Redis', () => {
  let redis: RedisServer;
  beforeAll(async () => (redis = await RedisServer.find()));
  afterAll(() => redis.stop());

  describeStore(
    'the shared one',
    () => {
      const prefix = `test-${randomUUID()}`;
      return {
        open: () => redis.open(prefix),
        pass: (ms) => redis.ageLeases(prefix, ms),
        leave: () => redis.forget(prefix),
      };
    },
    { isDurable: true },
  );
});
