import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { errcodeIn } from '../wechat/wechat.client.js';
import type { Veil } from './veil.js';

/** Longer is none of WeChat's errors. */
const LONGEST_ERROR = 4096;
/** Whatever type it says it is of: errors in the place of pictures say that they are one. */
const OBJECT = /^\s*(\{|$)/;

/** An answer of WeChat of which just enough was read to see whether it is an error. */
export class Beginning {
  private constructor(
    private readonly answer: IncomingMessage,
    private readonly chunks: readonly Buffer[],
    private readonly isWhole: boolean,
  ) {}

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
      if (length > LONGEST_ERROR || !isObject(chunks)) return new Beginning(answer, chunks, false);
    }
    return new Beginning(answer, chunks, true);
  }

  /** The errcode, if the answer is an error as WeChat writes it. */
  get errcode(): number | undefined {
    return this.isWhole ? errcodeIn(Buffer.concat(this.chunks).toString()) : undefined;
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

function isObject([first]: readonly Buffer[]): boolean {
  return OBJECT.test(first?.subarray(0, 64).toString() ?? '');
}
