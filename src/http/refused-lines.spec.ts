import { RefusedLines } from './refused-lines.js';

/** Lines as they are written, in a time that is driven. */
class Log {
  now = 1_000_000;
  readonly told: string[] = [];
  private readonly lines = new RefusedLines({ now: () => this.now, tell: (source) => void this.told.push(source) });

  /** How many of so many refusals had a line. */
  count(refusals: number, source = '203.0.113.9', isKnown = false): number {
    return Array.from({ length: refusals }, () => this.lines.mayHave(source, isKnown)).filter(Boolean).length;
  }
}

describe('refusals', () => {
  let log: Log;
  beforeEach(() => (log = new Log()));

  it('have a line each, as long as they are few', () => {
    expect(log.count(100)).toBe(100);
    expect(log.told).toEqual([]);
  });

  it('have a hundred a minute when they are many, and one that says so', () => {
    expect(log.count(5000)).toBe(100);
    log.now += 59_999;
    expect(log.count(5000)).toBe(99);
    expect(log.told).toEqual(['203.0.113.9']);
    log.now += 1;
    log.count(5000);
    expect(log.told).toEqual(['203.0.113.9', '203.0.113.9']);
  });

  it('of one network leave others theirs', () => {
    log.count(5000);
    expect(log.count(50, '198.51.100.1')).toBe(50);
  });

  it('of a great many networks have a thousand together, and one that says so', () => {
    let lines = 0;
    for (let i = 0; i < 20_000; i += 1) lines += log.count(1, `2001:db8:0:${i.toString(16)}::/64`);
    expect(lines).toBe(1000);
    expect(log.told).toEqual(['many networks']);
  });

  it('of clients are bounded for each, and have their lines whatever strangers do', () => {
    for (let i = 0; i < 20_000; i += 1) log.count(1, `2001:db8:0:${i.toString(16)}::/64`);
    expect(log.count(5000, 'the client legacy', true)).toBe(100);
    expect(log.count(50, 'the client other', true)).toBe(50);
    expect(log.told).toEqual(['many networks', 'the client legacy']);
  });
});
