import { TooManyRequests } from '../http/client-budgets.js';
import { Passersby } from './passersby.js';

describe('those who show nothing', () => {
  it('may call a thousand times at once and then a hundred times a second, each network for itself', () => {
    let now = 1_000_000;
    const passersby = new Passersby(() => now);
    const taken = (network: string): number => {
      for (let count = 0; ; count += 1) {
        try {
          passersby.take(network);
        } catch (error) {
          expect(error).toEqual(new TooManyRequests(now + 10));
          return count;
        }
      }
    };
    expect(taken('192.0.2.1')).toBe(1000);
    expect(taken('192.0.2.2')).toBe(1000);
    now += 1000;
    expect(taken('192.0.2.1')).toBe(100);
  });
});
