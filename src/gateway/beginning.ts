import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';

/** Longer is none of WeChat's errors. */
const LONGEST_ERROR = 4096;
const MAYBE_JSON = /json|text/i;

/** An answer of WeChat of which just enough was read to see whether it is an error. */
export class Beginning {
  private constructor(
    private readonly answer: IncomingMessage,
    private readonly chunks: readonly Buffer[],
    private readonly isWhole: boolean,
  ) {}

  /** @throws what the connection throws when it breaks off. */
  static async of(answer: IncomingMessage): Promise<Beginning> {
    const { 'content-type': type = 'json', 'content-length': declared } = answer.headers;
    const isError = answer.statusCode === 200 && MAYBE_JSON.test(type) && Number(declared ?? 0) <= LONGEST_ERROR;
    if (!isError) return new Beginning(answer, [], false);
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of answer.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      length += chunk.length;
      if (length > LONGEST_ERROR) return new Beginning(answer, chunks, false);
    }
    return new Beginning(answer, chunks, true);
  }

  /** The errcode, if the answer is an error as WeChat writes it. */
  get errcode(): number | undefined {
    if (!this.isWhole) return undefined;
    try {
      const { errcode } = JSON.parse(Buffer.concat(this.chunks).toString()) as { errcode?: unknown };
      return typeof errcode === 'number' && errcode !== 0 ? errcode : undefined;
    } catch {
      return undefined;
    }
  }

  /** Lets go of an answer that nobody is to see. */
  discard(): void {
    if (!this.isWhole) this.answer.destroy();
  }

  /** Passes the answer on, what was read of it first. */
  async pour(into: ServerResponse): Promise<void> {
    if (this.isWhole) {
      into.end(Buffer.concat(this.chunks));
      return;
    }
    for (const chunk of this.chunks) into.write(chunk);
    await pipeline(this.answer, into);
  }
}
