import { digestOf } from '../auth/verified-tokens.js';
import { Floods } from './floods.js';

const FLOODER = '203.0.113.9';
const GOOD = 'Bearer web.payload.signature';
/** What a budget covers at once, and in a second. */
const [BURST, PER_SECOND] = [5000, 200];

const naming = (kid: string, rest: string): string =>
  `Bearer ${Buffer.from(JSON.stringify({ alg: 'HS256', kid })).toString('base64url')}.${rest}`;

/** A table in a time of its own, at a hub that knows some clients. */
class Table {
  readonly told: string[] = [];
  readonly good = new Set<string>();
  private sent = 0;
  private now = 1_700_000_000_000;
  private readonly floods = new Floods({
    ring: { knows: (kid) => /^client-\d$/.test(kid) },
    verified: { wasGood: (digest) => this.good.has(digest), forget: (digest) => void this.good.delete(digest) },
    now: () => this.now,
    tell: (network) => this.told.push(network),
  });

  pass(ms: number): void {
    this.now += ms;
  }

  isShed(shown: string, network = FLOODER): boolean {
    return this.floods.isShed(network, shown, this);
  }

  /**
   * Sends bad tokens as they would come, each looked at unless it is shed; how many were looked at.
   * @param tokenOf makes one of a number, which never comes twice.
   */
  send(count: number, tokenOf = (serial: number) => `Bearer x${serial}.y.z`): number {
    let looks = 0;
    for (let i = 0; i < count; i += 1) {
      const shown = tokenOf((this.sent += 1));
      if (this.isShed(shown)) continue;
      this.floods.fail(FLOODER, shown, this);
      looks += 1;
    }
    return looks;
  }
}

let table: Table;
beforeEach(() => (table = new Table()));

describe('bad tokens', () => {
  it('are looked at as long as they are few', () => {
    for (let second = 0; second < 60; second += 1) {
      expect(table.send(PER_SECOND - 10)).toBe(PER_SECOND - 10);
      table.pass(1000);
    }
    expect(table.told).toEqual([]);
  });

  it('are shed in a flood, but for so many in a second', () => {
    expect(table.send(BURST + 2000)).toBe(BURST);
    for (let second = 0; second < 10; second += 1) {
      let looks = 0;
      for (let i = 0; i < 100; i += 1) {
        table.pass(10);
        looks += table.send(20);
      }
      expect(looks).toBe(PER_SECOND);
    }
    expect(table.told).toEqual([FLOODER]);
  });

  it('are looked at again when the flood is over', () => {
    table.send(BURST + 2000);
    expect(table.isShed('Bearer other.x.y')).toBe(true);
    table.pass(60_000);
    expect(table.send(BURST)).toBe(BURST);
  });

  it('that are one over and over leave half of the budget to others, for a second at a time', () => {
    const replayed = (): string => 'Bearer the.same.again';
    expect(table.send(BURST, replayed)).toBe(BURST / 2);
    expect(table.send(BURST)).toBe(BURST / 2);
    table.pass(1001);
    expect(table.isShed(replayed())).toBe(false);
  });

  it('that name clients have a budget for each, but for four of them in all', () => {
    expect(table.send(BURST)).toBe(BURST);
    const looks = Array.from({ length: 6 }, (_, client) =>
      table.send(BURST, (i) => naming(`client-${client}`, `x.${i}`)),
    );
    expect(looks).toEqual([BURST, BURST, BURST, 0, 0, 0]);
    expect(table.send(1, () => naming('nobody', 'x.y'))).toBe(0);
  });
});

describe('a good client in a flood', () => {
  it('elsewhere notices nothing', () => {
    table.send(BURST + 1);
    expect(table.isShed('Bearer new.to.us', '198.51.100.1')).toBe(false);
  });

  it('of the same address is let in with the token that it came with before, whatever the flood is', () => {
    table.good.add(digestOf(GOOD));
    table.send(BURST + 1);
    for (let client = 0; client < 4; client += 1) table.send(BURST + 1, (i) => naming(`client-${client}`, `x.${i}`));
    expect(table.isShed('Bearer another.of.it')).toBe(true);
    expect(table.isShed(GOOD)).toBe(false);
  });

  it('of the same address may come with a token that was never seen, if the flood does not name it', () => {
    table.send(BURST + 1);
    table.send(BURST + 1, (i) => naming('client-1', `x.${i}`));
    expect(table.isShed(naming('client-1', 'new.one'))).toBe(true);
    expect(table.isShed(naming('client-2', 'new.one'))).toBe(false);
  });

  it('is good no longer once its token fails', () => {
    table.good.add(digestOf(GOOD));
    table.send(BURST - 1);
    expect(table.send(1, () => GOOD)).toBe(1);
    expect(table.isShed(GOOD)).toBe(true);
  });
});
