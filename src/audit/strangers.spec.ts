import { jest } from '@jest/globals';
import type { AuditRecord } from './record.js';
import { Strangers } from './strangers.js';

const NOON = Date.parse('2026-11-29T12:00:00Z');
const refusal = (reason: string): AuditRecord => ({ event: 'refusal', outcome: 'unauthenticated', reason });

let records: AuditRecord[];
let strangers: Strangers;
beforeEach(() => {
  jest.useFakeTimers({ now: NOON });
  records = [];
  strangers = new Strangers((record) => {
    records.push(record);
    return Promise.resolve();
  });
});
afterEach(() => jest.useRealTimers());

/** Refuses so many, and gives what is on record of it since this was asked last. */
async function refuse(count: number, network = '203.0.113.9'): Promise<AuditRecord[]> {
  for (let i = 0; i < count; i += 1) await strangers.refused(network, () => refusal(`${i}`));
  return records.splice(0);
}

const counted = (source: string | undefined, count: number, shed = 0, minute = 0): AuditRecord => ({
  event: 'refusals',
  outcome: 'counted',
  source,
  since: new Date(NOON + minute * 60_000).toISOString(),
  count,
  shed,
});

describe('refusals of strangers', () => {
  it('are recorded one by one where they are few, and nothing else', async () => {
    expect(await refuse(100)).toEqual(Array.from({ length: 100 }, (_, i) => refusal(`${i}`)));
    jest.advanceTimersByTime(60_000);
    expect(records).toEqual([]);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('are counted beyond that, which is recorded when the minute is over', async () => {
    expect(await refuse(5000)).toHaveLength(100);
    jest.advanceTimersByTime(59_999);
    expect(records).toEqual([]);
    jest.advanceTimersByTime(1);
    expect(records.splice(0)).toEqual([counted('203.0.113.9', 4900)]);
    expect(await refuse(101)).toHaveLength(100);
    jest.advanceTimersByTime(60_000);
    expect(records).toEqual([counted('203.0.113.9', 1, 0, 1)]);
  });

  it('without a look are told as such', async () => {
    await refuse(110);
    for (let i = 0; i < 50; i += 1) strangers.shed('203.0.113.9');
    strangers.shed('203.0.113.10');
    jest.advanceTimersByTime(60_000);
    expect(records).toEqual([counted('203.0.113.9', 60, 50), counted('203.0.113.10', 1, 1)]);
  });

  it('from many networks are no more than so many records, and every one of them is recorded or counted', async () => {
    for (let network = 0; network < 5000; network += 1) {
      for (let i = 0; i < 3; i += 1) await strangers.refused(`network ${network}`, () => refusal(''));
      strangers.shed(`network ${network}`);
    }
    jest.advanceTimersByTime(60_000);
    expect(records.length).toBeLessThanOrEqual(1101);
    const singles = records.filter(({ event }) => event === 'refusal').length;
    const sums = records.filter(({ event }) => event === 'refusals');
    expect(singles + sums.reduce((sum, { count = 0 }) => sum + count, 0)).toBe(20_000);
    expect(sums.reduce((sum, { shed = 0 }) => sum + shed, 0)).toBe(5000);
    expect(sums.filter(({ source }) => source === undefined)).toHaveLength(1);
  });

  it('that were counted are not lost when the hub ends', async () => {
    await refuse(123);
    await strangers.close();
    expect(records).toEqual([counted('203.0.113.9', 23)]);
    jest.advanceTimersByTime(60_000);
    expect(records).toHaveLength(1);
  });
});
