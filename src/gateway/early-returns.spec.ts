import type { Client } from '../config/clients.js';
import { EarlyReturns } from './early-returns.js';

const client = (name: string): Client => ({ name, keys: [], apps: '*', may: new Set(['read']) });
const [one, other] = [client('one'), client('other')];
const MINUTE_MS = 60_000;

describe('a client that comes back for its token', () => {
  const returns = new EarlyReturns(() => 0);
  beforeEach(() => returns.remember(one, 'shop', 7));

  it.each<[string, Client, string, number, boolean]>([
    ['had this very one', one, 'shop', 7, true],
    ['had an older one', one, 'shop', 8, false],
    ['had that of another app', one, 'crm', 7, false],
    ['is another client', other, 'shop', 7, false],
    ['is the same by name, of another configuration', client('one'), 'shop', 7, false],
  ])('%s', (_, who, app, version, expected) => {
    expect(returns.isReturn(who, app, version)).toBe(expected);
  });

  it('has had the last one that it was given, and none before', () => {
    returns.remember(one, 'shop', 9);
    expect([7, 9].map((version) => returns.isReturn(one, 'shop', version))).toEqual([false, true]);
  });
});

describe('the hints of a client', () => {
  it('are followed three times in a row, and then once in five minutes', () => {
    let now = 1_000_000;
    const returns = new EarlyReturns(() => now);
    const minutes: number[] = [];
    for (let minute = 0; minute < 20; minute += 1) {
      for (let i = 0; i < 10; i += 1) if (returns.mayAsk(one, 'shop')) minutes.push(minute);
      now += MINUTE_MS;
    }
    expect(minutes).toEqual([0, 0, 0, 5, 10, 15]);
  });

  it('take nothing from those about another app, or of another client', () => {
    const returns = new EarlyReturns(() => 0);
    while (returns.mayAsk(one, 'shop'));
    expect(returns.mayAsk(one, 'crm')).toBe(true);
    expect(returns.mayAsk(other, 'shop')).toBe(true);
  });

  it('are as many as those of four, however many clients there are', () => {
    let now = 1_000_000;
    const returns = new EarlyReturns(() => now);
    const count = (): number =>
      Array.from({ length: 100 }, (_, i) => client(`${i}`)).filter((each) => returns.mayAsk(each, 'shop')).length;
    expect(count()).toBe(12);
    now += 5 * MINUTE_MS;
    expect(count()).toBe(4);
  });
});
