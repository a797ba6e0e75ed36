import { createHash, type Hash } from 'node:crypto';
import { mayBeTorn, type ReadLine, readLine } from './chain.js';
import type { AuditKeys } from './keys.js';

/** Something that is not as a hub wrote it, or that a reader should know. */
export interface Finding {
  readonly file: string;
  readonly line: number;
  readonly text: string;
  /** Notes are no faults: a hub was killed, or could not write, and said so. */
  readonly isFault: boolean;
}

/** What is held against the records. */
export interface Expectations {
  /** With these it is told, too, whether a hub wrote the lines. */
  readonly keys?: AuditKeys;
  /** Whether chains may begin anew within what is read, as they do on stdout with each start. */
  readonly mayBeginAnew?: boolean;
}

/** Lines that are longer are none of ours, and are not held in memory. */
const LONGEST_LINE = 64 * 1024;
const LINE_END = 0x0a;
/** Records that say something of the audit itself. */
const TELLING = ['"event":"torn"', '"event":"gap"'];

type Place = Pick<Finding, 'file' | 'line'>;

/** What is behind the last signed record. Signed ones come after it, or a hub left it that was killed while it wrote. */
interface Tail extends Place {
  readonly hash: Hash;
  bytes: number;
  /** How many whole records are in it, and the first piece that is none. */
  records: number;
  piece?: Place;
}

/**
 * Reads the files of one audit, the oldest first, and finds what was changed, taken away, put in, doubled or exchanged.
 * That something is missing at the very end cannot be seen: hold {@link last} against what is known from elsewhere.
 */
export class Verifier {
  /** How many records were read, and the numbers of the first and the last. */
  records = 0;
  first: number | undefined;
  /** The last record that was in its place; its hash is not known if it was changed. */
  private known: { readonly seq: number; readonly hash?: string } | undefined;
  private tail: Tail | undefined;
  /** The same of the last that was signed. */
  private signed: typeof this.known;
  private unended: Place | undefined;
  private place: Place = { file: '', line: 0 };

  constructor(
    private readonly tell: (finding: Finding) => void,
    private readonly expectations: Expectations = {},
  ) {}

  get last(): number | undefined {
    return this.known?.seq;
  }

  /** Reads the next file. */
  async read(file: string, chunks: AsyncIterable<Buffer> | Iterable<Buffer>): Promise<void> {
    this.place = { file, line: 1 };
    let rest: Buffer = Buffer.alloc(0);
    let isCut = false;
    for await (const chunk of chunks) {
      const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      let from = 0;
      for (let end = bytes.indexOf(LINE_END); end >= 0; end = bytes.indexOf(LINE_END, from)) {
        this.take(bytes.subarray(from, end), isCut);
        isCut = false;
        from = end + 1;
        this.place = { file, line: this.place.line + 1 };
      }
      rest = bytes.subarray(from);
      if (rest.length <= LONGEST_LINE) continue;
      this.keepTorn(rest, isCut);
      isCut = true;
      rest = Buffer.alloc(0);
    }
    if (rest.length === 0 && !isCut) return;
    this.take(rest, isCut);
    this.unended = this.place;
  }

  /** Says what is wrong with the end. */
  end(): void {
    const place = this.tail?.piece ?? this.unended;
    if (place) this.fault('is torn: it was not written to its end, and no record says so', place);
    else if (this.tail) this.fault('is not signed, nor is any record after it', this.tail);
  }

  private take(bytes: Buffer, isCut: boolean): void {
    this.unended = undefined;
    const line = isCut ? undefined : readLine(bytes);
    if (line?.isWhole) {
      if (line.isSigned) this.settleTail(bytes);
      else this.keepUnsigned(bytes);
      this.follow(line, bytes);
      if (line.isSigned) this.signed = this.known;
    } else if (isCut || mayBeTorn(bytes)) this.keepTorn(bytes, isCut);
    else this.takeChanged(line);
  }

  private takeChanged(line: ReadLine | undefined): void {
    this.blameTail();
    this.fault('was changed: its hash is of something else');
    // What comes next may be in order all the same.
    if (line?.seq === (this.known?.seq ?? 0) + 1) this.known = { seq: line.seq };
  }

  private follow(line: ReadLine, bytes: Buffer): void {
    const said = saidBy(bytes);
    this.records += 1;
    if (line.isSigned && this.expectations.keys && !line.isSignedWith(this.expectations.keys)) {
      this.fault('was not written by a hub with this key');
    }
    if (!this.fits(line)) return;
    if (said.event === 'gap')
      this.note(`says that ${said.lost ?? 0} record(s) could not be written since ${said.since ?? 'some time'}`);
    this.first ??= line.seq;
    this.known = line;
  }

  /** Holds a record against the one before. It is passed over if its turn was before. */
  private fits({ seq, prev }: ReadLine): boolean {
    const { known } = this;
    // A file may begin anywhere: the one before it need not be at hand.
    const due = known === undefined ? seq : known.seq + 1;
    if (seq === 1 && known) {
      if (this.expectations.mayBeginAnew) this.note('begins a chain of its own');
      else this.fault('begins a new chain, which nothing ties to what is before it');
    } else if (seq < due) {
      this.fault(`has record ${seq} again, or out of order, where record ${due} was due`);
      return false;
    } else if (seq > due) {
      this.fault(
        seq - due === 1
          ? `comes after record ${due}, which is missing`
          : `comes after records ${due} to ${seq - 1}, which are missing`,
      );
    } else if (known?.hash !== undefined && prev !== known.hash) {
      this.fault('does not follow from the line before: one of the two was exchanged');
    }
    return true;
  }

  /** Adds a piece that is no record, and may be what a killed hub left. */
  private keepTorn(bytes: Buffer, isOfSameLine: boolean): void {
    this.keep(bytes, isOfSameLine).piece ??= this.place;
  }

  private keepUnsigned(bytes: Buffer): void {
    this.keep(bytes).records += 1;
  }

  private keep(bytes: Buffer, isOfSameLine = false): Tail {
    this.tail ??= { ...this.place, hash: createHash('sha256'), bytes: -1, records: 0 };
    const { tail } = this;
    if (!isOfSameLine) {
      // Between two lines stands their end; before the first, nothing.
      if (tail.bytes >= 0) tail.hash.update('\n');
      tail.bytes += 1;
    }
    tail.hash.update(bytes);
    tail.bytes += bytes.length;
    return tail;
  }

  /**
   * A signed record vouches for those that it follows from. Or it says what was left, to the byte: then that does not
   * count. Whatever else is no record somebody put there.
   */
  private settleTail(bytes: Buffer): void {
    const { tail } = this;
    if (!tail) return;
    const said = saidBy(bytes);
    const isTold =
      said.event === 'torn' && said.bytes === tail.bytes && said.sha256 === tail.hash.copy().digest('base64url');
    if (!isTold) {
      this.blameTail();
      return;
    }
    this.tail = undefined;
    this.records -= tail.records;
    this.known = this.signed;
    this.note('was not written to its end; the next start says so', tail);
  }

  private blameTail(): void {
    if (this.tail?.piece) this.fault('is no record', this.tail.piece);
    this.tail = undefined;
  }

  private fault(text: string, { file, line }: Place = this.place): void {
    this.tell({ file, line, text, isFault: true });
  }

  private note(text: string, { file, line }: Place = this.place): void {
    this.tell({ file, line, text, isFault: false });
  }
}

/** What of a record matters here. */
interface Said {
  readonly event?: string;
  readonly bytes?: number;
  readonly sha256?: string;
  readonly lost?: number;
  readonly since?: string;
}

/** Most records say nothing of this kind, and are not read further. */
function saidBy(bytes: Buffer): Said {
  // A hash can be made by anybody, of anything.
  if (!TELLING.some((words) => bytes.includes(words)) || mayBeTorn(bytes)) return {};
  return JSON.parse(bytes.toString()) as Said;
}
