import { createHash } from 'node:crypto';

/** What a body was, to be compared with what was sent. Of an upload its parts are told, of anything else the text. */
export interface Received extends Weighed {
  readonly text?: string;
  readonly parts?: readonly ReceivedPart[];
}

/** One part of a multipart body: a field, or a file if it has a name as such. */
export interface ReceivedPart extends Weighed {
  readonly name: string;
  readonly filename?: string;
  readonly contentType?: string;
}

interface Weighed {
  readonly bytes: number;
  readonly sha256: string;
}

/** More text than any call of WeChat has; uploads may be of any size, for they are hashed as they come and not kept. */
const textLimit = 1024 * 1024;

/** Reads a body to its end. */
export async function receive(chunks: AsyncIterable<Buffer>, contentType = ''): Promise<Received> {
  const boundary = /^multipart\/form-data;.*boundary="?([^";]+)/i.exec(contentType)?.[1];
  const whole = new Scale();
  const kept: Buffer[] = [];
  const parts = boundary === undefined ? undefined : new PartReader(boundary);
  for await (const chunk of chunks) {
    whole.add(chunk);
    if (parts) parts.add(chunk);
    else if (whole.bytes > textLimit) throw new Error('body too large');
    else kept.push(chunk);
  }
  return parts ? { ...whole.read(), parts: parts.parts } : { ...whole.read(), text: Buffer.concat(kept).toString() };
}

/** What a text amounts to that was never sent as bytes. */
export function received(text: string): Received {
  const scale = new Scale();
  scale.add(Buffer.from(text));
  return { ...scale.read(), text };
}

class Scale {
  bytes = 0;
  readonly #hash = createHash('sha256');

  add(chunk: Buffer): void {
    this.bytes += chunk.length;
    this.#hash.update(chunk);
  }

  read(): Weighed {
    return { bytes: this.bytes, sha256: this.#hash.digest('hex') };
  }
}

/** Takes a multipart body apart while it comes, holding no more of it than may be the beginning of a delimiter. */
class PartReader {
  readonly parts: ReceivedPart[] = [];
  readonly #delimiter: Buffer;
  // The line break makes the first delimiter like the others.
  #pending = Buffer.from('\r\n');
  #reading: 'head' | 'content' = 'content';
  #part: { readonly head: string; readonly scale: Scale } | undefined;

  constructor(boundary: string) {
    this.#delimiter = Buffer.from(`\r\n--${boundary}`);
  }

  add(chunk: Buffer): void {
    this.#pending = Buffer.concat([this.#pending, chunk]);
    while (this.#reading === 'head' ? this.#readHead() : this.#readContent());
  }

  #readHead(): boolean {
    const end = this.#pending.indexOf('\r\n\r\n');
    if (end < 0) return false;
    this.#part = { head: this.#pending.toString('utf8', 0, end), scale: new Scale() };
    this.#pending = this.#pending.subarray(end + 4);
    this.#reading = 'content';
    return true;
  }

  #readContent(): boolean {
    const found = this.#pending.indexOf(this.#delimiter);
    const end = found < 0 ? Math.max(0, this.#pending.length - this.#delimiter.length + 1) : found;
    this.#part?.scale.add(this.#pending.subarray(0, end));
    this.#pending = this.#pending.subarray(found < 0 ? end : end + this.#delimiter.length);
    if (found < 0) return false;
    if (this.#part) this.parts.push({ ...described(this.#part.head), ...this.#part.scale.read() });
    this.#part = undefined;
    this.#reading = 'head';
    return true;
  }
}

function described(head: string): Omit<ReceivedPart, keyof Weighed> {
  const filename = /filename="([^"]*)"/i.exec(head)?.[1];
  const contentType = /^content-type:\s*(.+?)\s*$/im.exec(head)?.[1];
  return {
    name: /[;\s]name="([^"]*)"/i.exec(head)?.[1] ?? '',
    ...(filename === undefined ? {} : { filename }),
    ...(contentType === undefined ? {} : { contentType }),
  };
}
