import { Standing } from './standing.js';

const LIMIT = 100;

describe('the bodies of a client', () => {
  it('are kept up to sixteen times the longest, and again when their calls are over', () => {
    const standing = new Standing(LIMIT);
    expect(Array.from({ length: 17 }, () => standing.keep(LIMIT)).filter(Boolean)).toHaveLength(16);
    expect(standing.keep(1)).toBe(false);
    expect(standing.keep(0)).toBe(true);
    standing.release(LIMIT);
    expect([standing.keep(60), standing.keep(40), standing.keep(1)]).toEqual([true, true, false]);
  });

  it('count as the longest while nobody knows how long they are', () => {
    const standing = new Standing(LIMIT);
    expect(Array.from({ length: 17 }, () => standing.keep()).filter(Boolean)).toHaveLength(16);
    standing.release();
    expect(standing.keep(LIMIT)).toBe(true);
  });
});
