import express, { type Express } from 'express';
import { IncomingMessage, type OutgoingHttpHeader, type OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Common, WholeAnswer } from '../whole-answer.js';

/** What every answer says of itself: nobody may keep it, guess what it is, show it, or learn from it where it was. */
export const OF_EVERY_ANSWER: Readonly<Record<string, string>> = {
  'Cache-Control': 'no-store',
  'X-Content-Type-Options': 'nosniff',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Resource-Policy': 'same-origin',
};
/** The same where it is sent by TLS. */
export const OF_ANSWERS_BY_TLS: typeof OF_EVERY_ANSWER = {
  ...OF_EVERY_ANSWER,
  'Strict-Transport-Security': 'max-age=31536000',
};

/** By which header clients and hub speak of a request. */
export const REQUEST_ID_HEADER = 'X-Request-Id';

// What is found out about a request is written on it, and has its place on it from the beginning: V8 is quick with objects
// that do not change their shape.

/** A request, as the server of the hub makes it. */
export class HubRequest extends IncomingMessage {
  /** By which client and log speak of it. */
  requestId = '';
  /** Milliseconds of the process, when its head had come. */
  startedAt = 0;
  /** The address that it came from, once that was found out. */
  source: string | undefined = undefined;
  about: string | undefined = undefined;
  action: string | undefined = undefined;
  route: { readonly path: string } | undefined = undefined;
}

/** What Node keeps of an answer, and names for nobody else. */
interface Kept {
  readonly _hasBody: unknown;
  _header: unknown;
}

/** An answer, as the server of the hub makes it: whoever writes it, its head says what every answer says. */
export class HubResponse extends ServerResponse {
  /** The id of the request. */
  requestId = '';
  /** What it says as all answers of this server do. */
  common: Common | undefined = undefined;
  /** What is being answered on its connection, this one among them; absent when it was answered, or given up. */
  pending: HubResponse[] | undefined = undefined;

  override writeHead(
    status: number,
    reasonOrHeaders?: string | OutgoingHttpHeaders | OutgoingHttpHeader[],
    headers?: OutgoingHttpHeaders | OutgoingHttpHeader[],
  ): this {
    const all = [...(this.common?.list ?? []), REQUEST_ID_HEADER, this.requestId];
    // Where nothing was set before, Node writes a list down as it is.
    if (Array.isArray(reasonOrHeaders) && this.isBlank) return super.writeHead(status, reasonOrHeaders.concat(all));
    for (let i = 0; i < all.length; i += 2) {
      const [name = '', value = ''] = all.slice(i, i + 2);
      if (!this.hasHeader(name)) this.setHeader(name, value);
    }
    return super.writeHead(status, reasonOrHeaders as string, headers);
  }

  /**
   * Answers with a head and a body that are both there. By `writeHead` and `end` Node looks at every header of every
   * answer, and hands the system two pieces. So the usual answer is given to Node as what it would have written itself,
   * the body with it: Node keeps a head until it has something to send.
   */
  sendWhole(answer: WholeAnswer): void {
    const text = this.common && this.isUsual ? answer.textWith(this.common) : undefined;
    if (text === undefined) {
      this.writeHead(answer.status, [...answer.head]);
      this.end(answer.body);
      return;
    }
    this.statusCode = answer.status;
    (this as unknown as Kept)._header =
      `${answer.statusLine}${REQUEST_ID_HEADER}: ${this.requestId}\r\nDate: ${httpDate()}\r\n${text}`;
    this.end();
  }

  /**
   * The same at the end of this turn of the event loop, with all others that leave then. To wake somebody who waits takes
   * the system longer than all else there is to do for a refusal, and who hears of many at once is woken once.
   */
  sendWithOthers(answer: WholeAnswer): void {
    if (leaving.length === 0) setImmediate(sendLeaving);
    leaving.push({ response: this, answer });
    if (leaving.length >= MOST_LEAVING) sendLeaving();
  }

  /** Whether Node has nothing of its own to say in the head, and there may be a body behind it. */
  private get isUsual(): boolean {
    const { _hasBody, _header } = this as unknown as Kept;
    return _header === null && _hasBody === true && this.shouldKeepAlive && this.isBlank;
  }

  private get isBlank(): boolean {
    return this.getHeaderNames().length === 0;
  }
}

/** Each is a request that stays in memory, and strangers may send a hundred thousand in one turn. */
const MOST_LEAVING = 1000;
let leaving: { readonly response: HubResponse; readonly answer: WholeAnswer }[] = [];

function sendLeaving(): void {
  const all = leaving;
  leaving = [];
  for (const { response, answer } of all) if (!response.headersSent) response.sendWhole(answer);
}

let latestDate = { second: NaN, text: '' };

/** The time as answers tell it; many share a second. */
function httpDate(): string {
  const ms = Date.now();
  const second = Math.floor(ms / 1000);
  if (second !== latestDate.second) latestDate = { second, text: new Date(ms).toUTCString() };
  return latestDate.text;
}

/** Classes for an HTTP server to make its requests and answers of; they are a {@link HubRequest} and a {@link HubResponse}. */
export interface Born {
  readonly IncomingMessage: typeof IncomingMessage;
  readonly ServerResponse: typeof ServerResponse;
}

/**
 * The classes of what an Express app handles. Express gives each request and each answer the prototypes of the app, and
 * V8 forgets what it knew of an object whose prototype changes; these have them from birth.
 */
export function bornFor(app: Express): Born {
  class Request extends HubRequest {}
  class Response extends HubResponse {}
  app.request = between(Request.prototype, express.request, app) as unknown as Express['request'];
  app.response = between(Response.prototype, express.response, app) as unknown as Express['response'];
  return { IncomingMessage: Request, ServerResponse: Response as unknown as typeof ServerResponse };
}

/** Puts the methods of Express in between a class of ours and what it extends. */
function between(prototype: object, methods: object, app: Express): object {
  const base = Object.getPrototypeOf(prototype) as object;
  Object.setPrototypeOf(prototype, Object.create(base, Object.getOwnPropertyDescriptors(methods)) as object);
  return Object.assign(prototype, { app });
}
