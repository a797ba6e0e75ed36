import fc from 'fast-check';
import { DueList } from './due-list.js';

type Operation =
  | { readonly verb: 'set'; readonly item: number; readonly at: number | undefined }
  | { readonly verb: 'take'; readonly now: number };

/** Few items and few instants, so that they meet. */
const item = fc.nat(15);
const instant = fc.integer({ min: 0, max: 20 });
const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ verb: fc.constant('set' as const), item, at: instant }) },
  { weight: 1, arbitrary: fc.record({ verb: fc.constant('set' as const), item, at: fc.constant(undefined) }) },
  { weight: 2, arbitrary: fc.record({ verb: fc.constant('take' as const), now: instant }) },
);

describe('the due list', () => {
  it('does what a plain list would that is searched from end to end', () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 200 }), (operations) => {
        const list = new DueList<number>();
        const plain = new Map<number, number>();
        const take = (now: number): number | undefined => {
          const taken = list.take(now);
          const at = taken === undefined ? undefined : plain.get(taken);
          if (taken !== undefined) plain.delete(taken);
          return at;
        };
        for (const step of operations) {
          if (step.verb === 'set') {
            list.set(step.item, step.at);
            if (step.at === undefined) plain.delete(step.item);
            else plain.set(step.item, step.at);
          }
          // Which of several that are due at the same instant comes first is left open.
          const now = step.verb === 'take' ? step.now : -1;
          const earliest = Math.min(...plain.values());
          expect(take(now)).toBe(earliest > now ? undefined : earliest);
          expect(list.size).toBe(plain.size);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('gives everything that is due, the most urgent first, and each thing once', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.tuple(fc.nat(), fc.nat(1000)), { selector: ([id]) => id }), (entries) => {
        const list = new DueList<number>();
        for (const [id, at] of entries) list.set(id, at);
        const taken: number[] = [];
        for (let id = list.take(1000); id !== undefined; id = list.take(1000)) taken.push(id);
        const due = new Map(entries);
        expect(taken.map((id) => due.get(id))).toEqual([...due.values()].sort((one, other) => one - other));
        expect(new Set(taken).size).toBe(entries.length);
        expect(list.size).toBe(0);
      }),
    );
  });

  it('has one place for an item, however often that is put down', () => {
    const list = new DueList<string>();
    for (const at of [30, 10, 20]) list.set('shop', at);
    expect(list.size).toBe(1);
    expect(list.take(19)).toBeUndefined();
    expect(list.take(20)).toBe('shop');
    expect(list.take(Infinity)).toBeUndefined();
  });

  it('forgets what is taken out, and does not mind what was never in', () => {
    const list = new DueList<string>();
    list.set('shop', 1);
    list.set('shop', undefined);
    list.set('crm', undefined);
    expect(list.size).toBe(0);
    expect(list.take(Infinity)).toBeUndefined();
  });
});
