import { setImmediate as endOfTurn } from 'node:timers/promises';
import { behindLast, chained, type Ending, endingAfter, hashOf, type Link, membersOf } from './chain.js';
import { codeOf } from './file.sink.js';
import type { AuditKeys } from './keys.js';
import { type AuditRecord, RecurringRecord } from './record.js';
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

/** A record could not be written, or not in time: where one is required, nobody is given anything. */
export class AuditUnavailable extends Error {
  constructor() {
    super('What is handed out cannot be recorded at the moment.');
    this.name = 'AuditUnavailable';
  }
}

/** Records that are written together, as the members of their lines; all are, or none is known to be. */
class Batch {
  readonly records: string[] = [];
  readonly written: Promise<void>;
  /** The same for those who may go on without a record, where none is required: one for all of them. */
  readonly given: Promise<void>;
  private settle: { readonly resolve: () => void; readonly reject: (error: AuditUnavailable) => void } | undefined;

  constructor(isRequired: boolean) {
    this.written = new Promise((resolve, reject) => (this.settle = { resolve, reject }));
    // Whoever waits hears of it; nobody may.
    const anyway = this.written.catch(() => undefined);
    this.given = isRequired ? this.written : anyway;
  }

  keep(): void {
    this.settle?.resolve();
  }

  giveUp(): void {
    this.settle?.reject(new AuditUnavailable());
  }
}

interface Trouble {
  readonly since: number;
  readonly reason: string;
  /** How many records are missing, and how many of them no record tells of yet. */
  lost: number;
  untold: number;
}

/** A line that is signed, for itself and for those before it: where the chain has come to with it. */
interface Milestone {
  readonly link: Link;
  /** At which byte of the batch it ends. */
  readonly end: number;
  /** How many records are before that, and whether that of a gap is. */
  readonly records: number;
  readonly tellsOfGap: boolean;
}

/** A disk that takes longer hangs: nobody is kept waiting for it any more. */
const PATIENCE_MS = 2000;
/** So many lines at most have one signature: as many are lost where a write is cut off in the middle. */
const SIGNED_EVERY = 50;
/** Nobody is kept waiting for others any longer than this. */
const COMPANY_MS = 1;
/** While nothing can be written, it is tried this often, whether there is anything new or not. */
const AGAIN_MS = 1000;
/** As many may wait for the write that is under way; a hub that answers so many within the patience is not known. */
const MOST_WAITING = 20_000;
const PAGE_BYTES = 64 * 1024;
const MOST_PAGE_BYTES = 1024 * 1024;
/** In UTF-8, of those that JavaScript counts. */
const BYTES_PER_CHARACTER = 3;

/**
 * Writes records one after another, each tied to the one before. Those that come while a write is under way share the
 * next one, so that a record waits for one write and not for one each, however many come.
 */
export class Trail {
  private last: Link;
  private ending: Ending;
  private waiting: Batch;
  private writing: Promise<void> | undefined;
  private isStalled = false;
  private trouble: Trouble | undefined;
  private failures = 0;
  private again: NodeJS.Timeout | undefined;
  private now = { ms: NaN, text: '' };
  private readonly page = new Page();

  constructor(private readonly surroundings: Surroundings) {
    this.last = surroundings.last;
    this.ending = surroundings.ending;
    this.waiting = new Batch(surroundings.isRequired);
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
   * @param asked who asked for it, where that is not in it: members of the line, as they stand in JSON.
   * @throws AuditUnavailable when it cannot be, or not in time.
   */
  append(record: AuditRecord, asked?: string): Promise<void> {
    return this.add(record, asked).written;
  }

  /**
   * Ends when the record is written, or need not be.
   * @throws AuditUnavailable when it has to be, and cannot.
   */
  give(record: AuditRecord | RecurringRecord, asked: string): Promise<void> {
    return this.add(record, asked).given;
  }

  private add(record: AuditRecord | RecurringRecord, asked: string | undefined): Batch {
    const { waiting } = this;
    if (this.isStalled || waiting.records.length >= MOST_WAITING) {
      this.failures += 1;
      this.lose(1, 'more comes than can be written');
      const refused = new Batch(this.surroundings.isRequired);
      refused.giveUp();
      return refused;
    }
    const members = this.time() + this.written(record);
    waiting.records.push(asked === undefined ? members : `${members},${asked}`);
    this.start();
    return waiting;
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
    await this.company();
    for (let isWritten = true; this.waiting.records.length > 0 || (isWritten && this.trouble);) {
      isWritten = await this.writeBatch(this.next());
      await this.company();
    }
    this.writing = undefined;
  }

  /**
   * A write costs as much as many records. So whoever comes in the same turn of the loop comes along, and as long as
   * each turn brings others, they are waited for: a hub at rest writes at once, a busy one seldom.
   */
  private async company(): Promise<void> {
    const until = performance.now() + COMPANY_MS;
    for (let count = -1; count < this.waiting.records.length && performance.now() < until;) {
      count = this.waiting.records.length;
      await endOfTurn();
    }
  }

  /** What waits; what comes from now on waits for the batch after that. */
  private next(): Batch {
    const { waiting } = this;
    this.waiting = new Batch(this.surroundings.isRequired);
    return waiting;
  }

  private async writeBatch(batch: Batch): Promise<boolean> {
    const patience = setTimeout(() => this.stall(batch), PATIENCE_MS);
    const { reached, untold, written } = await this.attempt(batch);
    clearTimeout(patience);
    const wasStalled = this.isStalled;
    this.isStalled = false;
    if (reached?.tellsOfGap) this.tellOfGap(untold);
    if (written.error === undefined) {
      batch.keep();
      return true;
    }
    this.lose(batch.records.length - (reached?.records ?? 0), codeOf(written.error));
    if (!wasStalled) this.giveUp(batch);
    return false;
  }

  /** Writes a batch behind what is there, and takes over how far it came. */
  private async attempt(batch: Batch): Promise<{ reached?: Milestone | undefined; untold: number; written: Written }> {
    const { sink } = this.surroundings;
    try {
      if (await sink.turnOver()) this.ending = { ...this.ending, isLineEnded: true };
    } catch (error) {
      return { untold: 0, written: { bytes: 0, error } };
    }
    const untold = this.trouble?.untold ?? 0;
    const { bytes, milestones } = this.write(batch);
    const written = await sink.write(bytes);
    const reached = milestones.findLast(({ end }) => isThere(end, written));
    this.advance(bytes.subarray(0, written.bytes), reached);
    return { reached, untold, written };
  }

  /** The lines of a batch. One in some is signed, and the last: a signature costs as much as all else. */
  private write(batch: Batch): { bytes: Buffer; milestones: readonly Milestone[] } {
    const { ending, trouble, page } = this;
    const { keys } = this.surroundings;
    const ahead = [ending.torn && this.tornMember(ending.torn), trouble && this.gapMember(trouble)];
    const all = [...ahead.filter((members) => members !== undefined), ...batch.records];
    const before = all.length - batch.records.length;
    const milestones: Milestone[] = [];
    let { last } = this;
    page.turn();
    if (!ending.isLineEnded) page.write('\n');
    for (const [i, members] of all.entries()) {
      // What is said of the audit itself is, too: what is torn is closed off by nothing less.
      const isSigned = i < before || i === all.length - 1 || i % SIGNED_EVERY === SIGNED_EVERY - 1;
      const { line, link } = chained(members, last, isSigned ? keys : undefined);
      last = link;
      page.write(line);
      if (!isSigned) continue;
      const records = Math.max(0, i + 1 - before);
      milestones.push({ link, end: page.length, records, tellsOfGap: trouble !== undefined && i + 1 >= before });
    }
    return { bytes: page.text, milestones };
  }

  private tornMember(torn: Buffer): string {
    const seen = { event: 'torn', outcome: 'closed-off', bytes: torn.length, sha256: hashOf(torn) };
    return this.time() + this.ofReplica(seen);
  }

  private gapMember({ since, untold, reason }: Trouble): string {
    const gap = { event: 'gap', outcome: 'told', since: new Date(since).toISOString(), lost: untold, reason };
    return this.time() + this.ofReplica(gap);
  }

  private written(record: AuditRecord | RecurringRecord): string {
    if (!(record instanceof RecurringRecord)) return this.ofReplica(this.told(record));
    return (record.members ??= this.written(record.record));
  }

  private ofReplica(told: object): string {
    return membersOf({ ...told, replica: this.surroundings.replica });
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

  /** What is written and signed counts, whatever was told of it; what is behind that is left for the next batch to close off. */
  private advance(written: Buffer, reached: Milestone | undefined): void {
    if (reached) {
      this.last = reached.link;
      // The page is used again.
      this.ending = endingAfter(Buffer.from(written.subarray(reached.end - 1)));
    } else if (written.length > 0) {
      const isBeginning = this.last.seq === 0;
      this.ending = endingAfter(Buffer.concat([behindLast(this.ending, isBeginning), written]), isBeginning);
    }
  }

  private stall(batch: Batch): void {
    this.isStalled = true;
    const others = this.next();
    this.lose(others.records.length, 'a write takes more than 2 s');
    this.giveUp(batch);
    this.giveUp(others);
  }

  private giveUp(batch: Batch): void {
    this.failures += batch.records.length;
    batch.giveUp();
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

  /** The time as the first member of a line; many records share a millisecond. */
  private time(): string {
    const ms = Date.now();
    if (ms !== this.now.ms) this.now = { ms, text: `${membersOf({ time: new Date(ms).toISOString() })},` };
    return this.now.text;
  }
}

/** Text for one write, put together in memory that is used again for the next. */
class Page {
  private bytes = Buffer.allocUnsafe(PAGE_BYTES);
  length = 0;

  /** What is on it, until it is turned. */
  get text(): Buffer {
    return this.bytes.subarray(0, this.length);
  }

  turn(): void {
    // Once there was an uncommon crowd.
    if (this.bytes.length > MOST_PAGE_BYTES) this.bytes = Buffer.allocUnsafe(PAGE_BYTES);
    this.length = 0;
  }

  write(text: string): void {
    const most = this.length + BYTES_PER_CHARACTER * text.length;
    if (most > this.bytes.length) this.bytes = Buffer.concat([this.text], 2 * most);
    this.length += this.bytes.write(text, this.length);
  }
}

/** Whether a line that ends there is in what was written: one that lacks its end alone is. */
function isThere(end: number, { bytes }: Written): boolean {
  return end - 1 <= bytes;
}
