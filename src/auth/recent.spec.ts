import { Recent } from './recent.js';

describe('what was used last', () => {
  it('is remembered, and no more than so much of it', () => {
    const recent = new Recent<number>(3);
    for (let i = 0; i < 1000; i += 1) recent.set(String(i), i);
    expect(['996', '997', '998', '999'].map((key) => recent.get(key))).toEqual([undefined, 997, 998, 999]);
  });

  it('is what was read or written last, not what came last', () => {
    const recent = new Recent<number>(3);
    for (const key of ['read', 'written', 'left']) recent.set(key, 1);
    recent.get('read');
    recent.set('written', 2);
    recent.set('new', 1);
    expect(['read', 'written', 'left', 'new'].map((key) => recent.get(key))).toEqual([1, 2, undefined, 1]);
  });

  it('makes room when it is forgotten', () => {
    const recent = new Recent<number>(2);
    recent.set('a', 1);
    recent.set('b', 1);
    recent.delete('b');
    recent.set('c', 1);
    expect(['a', 'b', 'c'].map((key) => recent.get(key))).toEqual([1, undefined, 1]);
  });
});
