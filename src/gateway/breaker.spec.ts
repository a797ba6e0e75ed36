import { Breaker } from './breaker.js';

describe('a breaker', () => {
  it('opens after three failures in a row, and lets one call through after each pause', () => {
    const breaker = new Breaker();
    const allowed: number[] = [];
    for (let now = 0; now < 200_000; now += 100) {
      if (!breaker.allows(now)) continue;
      allowed.push(now);
      breaker.fail(now);
    }
    expect(allowed).toEqual([0, 100, 200, 10_200, 30_200, 70_200, 130_200, 190_200]);
  });

  it('lets one call through at a time while nobody knows what becomes of it', () => {
    const breaker = new Breaker();
    for (let i = 0; i < 3; i += 1) breaker.fail(0);
    expect([10_000, 10_000, 10_001].map((now) => breaker.allows(now))).toEqual([true, false, false]);
  });

  it('closes with the first success', () => {
    const breaker = new Breaker();
    for (let i = 0; i < 3; i += 1) breaker.fail(0);
    expect(breaker.allows(1)).toBe(false);
    breaker.succeed();
    expect(breaker.allows(1)).toBe(true);
    breaker.fail(1);
    expect(breaker.allows(1)).toBe(true);
  });
});
