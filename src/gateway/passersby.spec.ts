import { TooManyRequests } from '../http/client-budgets.js';
import { Passersby } from './passersby.js';

describe('those who show nothing', () => {
  it('may call a thousand times at once and then a hundred times a second, each network for itself', () => {
    let now = 1_000_000;
    const passersby = new Passersby(() => now);
    const isTaken = (network: string): boolean => {
      try {
        passersby.take(network);
        return true;
      } catch (error) {
        if (!(error instanceof TooManyRequests) || error.retryAt !== now + 10) throw error;
        return false;
      }
    };
    const taken = (network: string): number => {
      let count = 0;
      while (isTaken(network)) count += 1;
      return count;
    };
    expect(taken('192.0.2.1')).toBe(1000);
    expect(taken('192.0.2.2')).toBe(1000);
    now += 1000;
    expect(taken('192.0.2.1')).toBe(100);
  });
});
