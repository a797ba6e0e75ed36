import { setImmediate as endOfTurn } from 'node:timers/promises';
import { behindLast, chained, type Ending, endingAfter, hashOf, type Link } from './chain.js';
import { codeOf } from './file.sink.js';
import type { AuditKeys } from './keys.js';
import type { AuditRecord } from './record.js';
import type { Sink, Written } from './sink.js';

/** What operators should know of the audit. */
export type AuditEvent =
  /** `isRequired`: and clients are refused for it. */
  | { readonly event: 'audit-failed'; readonly reason: string; readonly isRequired: boolean }
  | { readonly event: 'audit-back'; readonly lost: number; readonly seconds: number };

/** What a trail is made of. */
export interface Surroundings {
  readonly sink: Sink;
  readonly keys: AuditKeys;
  /** Where the chain has come to, and how what is there ends. */
  readonly last: Link;
  readonly ending: Ending;
  /** By which name the records speak of this hub. */
  readonly replica: string;
  readonly isRequired: boolean;
  tell(event: AuditEvent): void;
}

/** How an audit stands. */
export interface AuditStatus {
  readonly isRequired: boolean;
  /** The number of the last record. */
  readonly sequence: number;
  /** How many records could not be written, or not in time. */
  readonly failures: number;
  /** Since when none can be written, in epoch milliseconds, and why. */
  readonly trouble?: { readonly since: number; readonly reason: string };
}

/** A record could not be written, or not in time. */
export class NotRecorded extends Error {}

/** A record, with the time at which it was made, and what has to be told when it is written. */
interface Waiting {
  readonly time: string;
  readonly record: AuditRecord;
  readonly resolve: () => void;
  readonly reject: (error: NotRecorded) => void;
}

interface Trouble {
  readonly since: number;
  readonly reason: string;
  /** How many records are missing, and how many of them no record tells of yet. */
  lost: number;
  untold: number;
}

/** One line of a batch: where the chain has come to with it, and at which byte it ends. */
interface BatchLine {
  readonly of: 'torn' | 'gap' | 'record';
  readonly link: Link;
  readonly end: number;
}

/** A disk that takes longer hangs: nobody is kept waiting for it any more. */
const PATIENCE_MS = 2000;
/** While nothing can be written, it is tried this often, whether there is anything new or not. */
const AGAIN_MS = 1000;
/** As many may wait for the write that is under way; a hub that answers so many within the patience is not known. */
const MOST_WAITING = 20_000;

/**
 * Writes records one after another, each tied to the one before. Those that come while a write is under way share the
 * next one, so that a record waits for one write and not for one each, however many come.
 */
export class Trail {
  private last: Link;
  private ending: Ending;
  private waiting: Waiting[] = [];
  private writing: Promise<void> | undefined;
  private isStalled = false;
  private trouble: Trouble | undefined;
  private failures = 0;
  private again: NodeJS.Timeout | undefined;
  private now = { ms: NaN, text: '' };

  constructor(private readonly surroundings: Surroundings) {
    this.last = surroundings.last;
    this.ending = surroundings.ending;
  }

  get status(): AuditStatus {
    const { trouble, failures, last, surroundings } = this;
    return {
      isRequired: surroundings.isRequired,
      sequence: last.seq,
      failures,
      ...(trouble && { trouble: { since: trouble.since, reason: trouble.reason } }),
    };
  }

  /**
   * Ends when the record is written.
   * @throws NotRecorded when it cannot be, or not in time.
   */
  append(record: AuditRecord): Promise<void> {
    if (this.isStalled || this.waiting.length >= MOST_WAITING) {
      this.failures += 1;
      this.lose(1, 'more comes than can be written');
      return Promise.reject(new NotRecorded());
    }
    return new Promise((resolve, reject) => {
      this.waiting.push({ time: this.time(), record, resolve, reject });
      this.start();
    });
  }

  /** Writes what waits, and ends. */
  async close(): Promise<void> {
    // A disk that hangs must not keep the hub from ending.
    if (!this.isStalled) {
      await this.writing;
      await this.surroundings.sink.close();
    }
    clearTimeout(this.again);
  }

  private start(): void {
    this.writing ??= this.writeOn();
  }

  private async writeOn(): Promise<void> {
    // Whoever comes in the same turn of the loop comes along; a write costs more than a record.
    await endOfTurn();
    for (let isWritten = true; this.waiting.length > 0 || (isWritten && this.trouble);) {
      isWritten = await this.writeBatch(this.waiting.splice(0));
    }
    this.writing = undefined;
  }

  private async writeBatch(waiting: readonly Waiting[]): Promise<boolean> {
    const patience = setTimeout(() => this.stall(waiting), PATIENCE_MS);
    const { lines, untold, written } = await this.attempt(waiting);
    clearTimeout(patience);
    const wasStalled = this.isStalled;
    this.isStalled = false;
    const kept = lines.filter(({ end }) => isThere(end, written));
    if (kept.some((line) => line.of === 'gap')) this.tellOfGap(untold);
    if (written.error === undefined) {
      for (const { resolve } of waiting) resolve();
      return true;
    }
    this.lose(waiting.length - kept.filter((line) => line.of === 'record').length, codeOf(written.error));
    if (!wasStalled) this.giveUp(waiting);
    return false;
  }

  /** Writes a batch behind what is there, and takes over how far it came. */
  private async attempt(
    waiting: readonly Waiting[],
  ): Promise<{ lines: readonly BatchLine[]; untold: number; written: Written }> {
    const { sink } = this.surroundings;
    try {
      if (await sink.turnOver()) this.ending = { ...this.ending, isLineEnded: true };
    } catch (error) {
      return { lines: [], untold: 0, written: { bytes: 0, error } };
    }
    const untold = this.trouble?.untold ?? 0;
    const { bytes, lines } = this.batch(waiting);
    const written = await sink.write(bytes);
    this.advance(bytes.subarray(0, written.bytes), lines);
    return { lines, untold, written };
  }

  private batch(waiting: readonly Waiting[]): { bytes: Buffer; lines: readonly BatchLine[] } {
    const { ending, trouble } = this;
    const { keys, replica } = this.surroundings;
    const lines: BatchLine[] = [];
    let { last } = this;
    let text = ending.isLineEnded ? '' : '\n';
    let end = text.length;
    const add = (of: BatchLine['of'], time: string, record: object): void => {
      const { line, link } = chained({ time, ...record, replica }, last, keys);
      last = link;
      text += line;
      end += Buffer.byteLength(line);
      lines.push({ of, link, end });
    };
    if (ending.torn) {
      const { torn } = ending;
      add('torn', this.time(), { event: 'torn', outcome: 'closed-off', bytes: torn.length, sha256: hashOf(torn) });
    }
    if (trouble) {
      const { since, untold, reason } = trouble;
      add('gap', this.time(), {
        event: 'gap',
        outcome: 'told',
        since: new Date(since).toISOString(),
        lost: untold,
        reason,
      });
    }
    for (const { time, record } of waiting) add('record', time, this.told(record));
    return { bytes: Buffer.from(text), lines };
  }

  /** A record as it is written: with fingerprints in the place of values. */
  private told({ event, outcome, value, shown, ...more }: AuditRecord): object {
    const { keys } = this.surroundings;
    return {
      event,
      outcome,
      ...more,
      ...(value !== undefined && { fingerprint: keys.fingerprint(value) }),
      ...(shown !== undefined && { shown: keys.fingerprint(shown) }),
    };
  }

  /** What is written counts, whatever was told of it; a piece of a line is left for the next batch to close off. */
  private advance(written: Buffer, lines: readonly BatchLine[]): void {
    const last = lines.findLast(({ end }) => isThere(end, { bytes: written.length }));
    if (last) {
      this.last = last.link;
      this.ending = endingAfter(written.subarray(last.end - 1));
    } else if (written.length > 0) {
      const isBeginning = this.last.seq === 0;
      this.ending = endingAfter(Buffer.concat([behindLast(this.ending, isBeginning), written]), isBeginning);
    }
  }

  private stall(waiting: readonly Waiting[]): void {
    this.isStalled = true;
    const others = this.waiting.splice(0);
    this.lose(others.length, 'a write takes more than 2 s');
    this.giveUp([...waiting, ...others]);
  }

  private giveUp(waiting: readonly Waiting[]): void {
    this.failures += waiting.length;
    for (const { reject } of waiting) reject(new NotRecorded());
  }

  private lose(count: number, reason: string): void {
    const { surroundings } = this;
    if (!this.trouble) {
      this.trouble = { since: Date.now(), reason, lost: 0, untold: 0 };
      surroundings.tell({ event: 'audit-failed', reason, isRequired: surroundings.isRequired });
    }
    this.trouble.lost += count;
    this.trouble.untold += count;
    this.again ??= setTimeout(() => {
      this.again = undefined;
      if (this.trouble) this.start();
    }, AGAIN_MS).unref();
  }

  /** The trouble is over once a record tells of all that is missing. */
  private tellOfGap(told: number): void {
    const { trouble } = this;
    if (!trouble) return;
    trouble.untold -= told;
    if (trouble.untold > 0) return;
    this.trouble = undefined;
    const seconds = Math.round((Date.now() - trouble.since) / 1000);
    this.surroundings.tell({ event: 'audit-back', lost: trouble.lost, seconds });
  }

  /** The time in writing; many records share a millisecond. */
  private time(): string {
    const ms = Date.now();
    if (ms !== this.now.ms) this.now = { ms, text: new Date(ms).toISOString() };
    return this.now.text;
  }
}

/** Whether a line that ends there is in what was written: one that lacks its end alone is. */
function isThere(end: number, { bytes }: Written): boolean {
  return end - 1 <= bytes;
}
