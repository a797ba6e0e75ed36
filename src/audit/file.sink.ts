import { write, writeSync } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { BEGINNING, type Ending, endingAfter, type Link, mayBeTorn, NOTHING_YET, readLine } from './chain.js';
import { Sink, type Written } from './sink.js';

/** The audit cannot go on in this file, and a person has to see to it. */
export class AuditRefused extends Error {}

/** What there is to know of an audit before it goes on. */
export interface Opened<S extends Sink> {
  readonly sink: S;
  readonly last: Link;
  readonly ending: Ending;
}

/** An end that cannot be read within this is not ours. */
const TAIL_BYTES = 1024 * 1024;
/** How often it is looked whether another file has taken the place of this one. */
const LOOK_MS = 1000;
/** What the kernel takes into its memory, it takes in microseconds; a write that is longer than this had to wait for the disk. */
const SLOW_MS = 20;
/** For so long after that, all that has to wait for the disk is another thread. */
const WARY_MS = 10_000;
const LINE_END = 0x0a;

/** The audit in a file that only grows, and that others may rename. */
export class FileSink extends Sink {
  private lookAt = performance.now() + LOOK_MS;
  private waryUntil = 0;

  private constructor(
    private readonly path: string,
    private readonly isDurable: boolean,
    private handle: FileHandle,
  ) {
    super();
  }

  /**
   * Opens a file, makes it if need be, and reads its end.
   * @param isDurable whether what is written has to survive the machine, and not only the process.
   * @throws AuditRefused when it cannot be written, or does not end as an audit ends.
   */
  static async open(path: string, isDurable: boolean): Promise<Opened<FileSink>> {
    let handle: FileHandle | undefined;
    try {
      handle = await openToAppend(path, isDurable);
      return { sink: new FileSink(path, isDurable, handle), ...(await readEnding(path)) };
    } catch (error) {
      await handle?.close();
      if (error instanceof AuditRefused) throw error;
      throw refusal(`cannot be written (${codeOf(error)}): give the hub a path in a folder that it may write to`);
    }
  }

  /** Looks at the next write, and not only when it is time to, whether the file has been renamed. */
  reopen(): void {
    this.lookAt = 0;
  }

  override async turnOver(): Promise<boolean> {
    if (performance.now() < this.lookAt) return false;
    const isInPlace = await this.isInPlace();
    if (!isInPlace) {
      const old = this.handle;
      this.handle = await openToAppend(this.path, this.isDurable);
      await old.close().catch(() => undefined);
    }
    // Not before that: as long as there is no new file, the old one must not be written to as if it were in place.
    this.lookAt = performance.now() + LOOK_MS;
    return !isInPlace;
  }

  override async write(bytes: Buffer): Promise<Written> {
    let written = 0;
    try {
      while (written < bytes.length) written += await this.writeSome(bytes, written);
      if (this.isDurable) await this.handle.datasync();
      return { bytes: written };
    } catch (error) {
      return { bytes: written, error };
    }
  }

  override close(): Promise<void> {
    return this.handle.close();
  }

  /** To have another thread write costs ten times what it takes to write, so that is left to one only where this one might wait. */
  private writeSome(bytes: Buffer, from: number): number | Promise<number> {
    const begun = performance.now();
    if (begun < this.waryUntil) return writeAside(this.handle, bytes, from);
    const count = writeSync(this.handle.fd, bytes, from);
    const ended = performance.now();
    if (ended - begun > SLOW_MS) this.waryUntil = ended + WARY_MS;
    return count;
  }

  private async isInPlace(): Promise<boolean> {
    try {
      const [there, ours] = await Promise.all([stat(this.path), this.handle.stat()]);
      return there.ino === ours.ino && there.dev === ours.dev;
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return false;
      throw error;
    }
  }
}

/** By the number of the file, which is a good deal quicker than by the handle. */
function writeAside({ fd }: FileHandle, bytes: Buffer, from: number): Promise<number> {
  return new Promise((resolve, reject) => {
    write(fd, bytes, from, (error, count) => {
      if (error) reject(error);
      else resolve(count);
    });
  });
}

/** A file that exists keeps its mode: whoever made it may want a shipper of logs to read it. */
async function openToAppend(path: string, isDurable: boolean): Promise<FileHandle> {
  const before = await stat(path).catch(() => undefined);
  // A pipe would wait for its reader, for ever.
  if (before && !before.isFile()) throw refusal('is not a regular file');
  const handle = await open(path, 'a', 0o600);
  if (isDurable && !before) await syncFolder(path);
  return handle;
}

/** A file whose name is lost is lost. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function readEnding(path: string): Promise<{ last: Link; ending: Ending }> {
  const handle = await open(path, 'r');
  try {
    const { size } = await handle.stat();
    const tail = Buffer.alloc(Math.min(size, TAIL_BYTES));
    await handle.read(tail, 0, tail.length, size - tail.length);
    return endingOf(tail, tail.length === size);
  } finally {
    await handle.close();
  }
}

/**
 * Finds the last record that is signed, from behind. What comes after it can only be what a hub that was killed has left:
 * nobody vouches for it, and so it is closed off, and not gone on from.
 * @param isAll whether the tail is the whole file.
 */
function endingOf(tail: Buffer, isAll: boolean): { last: Link; ending: Ending } {
  for (let end = tail.length; end >= 0;) {
    const start = end === 0 ? 0 : tail.lastIndexOf(LINE_END, end - 1) + 1;
    const bytes = tail.subarray(start, end);
    const line = readLine(bytes);
    if (line?.isWhole && line.isSigned) return { last: line, ending: endingAfter(tail.subarray(end)) };
    const begins = BEGINNING.startsWith(bytes.toString('latin1', 0, BEGINNING.length));
    const isPiece = line?.isWhole === true || (begins && mayBeTorn(bytes));
    if (!isPiece || (start === 0 && !isAll)) {
      throw refusal(
        'ends with something that is no record. Look at it with `npm run audit:verify`, and move it away: the hub begins a new one',
      );
    }
    end = start - 1;
  }
  return { last: NOTHING_YET, ending: endingAfter(tail, true) };
}

function refusal(reason: string): AuditRefused {
  return new AuditRefused(`AUDIT_FILE ${reason}.`);
}

/** The system's name for what went wrong; a path that it quotes is the operator's affair. */
export function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'unknown error';
}
