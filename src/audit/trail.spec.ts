import { jest } from '@jest/globals';
import fc from 'fast-check';
import { newKey } from '../config/random-keys.js';
import { Secret } from '../config/secret.js';
import { NOTHING_YET } from './chain.js';
import { AuditKeys } from './keys.js';
import { type AuditRecord, RecurringRecord } from './record.js';
import { Sink, type Written } from './sink.js';
import { type AuditEvent, AuditUnavailable, Trail } from './trail.js';
import { Verifier } from './verifier.js';

const keys = new AuditKeys(new Secret(newKey()));

/** A disk that does what a test wants of it: takes bytes when it is told to, as many as it is told to. */
class Disk extends Sink {
  text = '';
  writes = 0;
  /** How many bytes it takes yet, before it is full. */
  room = Infinity;
  /** Whether a write waits for {@link answer}. */
  isSlow = false;
  private waiting: (() => void)[] = [];

  override turnOver(): Promise<boolean> {
    return Promise.resolve(false);
  }

  override async write(bytes: Buffer): Promise<Written> {
    this.writes += 1;
    if (this.isSlow) await new Promise<void>((resolve) => this.waiting.push(resolve));
    const taken = bytes.subarray(0, this.room);
    this.room -= taken.length;
    this.text += taken.toString();
    const error = Object.assign(new Error('no space'), { code: 'ENOSPC' });
    return { bytes: taken.length, ...(taken.length < bytes.length && { error }) };
  }

  /** Answers the write that waits. */
  answer(): void {
    this.waiting.shift()?.();
  }

  override close(): Promise<void> {
    return Promise.resolve();
  }
}

let disk: Disk;
let told: AuditEvent[];
let trail: Trail;

/** A chain that begins on the disk as it is. */
const begun = (isRequired = false): Trail =>
  new Trail({
    sink: disk,
    keys,
    last: NOTHING_YET,
    ending: { isLineEnded: true },
    replica: 'hub-1',
    isRequired,
    tell: (event) => told.push(event),
  });

beforeEach(() => {
  disk = new Disk();
  told = [];
  trail = begun();
});
afterEach(() => {
  jest.useRealTimers();
});

const handOut = (app: string): AuditRecord => ({ event: 'hand-out', outcome: 'given', app });
const append = (app: string): Promise<string> =>
  trail.append(handOut(app)).then(
    () => 'recorded',
    (error: unknown) => (error instanceof AuditUnavailable ? 'lost' : String(error)),
  );
const appsIn = (text: string): unknown[] =>
  text
    .split('\n')
    .filter((line) => line.endsWith('"}'))
    .map((line) => (JSON.parse(line) as AuditRecord).app ?? (JSON.parse(line) as AuditRecord).event);

/** The faults and the notes in what is on the disk. */
async function findings(): Promise<{ faults: string[]; notes: string[]; records: number }> {
  const [faults, notes]: [string[], string[]] = [[], []];
  const verifier = new Verifier(({ text, isFault }) => (isFault ? faults : notes).push(text), { keys });
  await verifier.read('disk', [Buffer.from(disk.text)]);
  verifier.end();
  return { faults, notes, records: verifier.records };
}

/** Lets everything happen that needs no time. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

describe('a trail', () => {
  it('writes a record down before it says so, with fingerprints in the place of values', async () => {
    await trail.append({
      event: 'rotation',
      outcome: 'given',
      client: 'web',
      value: 'a-new-token',
      shown: 'an-old-one',
    });
    expect(JSON.parse(disk.text)).toMatchObject({
      audit: 1,
      seq: 1,
      event: 'rotation',
      client: 'web',
      fingerprint: keys.fingerprint('a-new-token'),
      shown: keys.fingerprint('an-old-one'),
      replica: 'hub-1',
    });
    expect(disk.text).not.toMatch(/a-new-token|an-old-one/);
  });

  it('writes what comes while a write is under way with one write more, and lets each wait for its own', async () => {
    disk.isSlow = true;
    const outcomes: string[] = [];
    const note = (app: string): void => {
      void append(app).then((outcome) => outcomes.push(`${app} ${outcome}`));
    };
    note('first');
    await settled();
    for (let i = 0; i < 500; i += 1) note(`app-${i}`);
    await settled();
    expect([disk.writes, outcomes.length]).toEqual([1, 0]);
    disk.answer();
    await settled();
    expect([disk.writes, outcomes]).toEqual([2, ['first recorded']]);
    disk.answer();
    await settled();
    expect([disk.writes, outcomes.length]).toEqual([2, 501]);
    expect(appsIn(disk.text)).toEqual(['first', ...Array.from({ length: 500 }, (_, i) => `app-${i}`)]);
    expect(await findings()).toMatchObject({ faults: [], notes: [] });
  });

  it('keeps its chain whole wherever a disk is full, and loses no more than it says', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.integer({ min: 1, max: 4 }), fc.option(fc.nat(1200))), { minLength: 1, maxLength: 8 }),
        async (batches) => {
          disk.text = '';
          disk.room = Infinity;
          trail = begun();
          let asked = 0;
          for (const [count, room] of batches) {
            disk.room = room ?? Infinity;
            const names = Array.from({ length: count }, () => `app-${(asked += 1)}`);
            const outcomes = await Promise.all(names.map(append));
            const there = new Set(appsIn(disk.text));
            const recorded = names.filter((_, i) => outcomes[i] === 'recorded');
            expect(recorded.filter((name) => !there.has(name))).toEqual([]);
          }
          disk.room = Infinity;
          expect(await append('last')).toBe('recorded');
          await settled();
          const { faults, notes, records } = await findings();
          expect(faults).toEqual([]);
          const missing = notes
            .map((text) => Number(/says that (\d+)/.exec(text)?.[1] ?? 0))
            .reduce((a, b) => a + b, 0);
          // What is behind the last signature when the disk is full is in the file, but is closed off as no record.
          const telling = appsIn(disk.text).filter((app) => app === 'torn' || app === 'gap');
          expect(records - telling.length - 1 + missing).toBe(asked);
          await trail.close();
        },
      ),
      { numRuns: 60 },
    );
  });

  it('writes what recurs down for each to whom it is given, and whose it was', async () => {
    const record: AuditRecord = { event: 'hand-out', outcome: 'given', version: 7, value: 'a-new-token' };
    const recurring = new RecurringRecord(record);
    await Promise.all([trail.give(recurring, '"client":"web"'), trail.give(recurring, '"client":"pod","app":"shop"')]);
    await trail.give(record, '"client":"web"');
    const lines = disk.text.trimEnd().split('\n');
    const common = { event: 'hand-out', version: 7, fingerprint: keys.fingerprint('a-new-token'), replica: 'hub-1' };
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      expect.objectContaining({ ...common, seq: 1, client: 'web' }),
      expect.objectContaining({ ...common, seq: 2, client: 'pod', app: 'shop' }),
      expect.objectContaining({ ...common, seq: 3, client: 'web' }),
    ]);
    expect(lines[0]).not.toContain('"app"');
    expect(disk.text).not.toContain('a-new-token');
    expect((await findings()).faults).toEqual([]);
  });

  it('lets everybody go on where there can be no record, unless one is required', async () => {
    const given = (by: Trail): Promise<void> => by.give({ event: 'hand-out', outcome: 'given' }, '"client":"web"');
    await given(trail);
    expect(disk.text).toContain('"client":"web"');
    disk.room = 0;
    await given(trail);
    await expect(given(begun(true))).rejects.toThrow(AuditUnavailable);
  });

  it('tells of a disk that is full once, and once that it is not', async () => {
    disk.room = 0;
    expect([await append('a'), await append('b')]).toEqual(['lost', 'lost']);
    expect(trail.status).toMatchObject({ sequence: 0, failures: 2, trouble: { reason: 'ENOSPC' } });
    disk.room = Infinity;
    expect(await append('c')).toBe('recorded');
    expect(told).toEqual([
      { event: 'audit-failed', reason: 'ENOSPC', isRequired: false },
      { event: 'audit-back', lost: 2, seconds: 0 },
    ]);
    expect(appsIn(disk.text)).toEqual(['gap', 'c']);
    expect(trail.status).toEqual({ isRequired: false, sequence: 2, failures: 2 });
  });

  it('tries by itself whether it can write again, when nobody asks for anything', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'queueMicrotask', 'nextTick'] });
    disk.room = 0;
    expect(await append('a')).toBe('lost');
    await jest.advanceTimersByTimeAsync(1000);
    await settled();
    expect([disk.writes, told.length]).toEqual([2, 1]);
    disk.room = Infinity;
    await jest.advanceTimersByTimeAsync(1000);
    await settled();
    expect(appsIn(disk.text)).toEqual(['gap']);
    expect(told.at(-1)).toMatchObject({ event: 'audit-back', lost: 1 });
  });

  it('keeps nobody waiting for a disk that hangs for more than two seconds, nor what it cannot write', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'queueMicrotask', 'nextTick'] });
    disk.isSlow = true;
    const first = append('first');
    await settled();
    const second = append('second');
    await jest.advanceTimersByTimeAsync(2000);
    expect(await Promise.all([first, second])).toEqual(['lost', 'lost']);
    const late = await Promise.all(Array.from({ length: 1000 }, () => append('late')));
    expect(new Set(late)).toEqual(new Set(['lost']));
    expect(told).toEqual([{ event: 'audit-failed', reason: 'a write takes more than 2 s', isRequired: false }]);

    disk.isSlow = false;
    disk.answer();
    await settled();
    expect(await append('next')).toBe('recorded');
    // The first was written after all; who waited for it has been told otherwise, which is the safe way round.
    expect(appsIn(disk.text)).toEqual(['first', 'gap', 'next']);
    expect(trail.status).toMatchObject({ failures: 1002 });
    expect(told.at(-1)).toMatchObject({ event: 'audit-back', lost: 1001 });
    expect((await findings()).faults).toEqual([]);
  });

  it('holds no more than so many records while it waits', async () => {
    disk.isSlow = true;
    void append('first');
    await settled();
    const outcomes: string[] = [];
    for (let i = 0; i < 20_100; i += 1) void append('x').then((outcome) => outcomes.push(outcome));
    await settled();
    expect(outcomes).toEqual(Array.from({ length: 100 }, () => 'lost'));
    disk.isSlow = false;
    disk.answer();
    await settled();
    await trail.close();
  });
});
