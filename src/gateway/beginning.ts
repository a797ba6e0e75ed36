import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { brotliDecompressSync, gunzipSync, inflateRawSync, inflateSync, type ZlibOptions } from 'node:zlib';
import { errcodeIn } from '../wechat/wechat.client.js';
import type { Veil } from './veil.js';

/** Longer is none of WeChat's errors. */
const LONGEST_ERROR = 4096;
/** Whatever type it says it is of: errors in the place of pictures say that they are one. */
const OBJECT = /^\s*(\{|$)/;
/** What is packed does not show how it begins; an error that is packed is of such a type. */
const TEXT = /json|text/i;
/** How an answer may come packed, though WeChat is asked for none that is. */
const UNPACK: Readonly<Record<string, (bytes: Buffer, options: ZlibOptions) => Buffer>> = {
  gzip: gunzipSync,
  'x-gzip': gunzipSync,
  // As it is defined, and as some servers understand it.
  deflate: (bytes, options) => (((bytes[0] ?? 0) & 15) === 8 ? inflateSync : inflateRawSync)(bytes, options),
  br: brotliDecompressSync,
};

/** An answer of WeChat of which just enough was read to see whether it is an error. */
export class Beginning {
  /** The errcode, if the answer is an error as WeChat writes it. */
  readonly errcode: number | undefined;

  private constructor(
    private readonly answer: IncomingMessage,
    private readonly chunks: readonly Buffer[],
    private readonly isWhole: boolean,
  ) {
    this.errcode = isWhole ? errcodeIn(textOf(answer, Buffer.concat(chunks))) : undefined;
  }

  /** @throws what the connection throws when it breaks off. */
  static async of(answer: IncomingMessage): Promise<Beginning> {
    const { 'content-length': declared } = answer.headers;
    const mayBeError = answer.statusCode === 200 && Number(declared ?? 0) <= LONGEST_ERROR;
    if (!mayBeError) return new Beginning(answer, [], false);
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of answer.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      length += chunk.length;
      if (length > LONGEST_ERROR || !mayBeObject(answer, chunks)) return new Beginning(answer, chunks, false);
    }
    return new Beginning(answer, chunks, true);
  }

  /** Lets go of an answer that nobody is to see. */
  discard(): void {
    if (!this.isWhole) this.answer.destroy();
  }

  /** Passes the answer on, what was read of it first. */
  async pour(into: ServerResponse, veil: Veil | undefined): Promise<void> {
    if (this.isWhole) {
      const bytes = Buffer.concat(this.chunks);
      into.end(veil ? veil.cover(bytes) : bytes);
      return;
    }
    const way = veil ? [veil.for(this.answer), into] : [into];
    for (const chunk of this.chunks) way[0]?.write(chunk);
    await pipeline([this.answer, ...way]);
  }
}

function mayBeObject(answer: IncomingMessage, [first]: readonly Buffer[]): boolean {
  if (packingOf(answer) !== undefined) return TEXT.test(answer.headers['content-type'] ?? '');
  return OBJECT.test(first?.subarray(0, 64).toString() ?? '');
}

/** What an answer says, whose bytes are all there; nothing, if it is packed in another way, or with more than an error. */
function textOf(answer: IncomingMessage, bytes: Buffer): string {
  const packing = packingOf(answer);
  if (packing === undefined) return bytes.toString();
  try {
    return UNPACK[packing]?.(bytes, { maxOutputLength: LONGEST_ERROR }).toString() ?? '';
  } catch {
    return '';
  }
}

function packingOf({ headers }: IncomingMessage): string | undefined {
  const packing = headers['content-encoding']?.trim().toLowerCase();
  return packing === 'identity' ? undefined : packing;
}
