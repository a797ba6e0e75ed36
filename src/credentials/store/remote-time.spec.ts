import fc from 'fast-check';
import { RemoteTime } from './remote-time.js';

const NOW = Date.UTC(2026, 0, 1);
/** Epoch milliseconds have only so many digits after the point. */
const ROUNDING_MS = 0.01;

/** A server whose clock is so far ahead of ours, over a network of two ways. */
class Exchange {
  readonly time = new RemoteTime();
  now = NOW;

  constructor(public ahead: number) {}

  /** Asks the server once; @returns by how much its clock seems to have been moved. */
  ask(thereMs: number, backMs: number): number {
    const sentAt = this.now;
    const remoteNow = Math.floor(sentAt + thereMs + this.ahead);
    this.now = sentAt + thereMs + backMs;
    return this.time.note(sentAt, this.now, remoteNow);
  }

  pass(ms: number): void {
    this.now += ms;
  }

  /** How much an instant of ours gets earlier on its way to the server and back. */
  get lostOnTheWay(): number {
    return -(this.time.toRemote + this.time.toLocal);
  }
}

describe('the time of a server', () => {
  it.each([0, 3_600_000, -86_400_000, 0.5])(
    'is known to the length of a question, where its clock is %d ms ahead',
    (ahead) => {
      const exchange = new Exchange(ahead);
      expect(exchange.ask(2, 3)).toBe(0);
      const { toRemote, toLocal } = exchange.time;
      expect(toRemote).toBeLessThanOrEqual(ahead);
      expect(toRemote).toBeGreaterThan(ahead - 3 - 1);
      expect(toLocal).toBeLessThanOrEqual(-ahead);
      expect(toLocal).toBeGreaterThanOrEqual(-ahead - 2 - 1);
    },
  );

  it('is known best by the quickest answer: a slow one takes nothing away', () => {
    const exchange = new Exchange(60_000);
    exchange.ask(1, 1);
    exchange.ask(400, 90);
    expect(exchange.lostOnTheWay).toBeLessThan(4);
  });

  it('gets known better by each answer that is quicker on one of the ways', () => {
    const exchange = new Exchange(60_000);
    exchange.ask(300, 1);
    expect(exchange.lostOnTheWay).toBeGreaterThan(300);
    exchange.ask(1, 300);
    expect(exchange.lostOnTheWay).toBeLessThan(5);
  });

  it('gets less certain with the hours, for no two clocks go alike', () => {
    const exchange = new Exchange(0);
    exchange.ask(1, 1);
    const before = exchange.lostOnTheWay;
    exchange.pass(3_600_000);
    exchange.ask(1000, 1000);
    expect(exchange.lostOnTheWay).toBeGreaterThan(before + 100);
  });

  it.each([3_600_000, -3_600_000, 2500, -2500])('tells that its clock was moved by %d ms, and follows it', (ms) => {
    const exchange = new Exchange(1000);
    exchange.ask(1, 1);
    exchange.pass(1000);
    exchange.ahead += ms;
    expect(Math.abs(exchange.ask(1, 1) - ms)).toBeLessThan(10);
    const { toRemote, toLocal } = exchange.time;
    expect([toRemote <= exchange.ahead, toLocal <= -exchange.ahead]).toEqual([true, true]);
    expect(exchange.lostOnTheWay).toBeLessThan(5);
    expect(exchange.ask(1, 1)).toBe(0);
  });

  it('takes a clock that is slewed for one that goes on', () => {
    const exchange = new Exchange(0);
    const moves: number[] = [];
    for (let second = 0; second < 600; second += 1) {
      moves.push(exchange.ask(1, 1));
      exchange.pass(998);
      exchange.ahead += 0.15;
    }
    expect(moves.every((moved) => moved === 0)).toBe(true);
    expect(exchange.time.toRemote).toBeLessThanOrEqual(exchange.ahead + ROUNDING_MS);
  });

  it('never makes an instant later, on the way there or back, and little earlier, whatever the network does', () => {
    const legs = fc.double({ min: 0, max: 450, noNaN: true });
    const asks = fc.array(fc.tuple(legs, legs, fc.nat(60_000)), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(
        fc.integer({ min: -1e9, max: 1e9 }),
        fc.double({ min: -1, max: 1, noNaN: true }),
        asks,
        (ahead, rate, all) => {
          const exchange = new Exchange(ahead);
          for (const [there, back, pause] of all) {
            expect(exchange.ask(there, back)).toBe(0);
            expect(exchange.time.toRemote).toBeLessThanOrEqual(exchange.ahead + ROUNDING_MS);
            expect(exchange.time.toLocal).toBeLessThanOrEqual(-exchange.ahead + ROUNDING_MS);
            // Never less certain than this one answer alone.
            expect(exchange.lostOnTheWay).toBeLessThanOrEqual(there + back + 1 + ROUNDING_MS);
            expect(exchange.lostOnTheWay).toBeGreaterThanOrEqual(-ROUNDING_MS);
            exchange.pass(pause);
            // Clocks in step differ by less than this; the way there counts, too.
            exchange.ahead += rate * 0.00019 * pause;
          }
        },
      ),
    );
  });
});
