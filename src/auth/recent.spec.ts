import { Recent } from './recent.js';

describe('what was used last', () => {
  it('is remembered, so much of it at least, and never more than twice as much', () => {
    const recent = new Recent<number>(100);
    for (let i = 0; i < 1050; i += 1) {
      recent.set(String(i), i);
      expect(recent.size).toBeLessThan(200);
    }
    const last = Array.from({ length: 100 }, (_, i) => 950 + i);
    expect(last.map((i) => recent.get(String(i)))).toEqual(last);
    expect(recent.get('700')).toBeUndefined();
  });

  it('is what was read or written last, not what came last', () => {
    const recent = new Recent<number>(3);
    for (const key of ['read', 'written', 'left']) recent.set(key, 1);
    for (let i = 0; i < 100; i += 1) {
      recent.get('read');
      recent.set('written', i);
      recent.set(String(i), 1);
    }
    expect(['read', 'written', 'left'].map((key) => recent.get(key))).toEqual([1, 99, undefined]);
  });

  it('stands there once, with the value that it was given last', () => {
    const recent = new Recent<number>(2);
    for (const value of [1, 2, 3, 4, 5]) {
      recent.set('a', value);
      recent.set('b', value);
      expect([recent.get('a'), recent.get('b'), recent.size]).toEqual([value, value, 2]);
    }
    recent.delete('a');
    expect([recent.get('a'), recent.get('b'), recent.size]).toEqual([undefined, 5, 1]);
  });
});
