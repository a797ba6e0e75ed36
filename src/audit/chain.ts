import { hash as digest } from 'node:crypto';
import type { AuditKeys } from './keys.js';

const LINE_END = 0x0a;

/** How every line of the audit begins, so that it is told from lines of the log. */
export const BEGINNING = '{"audit":1,';

/** Where a chain has come to: the number and the hash of a record. */
export interface Link {
  readonly seq: number;
  readonly hash: string;
}

/** How an audit ends: with the line of a record, or with a piece of one that was not written to its end. */
export interface Ending {
  /** Whether the last line has its end. */
  readonly isLineEnded: boolean;
  /** What is behind the last record, without the end of its last line. */
  readonly torn?: Buffer;
}

/** What comes before the first record. */
export const NOTHING_YET: Link = { seq: 0, hash: 'A'.repeat(43) };

/** A line of the audit, as it was read. */
export interface ReadLine extends Link {
  /** The hash of the record before. */
  readonly prev: string;
  /** Whether it is, to the byte, what was written with this hash. */
  readonly isWhole: boolean;
  /** Whether it is signed, for itself and all that it follows from. */
  readonly isSigned: boolean;
  /** Whether a hub with one of these keys wrote it. */
  isSignedWith(keys: AuditKeys): boolean;
}

/** The members of an object, as they stand in JSON. */
export function membersOf(object: object): string {
  return JSON.stringify(object).slice(1, -1);
}

/**
 * Writes a record down as the next line of a chain. `prev` ties it to the record before, `hash` lets everybody see that
 * it is as it was written, and `mac` says that somebody with the key wrote it, and all before it.
 * @param members of the record, as they stand in JSON.
 * @param keys to sign it with; absent where one that is written together with it is signed.
 */
export function chained(members: string, before: Link, keys?: AuditKeys): { line: string; link: Link } {
  const seq = before.seq + 1;
  const said = `${BEGINNING}"seq":${seq},${members},"prev":"${before.hash}"`;
  const signed = keys ? `${said},"mac":"${keys.sign(said)}"` : said;
  const hash = hashOf(signed);
  return { line: `${signed},"hash":"${hash}"}\n`, link: { seq, hash } };
}

const FORM = /^\{"audit":1,"seq":(\d{1,15}),.*,"prev":"([\w-]{43})"(?:,"mac":"([\w-]{22})")?,"hash":"([\w-]{43})"\}$/s;
const AFTER_SAID = ',"mac":"'.length + 22 + '"'.length;
const AFTER_SIGNED = ',"hash":"'.length + 43 + '"}'.length;

/** Reads a line, without its end; nothing if it has not the form of one. */
export function readLine(bytes: Buffer): ReadLine | undefined {
  // One character for every byte, whatever it is.
  const [, seq, prev, mac, hash] = FORM.exec(bytes.toString('latin1')) ?? [];
  if (seq === undefined || prev === undefined || hash === undefined) return undefined;
  const signed = bytes.subarray(0, -AFTER_SIGNED);
  return {
    seq: Number(seq),
    prev,
    hash,
    isWhole: hashOf(signed) === hash,
    isSigned: mac !== undefined,
    isSignedWith: (keys) => mac !== undefined && keys.hasSigned(signed.subarray(0, -AFTER_SAID), mac),
  };
}

/** What is left of a line of which not all was written: such a piece is never JSON, as a line that was changed may be. */
export function mayBeTorn(bytes: Buffer): boolean {
  try {
    JSON.parse(bytes.toString());
    return false;
  } catch {
    return true;
  }
}

/** How an audit ends, of which this is what stands behind the text of its last record, or behind nothing. */
export function endingAfter(rest: Buffer, isBeginning = false): Ending {
  if (rest.length === 0) return { isLineEnded: isBeginning };
  const behind = isBeginning ? rest : rest.subarray(1);
  if (behind.length === 0) return { isLineEnded: true };
  const isLineEnded = behind.at(-1) === LINE_END;
  return { isLineEnded, torn: isLineEnded ? behind.subarray(0, -1) : behind };
}

/** What stands behind the last record of an audit that ends so: the other way round. */
export function behindLast({ isLineEnded, torn }: Ending, isBeginning: boolean): Buffer {
  const first = isBeginning ? '' : '\n';
  const parts = torn ? [first, torn, isLineEnded ? '\n' : ''] : [isLineEnded ? first : ''];
  return Buffer.concat(parts.map((part) => Buffer.from(part)));
}

/** The hash by which the audit speaks of a text. */
export function hashOf(text: string | Buffer): string {
  return digest('sha256', text, 'base64url');
}
