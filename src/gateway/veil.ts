import type { IncomingMessage } from 'node:http';
import { PassThrough, Transform } from 'node:stream';

/** What people and programs read. In a picture a token does not stand by chance. */
const READABLE = /text|json|xml|html|script|form/i;

/**
 * Keeps the credential that a call was made with from whoever made it: WeChat, or a proxy on the way, may quote the address
 * in an error, or send elsewhere with it. Every byte of it becomes an asterisk, so that no length changes.
 */
export class Veil {
  private readonly forms: readonly Buffer[];

  constructor(credential: string) {
    // As it is, as it stood in the address, and as it stands in JSON.
    const forms = [credential, encodeURIComponent(credential), JSON.stringify(credential).slice(1, -1)];
    this.forms = [...new Set(forms)].map((form) => Buffer.from(form));
  }

  /** A text without the credential. */
  over(text: string): string {
    return this.cover(Buffer.from(text, 'latin1')).toString('latin1');
  }

  /** Bytes that are all there, without the credential. */
  cover(bytes: Buffer): Buffer {
    for (const form of this.forms) {
      for (let at = bytes.indexOf(form); at !== -1; at = bytes.indexOf(form, at + form.length)) {
        bytes.fill('*', at, at + form.length);
      }
    }
    return bytes;
  }

  /** What an answer flows through on its way to the client. */
  for({ headers }: IncomingMessage): Transform {
    return READABLE.test(headers['content-type'] ?? 'text') ? this.stream() : new PassThrough();
  }

  private stream(): Transform {
    /** It may be cut anywhere: so many bytes at the end may be a part of it. */
    const longest = Math.max(...this.forms.map(({ length }) => length)) - 1;
    let held: Buffer = Buffer.alloc(0);
    return new Transform({
      transform: (chunk: Buffer, _encoding, done) => {
        const bytes = this.cover(Buffer.concat([held, chunk]));
        const end = Math.max(0, bytes.length - longest);
        held = bytes.subarray(end);
        done(null, bytes.subarray(0, end));
      },
      flush: (done) => {
        done(null, held);
      },
    });
  }
}
