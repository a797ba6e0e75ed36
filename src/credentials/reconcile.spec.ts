import fc from 'fast-check';
import type { Nature } from '../wechat/platforms/platform.js';
import { standing } from './lost-calls.js';
import type { Credential } from './policy.js';
import { reconciled } from './reconcile.js';
import type { Entry } from './store/store.js';

const NOW = Date.UTC(2026, 0, 1);
const classic: Nature = { supersedesAfterMs: 300_000 };
const stable: Nature = { supersedesAfterMs: 300_000, repeats: 'life-left' };
const ticket: Nature = { repeats: 'full-life' };
/** What instants may suffer on the way from one clock to another. */
const SLACK_MS = 100;

function credential(value: string, more: Partial<Credential> = {}): Credential {
  return { value, issuedAt: NOW, expiresAt: NOW + 7_200_000, version: 1, ...more };
}

/** An entry with a value that was asked for so many seconds after the others, with its whole life. */
function asked(value: string, seconds: number, more: Partial<Credential> = {}): Entry {
  const issuedAt = NOW + seconds * 1000;
  return { credential: credential(value, { issuedAt, expiresAt: issuedAt + 7_200_000, ...more }) };
}

describe('what a hub remembers and what the store shows', () => {
  it('are the same thing where nothing was lost: there is nothing to write', () => {
    const theirs: Entry = { ...asked('A', 0), intents: [NOW + 1000], spent: [NOW], askAgainAt: NOW };
    expect(reconciled(structuredClone(theirs), theirs, classic)).toBe(theirs);
  });

  it('are the same thing where instants have only suffered a little on the way', () => {
    const theirs: Entry = { ...asked('A', 0), intents: [NOW + 1000], spent: [NOW] };
    const ours: Entry = { ...asked('A', -0.06), intents: [NOW + 940], spent: [NOW + 60] };
    expect(reconciled(ours, theirs, classic)).toBe(theirs);
  });

  it('are the same thing where the store has the value of a call that the hub only knows of: that is no other call', () => {
    const theirs = asked('B', 60, { version: 2 });
    for (const ms of [-SLACK_MS, 0, SLACK_MS]) {
      expect(reconciled({ ...asked('A', 0), intents: [NOW + 60_000 + ms] }, theirs, classic)).toBe(theirs);
    }
    const later = NOW + 60_000 + SLACK_MS + 1;
    const { intents } = reconciled({ ...asked('A', 0), intents: [later] }, theirs, classic);
    expect(intents).toEqual([later]);
  });

  it('are settled by the store where the hub knows nothing, and by the hub where the store has forgotten', () => {
    const entry = asked('A', 0);
    expect(reconciled({}, entry, classic)).toBe(entry);
    expect(reconciled(entry, {}, classic)).toEqual(entry);
    expect(reconciled({}, {}, classic)).toEqual({});
  });

  describe('of two values', () => {
    it.each([
      ['the hub', asked('B', 60), asked('A', 0)],
      ['the store', asked('A', 0), asked('B', 60)],
    ])('gives the one that was asked for later, be it the one of %s', (_, ours, theirs) => {
      expect(reconciled(ours, theirs, classic)).toEqual(asked('B', 60, { version: 2 }));
    });

    it('gives that of the store where both were asked for at the same instant, so that all hubs choose alike', () => {
      expect(reconciled(asked('B', 0), asked('A', 0), ticket).credential?.value).toBe('A');
      expect(reconciled(asked('A', 0), asked('B', 0), ticket).credential?.value).toBe('B');
    });

    it('gives the winner a greater version than that under which the other was handed out', () => {
      const versionOf = (ours: Entry, theirs: Entry): unknown => reconciled(ours, theirs, classic).credential?.version;
      expect(versionOf(asked('A', 0, { version: 7 }), asked('B', 60, { version: 5 }))).toBe(8);
      expect(versionOf(asked('A', 0, { version: 7 }), asked('B', 60, { version: 7 }))).toBe(8);
      expect(versionOf(asked('A', 0, { version: 7 }), asked('B', 60, { version: 9 }))).toBe(9);
      expect(versionOf(asked('B', 60, { version: 5 }), asked('A', 0, { version: 7 }))).toBe(8);
    });

    it('trusts the winner for five minutes only, where the calls were so close that either may have come last', () => {
      for (const [ours, theirs] of [
        [asked('A', 0), asked('B', 14.999)],
        [asked('B', 14.999), asked('A', 0)],
      ] as const) {
        const entry = reconciled(ours, theirs, classic);
        expect(standing(entry, classic)).toMatchObject({ value: 'B', expiresAt: NOW + 14_999 + 300_000 });
      }
    });

    it('trusts the winner for its whole life where the calls were further apart than a late one arrives', () => {
      const entry = reconciled(asked('A', 0), asked('B', 15), classic);
      expect(standing(entry, classic)).toMatchObject({ value: 'B', expiresAt: NOW + 15_000 + 7_200_000 });
      expect(entry.intents).toBeUndefined();
    });

    it('has no doubts where asking ends nothing', () => {
      expect(reconciled(asked('A', 0), asked('B', 1), ticket).intents).toBeUndefined();
    });

    it('lets what was refused of the one not count against the other', () => {
      expect(reconciled(asked('A', 0, { refused: true }), asked('B', 60), classic).credential?.refused).toBeUndefined();
    });
  });

  describe('of one value', () => {
    it('gives the shorter life: WeChat may have told it again as if it were fresh', () => {
      const [young, old] = [asked('A', 3600, { version: 1 }), asked('A', 0, { version: 1 })];
      expect(reconciled(young, old, ticket)).toEqual(old);
      expect(reconciled(old, young, ticket)).toEqual(old);
    });

    it('lets it have begun whenever either believes, but not after the first of them had it', () => {
      const first = { births: [NOW + 100_000, NOW + 113_000] };
      const late = { births: [NOW + 50_000, NOW + 566_000] };
      const both = asked('A', 0, { births: [NOW + 50_000, NOW + 100_000, NOW + 113_000] });
      for (const [ours, theirs] of [
        [asked('A', 0, first), asked('A', 0, late)],
        [asked('A', 0, late), asked('A', 0, first)],
      ] as const) {
        expect(reconciled(ours, theirs, ticket)).toEqual(both);
      }
      expect(reconciled(asked('A', 0, late), asked('A', 0), ticket)).toEqual(asked('A', 0));
      expect(reconciled(both, both, ticket)).toBe(both);
    });

    it('gives the greatest version under which it was handed out', () => {
      for (const [ours, theirs] of [
        [asked('A', 0, { version: 3 }), asked('A', 3600, { version: 9 })],
        [asked('A', 3600, { version: 9 }), asked('A', 0, { version: 3 })],
      ] as const) {
        expect(reconciled(ours, theirs, ticket).credential).toEqual(asked('A', 0, { version: 9 }).credential);
      }
    });

    it('knows that it was refused, whoever saw that', () => {
      const [refused, fine] = [asked('A', 0, { refused: true }), asked('A', 0)];
      expect(reconciled(refused, fine, classic).credential?.refused).toBe(true);
      expect(reconciled(fine, refused, classic)).toBe(refused);
    });

    it('has no doubts, however close it was asked for', () => {
      expect(reconciled(asked('A', 0), asked('A', 1), classic).intents).toBeUndefined();
    });
  });

  describe('as for calls of which nobody knows what came', () => {
    it('keeps one that the store has forgotten, if it was made after the credential', () => {
      const ours: Entry = { ...asked('A', 0), intents: [NOW + 60_000] };
      expect(reconciled(ours, asked('A', 0), classic)).toEqual(ours);
      expect(reconciled(ours, {}, classic)).toEqual(ours);
    });

    it('keeps the doubt in which the credential itself was asked for: an earlier call may come after it', () => {
      const ours: Entry = { ...asked('A', 0), intents: [NOW] };
      expect(reconciled(ours, {}, classic).intents).toEqual([NOW]);
    });

    it('drops one of long before the credential that is believed', () => {
      const ours: Entry = { ...asked('A', 0), intents: [NOW + 60_000] };
      const theirs = asked('B', 3600, { version: 2 });
      expect(reconciled(ours, theirs, classic)).toBe(theirs);
    });

    it('keeps both sides’ in the order in which they were made', () => {
      const ours: Entry = { ...asked('A', 0), intents: [NOW + 20_000, NOW + 60_000] };
      const theirs: Entry = { ...asked('A', 0), intents: [NOW + 40_000] };
      expect(reconciled(ours, theirs, classic).intents).toEqual([NOW + 20_000, NOW + 40_000, NOW + 60_000]);
    });
  });

  it('count a ration as spent, whoever knows of it', () => {
    const spent = [NOW, NOW + 31_000];
    expect(reconciled({ ...asked('A', 0), spent }, { ...asked('A', 0), spent: [NOW] }, stable).spent).toEqual(spent);
    expect(reconciled({ ...asked('A', 0), spent }, asked('B', 60), stable).spent).toEqual(spent);
    expect(reconciled(asked('B', 60), { ...asked('A', 0), spent }, stable).spent).toEqual(spent);
  });

  it('have the failure and the patience of the side whose credential is believed', () => {
    const failure = { reason: { unforeseen: true }, count: 3, at: NOW, retryAt: NOW + 8000 } as const;
    const failing: Entry = { ...asked('A', 0), failure, askAgainAt: NOW + 5000 };
    expect(reconciled(failing, {}, classic)).toMatchObject({ failure, askAgainAt: NOW + 5000 });
    const fresh = reconciled(asked('B', 60), failing, classic);
    expect([fresh.failure, fresh.askAgainAt]).toEqual([undefined, undefined]);
  });
});

describe('whatever a hub remembers and a store shows', () => {
  const instant = (upTo: number): fc.Arbitrary<number> => fc.nat(upTo).map((ms) => NOW + ms);
  const credentials = fc
    .record({
      value: fc.constantFrom('A', 'B', 'C'),
      issuedAt: instant(60_000),
      life: fc.integer({ min: 60_000, max: 7_200_000 }),
      version: fc.integer({ min: 1, max: 5 }),
      refused: fc.option(fc.constant(true as const), { nil: undefined }),
    })
    .map(({ value, issuedAt, life, version, refused }): Credential => ({
      value,
      issuedAt,
      expiresAt: issuedAt + life,
      version,
      ...(refused && { refused }),
    }));
  const instants = fc.option(
    fc.array(instant(90_000), { minLength: 1, maxLength: 3 }).map((all) => all.sort((a, b) => a - b)),
    { nil: undefined },
  );
  const entries = fc
    .record({ credential: fc.option(credentials, { nil: undefined }), intents: instants, spent: instants })
    .map(({ credential, intents, spent }): Entry => {
      // What was noted before the credential was asked for is settled by it.
      const open = intents?.filter((at) => at >= (credential?.issuedAt ?? 0)) ?? [];
      return {
        ...(credential && { credential }),
        ...(open.length > 0 && { intents: open }),
        ...(spent && { spent }),
      };
    });
  const natures = fc.constantFrom(classic, stable, ticket);

  it('both sides come to the same value, version and refusal, and to the same life and doubts but for a little', () => {
    fc.assert(
      fc.property(entries, entries, natures, (one, other, nature) => {
        fc.pre(one.credential?.issuedAt !== other.credential?.issuedAt);
        const [here, there] = [reconciled(one, other, nature), reconciled(other, one, nature)];
        const matters = ({ credential }: Entry): unknown =>
          credential && [credential.value, credential.version, credential.refused];
        expect(matters(here)).toEqual(matters(there));
        const apart = (here.credential?.expiresAt ?? 0) - (there.credential?.expiresAt ?? 0);
        expect(Math.abs(apart)).toBeLessThanOrEqual(SLACK_MS);
        const from = Math.max(here.credential?.issuedAt ?? 0, there.credential?.issuedAt ?? 0);
        const doubtsSince = ({ intents = [] }: Entry): number[] => intents.filter((at) => at > from);
        for (const [some, others] of [
          [here, there],
          [there, here],
        ] as const) {
          for (const at of doubtsSince(some))
            expect(others.intents?.some((each) => Math.abs(each - at) <= SLACK_MS)).toBe(true);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('what they came to is what everybody goes by who is told of it: nobody has to write again', () => {
    fc.assert(
      fc.property(entries, entries, natures, (one, other, nature) => {
        const both = reconciled(one, other, nature);
        expect(reconciled(both, both, nature)).toBe(both);
        expect(reconciled(one, both, nature)).toBe(both);
        expect(reconciled(other, both, nature)).toBe(both);
      }),
      { numRuns: 1000 },
    );
  });

  it('no value lives longer for it, and no version falls', () => {
    fc.assert(
      fc.property(entries, entries, natures, (one, other, nature) => {
        const { credential } = reconciled(one, other, nature);
        for (const side of [one.credential, other.credential]) {
          if (!side) continue;
          const isSame = side.value === credential?.value;
          expect(credential?.expiresAt).toBeLessThanOrEqual(isSame ? side.expiresAt + SLACK_MS : Infinity);
          // Two values never share a version: clients tell them apart by it.
          expect(credential?.version).toBeGreaterThanOrEqual(isSame ? side.version : side.version + 1);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('three memories of different values come to the same one, in whatever order they meet', () => {
    const of = (value: string): fc.Arbitrary<Entry> =>
      entries.map(({ credential, ...rest }) => ({
        ...rest,
        ...(credential && { credential: { ...credential, value } }),
      }));
    fc.assert(
      fc.property(of('A'), of('B'), of('C'), natures, (a, b, c, nature) => {
        const times = [a, b, c].map(({ credential }, index) => credential?.issuedAt ?? index);
        fc.pre(new Set(times).size === times.length);
        const met = (...order: readonly Entry[]): unknown =>
          order.reduce((theirs, ours) => reconciled(ours, theirs, nature)).credential?.value;
        const values = [met(a, b, c), met(a, c, b), met(b, a, c), met(b, c, a), met(c, a, b), met(c, b, a)];
        expect(new Set(values).size).toBe(1);
      }),
      { numRuns: 1000 },
    );
  });
});
