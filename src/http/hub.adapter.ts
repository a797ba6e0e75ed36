import type { NestApplicationOptions } from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';
import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { ILayer } from 'express-serve-static-core';
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { ClientRequest } from '../auth/client.guard.js';
import type { Answered } from '../metrics/metrics.js';
import { bodyOf, PROBLEM_JSON, type Problem, PROBLEMS, sendProblem } from './problems.js';
import { readQuery } from './query.js';
import { giveRequestId, requestIdOf } from './request-id.js';

const MAX_TARGET_LENGTH = 2048;
/** A request that is not there in full by then is given up. */
const RECEIVE_MS = 10_000;
const NOT_HTTP = 'This is not HTTP as RFC 9112 has it.';
/** A connection in use has its next request within this. */
const FAREWELL_MS = 250;
/** Longer than the idle time of the usual load balancers, which must be the first to close. */
const KEEP_ALIVE_MS = 75_000;

/**
 * Express and its HTTP server as the hub wants them: strict about paths, bounded in time and size, and able to say when
 * every request is answered.
 */
export class HubAdapter extends ExpressAdapter {
  private answering = 0;
  private isClosing = false;
  private readonly quiet: (() => void)[] = [];

  /** @param tell of every request when it was answered, or given up. */
  constructor(private readonly tell: (answered: Answered) => void = () => undefined) {
    const app = express();
    app.disable('x-powered-by');
    app.disable('etag');
    app.enable('case sensitive routing');
    app.enable('strict routing');
    app.set('query parser', readQuery);
    super(app);
    app.use(giveRequestId, refuseAtOnce, this.refuseHead);
  }

  override initHttpServer(_options: NestApplicationOptions): void {
    const app = this.getInstance<Express>();
    const limits = {
      headersTimeout: RECEIVE_MS,
      requestTimeout: RECEIVE_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: 1000,
      maxHeaderSize: 16 * 1024,
      // Refused by us, in the form of our errors.
      requireHostHeader: false,
    };
    const answer = (request: IncomingMessage, response: ServerResponse): void => {
      this.answering += 1;
      const startedAt = performance.now();
      response.once('close', () => {
        this.answering -= 1;
        this.tell(answeredOf(request as ClientRequest, response, (performance.now() - startedAt) / 1000));
        if (this.answering === 0) for (const tell of this.quiet.splice(0)) tell();
      });
      response.setHeader('Cache-Control', 'no-store');
      response.setHeader('X-Content-Type-Options', 'nosniff');
      if (this.isClosing) response.setHeader('Connection', 'close');
      app(request, response);
    };
    this.httpServer = createServer(limits, answer)
      // Expectations other than 100-continue may be passed over (RFC 9110 §10.1.1).
      .on('checkExpectation', answer)
      .on('connect', (_request, socket: Duplex) => writeProblem(socket, PROBLEMS.methodNotAllowed, 'Allow: GET'))
      .on('clientError', refuseUnreadable);
  }

  /** Puts the last handler behind all routes. */
  override setNotFoundHandler(): void {
    this.getInstance<Express>().use(this.refuse);
  }

  /**
   * Answers what came in, then closes. Requests that come while others are being answered are answered too; a request
   * of which only a part has come is cut off, and so is what takes longer than `patienceMs`.
   */
  async finish(patienceMs: number): Promise<void> {
    this.isClosing = true;
    const patience = new AbortController();
    const late = delay(patienceMs, undefined, { signal: patience.signal }).catch(() => undefined);
    await Promise.race([
      this.farewell()
        .then(() => this.answered())
        .then(() => this.stopListening()),
      late,
    ]);
    patience.abort();
    this.server.closeAllConnections();
  }

  /** Express would run the handler of GET for HEAD; only the watchers of machines may ask so. */
  private readonly refuseHead = (request: Request, response: Response, next: NextFunction): void => {
    if (request.method === 'HEAD' && !request.path.startsWith('/health/')) this.refuse(request, response);
    else next();
  };

  /** Nothing is here, or not for this method: a path that is there for others is told apart. */
  private readonly refuse = (request: Request, response: Response): void => {
    const allowed = methodsOf(this.getInstance<Express>(), request.path);
    if (allowed.length === 0) sendProblem(response, PROBLEMS.notFound);
    else sendProblem(response, PROBLEMS.methodNotAllowed, {}, { Allow: allowed.join(', ') });
  };

  private get server(): Server {
    return this.httpServer;
  }

  private answered(): Promise<void> {
    return this.answering === 0 ? Promise.resolve() : new Promise((resolve) => this.quiet.push(resolve));
  }

  /** Leaves clients that keep their connections a moment to hear, with an answer, that they should not. */
  private async farewell(): Promise<void> {
    const connections = await promisify(this.server.getConnections.bind(this.server))();
    if (connections > 0) await delay(FAREWELL_MS);
  }

  private async stopListening(): Promise<void> {
    this.server.close();
    await this.answered();
  }
}

/** The client went away before the answer was sent: the code that nginx made known for it. */
const GIVEN_UP = 499;

/** A request in the words of the code and the configuration alone. Guard, router and controller have left them on it. */
function answeredOf(request: ClientRequest, response: ServerResponse, seconds: number): Answered {
  // What strangers send has neither.
  const { client, about } = request as Partial<ClientRequest>;
  const { route } = request as { route?: { readonly path: string } };
  const status = response.writableFinished ? response.statusCode : GIVEN_UP;
  return { client: client?.name, app: about, route: route?.path, status, seconds };
}

function refuseAtOnce(request: Request, response: Response, next: NextFunction): void {
  if (request.originalUrl.length > MAX_TARGET_LENGTH) sendProblem(response, PROBLEMS.uriTooLong);
  else if (request.headers.host === undefined && request.httpVersion === '1.1') {
    sendProblem(response, PROBLEMS.malformed, { detail: NOT_HTTP, instance: requestIdOf(response) });
  } else next();
}

/** The methods for which a path has a handler. */
function methodsOf(app: Express, path: string): string[] {
  const methods = new Set<string>();
  // The type leaves out that a layer can match.
  for (const layer of app.router.stack as (ILayer & { match(path: string): boolean })[]) {
    if (!layer.route || !layer.match(path)) continue;
    for (const { method } of layer.route.stack) if (method) methods.add(method.toUpperCase());
  }
  return [...methods].sort();
}

/** Answers what Node's parser could not read, when nobody else can. */
function refuseUnreadable(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const kind: Problem =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? PROBLEMS.headersTooLarge
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? PROBLEMS.requestTimeout
        : PROBLEMS.malformed;
  writeProblem(socket, kind);
}

/** Answers on the bare connection, and ends it: where there is no response object. */
function writeProblem(socket: Duplex, kind: Problem, ...headers: string[]): void {
  const instance = randomUUID();
  const body = bodyOf(kind, kind === PROBLEMS.malformed ? { detail: NOT_HTTP, instance } : {});
  socket.end(
    [
      `HTTP/1.1 ${kind.status} ${kind.title}`,
      `Content-Type: ${PROBLEM_JSON}`,
      `Content-Length: ${Buffer.byteLength(body)}`,
      'Cache-Control: no-store',
      `X-Request-Id: ${instance}`,
      'Connection: close',
      ...headers,
      '',
      body,
    ].join('\r\n'),
  );
}
