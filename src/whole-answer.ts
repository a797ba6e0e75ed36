import { STATUS_CODES, validateHeaderName, validateHeaderValue } from 'node:http';

// eslint-disable-next-line no-control-regex -- they are what ASCII is.
const ASCII = /^[\x00-\x7f]*$/;

const NOT_MODIFIED = 304;

/** What all answers of a server say. */
export class Common {
  /** As lines of a head, with how long a connection is kept that brings nothing. */
  readonly lines: string;

  /** @param list names and values in turn. */
  constructor(
    readonly list: readonly string[],
    keepAliveMs: number,
  ) {
    const kept = ['Connection', 'keep-alive', 'Keep-Alive', `timeout=${Math.floor(keepAliveMs / 1000)}`];
    this.lines = linesOf([...list, ...kept]);
  }
}

/** An answer whose head and body are there at once. One that is given again and again is written down but once. */
export class WholeAnswer {
  readonly statusLine: string;
  /** Names and values in turn. */
  readonly head: readonly string[];
  private readonly isPlain: boolean;
  private written: { readonly common: Common; readonly text: string } | undefined;

  /** @param head names and values in turn, without what all answers say, and without the length of the body. */
  constructor(
    readonly status: number,
    head: readonly string[],
    readonly body: string,
  ) {
    const hasBody = status !== NOT_MODIFIED;
    this.statusLine = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`;
    this.head = hasBody ? [...head, 'Content-Length', String(Buffer.byteLength(body))] : head;
    // What goes with the head is written as Latin-1, and behind a head without a body the next answer begins.
    this.isPlain = ASCII.test(body) && (hasBody || body === '') && !head.includes('Connection');
  }

  /** All of it but what is another each time; nothing if Node has to write it. */
  textWith(common: Common): string | undefined {
    if (!this.isPlain) return undefined;
    if (this.written?.common !== common) {
      // Joined it is one piece of memory, which is quicker to copy than a sum of some.
      this.written = { common, text: [common.lines, linesOf(this.head), '\r\n', this.body].join('') };
    }
    return this.written.text;
  }
}

function linesOf(head: readonly string[]): string {
  let lines = '';
  for (let i = 0; i < head.length; i += 2) {
    const [name = '', value = ''] = head.slice(i, i + 2);
    validateHeaderName(name);
    validateHeaderValue(name, value);
    lines += `${name}: ${value}\r\n`;
  }
  return lines;
}
