import type { IncomingMessage } from 'node:http';
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** Whoever sent a body went away in the middle of it. */
export class BrokenOff extends Error {
  /** In the words of HTTP, should anybody hear of it. */
  readonly status = 400;

  constructor() {
    super('The request broke off.');
    this.name = 'BrokenOff';
  }
}

/**
 * The body of a request on its way to WeChat. What fits is kept, so that it can be sent again; what does not is sent
 * once, as it comes.
 */
export class PassingBody {
  private constructor(
    private readonly kept: readonly Buffer[],
    /** The number of bytes, if that is known. */
    readonly length: number | undefined,
    private readonly rest?: IncomingMessage,
  ) {}

  /**
   * Takes up a body.
   * @param limit how many bytes of it may be kept.
   * @throws BrokenOff when the client goes away.
   */
  static async of(request: IncomingMessage, limit: number): Promise<PassingBody> {
    const { 'content-length': declared, 'transfer-encoding': encoding } = request.headers;
    if (declared === undefined && encoding === undefined) return new PassingBody([], 0);
    if (Number(declared ?? 0) > limit) return new PassingBody([], Number(declared), request);
    const kept: Buffer[] = [];
    let length = 0;
    try {
      for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        kept.push(chunk);
        length += chunk.length;
        if (length > limit) return new PassingBody(kept, undefined, request);
      }
    } catch {
      throw new BrokenOff();
    }
    return new PassingBody(kept, length);
  }

  /** Whether all of it is kept. */
  get isWhole(): boolean {
    return this.rest === undefined;
  }

  /** All of it, if it is whole. */
  get bytes(): Buffer {
    return Buffer.concat(this.kept);
  }

  /** Writes it, and ends what it is written into. */
  async pour(into: Writable): Promise<void> {
    for (const chunk of this.kept) into.write(chunk);
    if (this.rest) await pipeline(this.rest, into);
    else into.end();
  }
}
