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

/** What is no record; a hub may have left it that was killed while it wrote. */
interface Torn extends Place {
  readonly hash: Hash;
  bytes: number;
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
  private torn: Torn | undefined;
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
    const place = this.torn ?? this.unended;
    if (place) this.fault('is torn: it was not written to its end, and no record says so', place);
  }

  private take(bytes: Buffer, isCut: boolean): void {
    this.unended = undefined;
    const line = isCut ? undefined : readLine(bytes);
    if (line?.isWhole) this.follow(line, bytes);
    else if (isCut || mayBeTorn(bytes)) this.keepTorn(bytes, isCut);
    else this.takeChanged(line);
  }

  private takeChanged(line: ReadLine | undefined): void {
    this.settleTorn({});
    this.fault('was changed: its hash is of something else');
    // What comes next may be in order all the same.
    if (line?.seq === (this.known?.seq ?? 0) + 1) this.known = { seq: line.seq };
  }

  private follow(line: ReadLine, bytes: Buffer): void {
    const said = saidBy(bytes);
    this.settleTorn(said);
    this.records += 1;
    if (this.expectations.keys && !line.isSignedWith(this.expectations.keys)) {
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

  /** Adds to what is no record, and may be what a killed hub left. */
  private keepTorn(bytes: Buffer, isOfSameLine: boolean): void {
    this.torn ??= { ...this.place, hash: createHash('sha256'), bytes: -1 };
    if (!isOfSameLine) {
      // Between two lines stands their end; before the first, nothing.
      if (this.torn.bytes >= 0) this.torn.hash.update('\n');
      this.torn.bytes += 1;
    }
    this.torn.hash.update(bytes);
    this.torn.bytes += bytes.length;
  }

  /** A record that comes next says what was left, to the byte; or else somebody put it there. */
  private settleTorn({ event, bytes, sha256 }: Said): void {
    const { torn } = this;
    this.torn = undefined;
    if (!torn) return;
    const isTold = event === 'torn' && bytes === torn.bytes && sha256 === torn.hash.digest('base64url');
    if (isTold) this.note('was not written to its end; the next start says so', torn);
    else this.fault('is no record', torn);
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
