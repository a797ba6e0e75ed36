import type { NestApplicationOptions } from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';
import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import {
  createServer as createTlsServer,
  type Server as TlsServer,
  type ServerOptions as TlsOptions,
} from 'node:https';
import type { ILayer } from 'express-serve-static-core';
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { clientOf, type ClientRequest } from '../auth/client.guard.js';
import type { KeyRing } from '../auth/key-ring.js';
import { Recent } from '../auth/recent.js';
import type { VerifiedTokens } from '../auth/verified-tokens.js';
import type { Settings } from '../config/environment.js';
import type { TlsSettings } from '../config/tls-settings.js';
import type { HubEvent } from '../credentials/journal.js';
import type { Answered } from '../metrics/answer-counts.js';
import { Pace } from '../turns.js';
import { Common } from '../whole-answer.js';
import { CONNECTION_BOUNDS, flawOf, MAX_PIPELINED, NOT_HTTP, SERVER_BOUNDS } from './bounds.js';
import { Floods } from './floods.js';
import {
  bornFor,
  type HubRequest,
  type HubResponse,
  OF_ANSWERS_BY_TLS,
  OF_EVERY_ANSWER,
  REQUEST_ID_HEADER,
} from './messages.js';
import {
  bodyOf,
  PROBLEM_JSON,
  type Problem,
  PROBLEMS,
  type Refusal,
  sendProblem,
  UNAUTHENTICATED,
} from './problems.js';
import { readQuery } from './query.js';
import type { ReadLane } from './read-lane.js';
import { requestIdFor } from './request-id.js';
import { Seldom } from './seldom.js';
import { sourceNetworkOf, traceSource } from './source-address.js';

/** A connection in use has its next request within this. */
const FAREWELL_MS = 250;
/** A connection that was told that it ends has so long to hear it. */
const LINGER_MS = 1000;
/**
 * So many requests go to the framework in one turn of the event loop. It takes fifty times as long for one as the short
 * way, and those who come by that should not wait for a crowd.
 */
const ROUTED_A_TURN = 8;
/** So many wait for that: some megabytes. A stranger could send a hundred times as many, on all the connections that there may be. */
const MOST_WAITING = 1000;
/** Each is two kilobytes at most. */
const MOST_PATHS = 1000;

/** What the server has to know of the hub, and whom it tells. */
export interface Surroundings {
  readonly settings: Pick<Settings, 'maxConnections' | 'trustedProxies' | 'tls'>;
  readonly ring: Pick<KeyRing, 'knows'>;
  readonly verified: Pick<VerifiedTokens, 'wasGood' | 'forget'>;
  /** Epoch milliseconds; never jumps. */
  now(): number;
  /** Told of every request when it was answered, or given up. */
  answered(answered: Answered): void;
  /** Told of every request that was refused without a look, by the network that it came from. */
  shed(network: string): void;
  tell(event: HubEvent): void;
}

/** Answers a request that is not as HTTP has it, or leaves that to the hub. */
export type AnswerFlawed = (request: IncomingMessage, response: ServerResponse, kind: Problem) => boolean;

/**
 * Express and its HTTP server as the hub wants them: strict about paths, bounded in time, size and number, and able to say
 * when every request is answered.
 */
export class HubAdapter extends ExpressAdapter {
  private answering = 0;
  private isClosing = false;
  private readonly quiet: (() => void)[] = [];
  private readonly pending = new WeakMap<Duplex, HubResponse[]>();
  private readonly floods: Floods;
  private readonly pace = new Pace(ROUTED_A_TURN, MOST_WAITING);
  private readonly common: Common;
  private lane: ReadLane | undefined;
  private readonly methods = new Recent<readonly string[]>(MOST_PATHS);
  private otherAnswer: AnswerFlawed | undefined;

  constructor(private readonly surroundings: Surroundings) {
    const app = express();
    app.disable('x-powered-by');
    app.disable('etag');
    app.enable('case sensitive routing');
    app.enable('strict routing');
    app.set('query parser', readQuery);
    super(app);
    app.use(this.refuseHead);
    const ofEvery = Object.entries(surroundings.settings.tls ? OF_ANSWERS_BY_TLS : OF_EVERY_ANSWER).flat();
    this.common = new Common(ofEvery, SERVER_BOUNDS.keepAliveTimeout);
    this.floods = new Floods({
      ring: surroundings.ring,
      verified: surroundings.verified,
      now: () => surroundings.now(),
      tell: (network) => surroundings.tell({ event: 'flood', network }),
    });
  }

  override initHttpServer(_options: NestApplicationOptions): void {
    const { tls, maxConnections } = this.surroundings.settings;
    const drops = new Seldom(
      () => this.surroundings.now(),
      () => this.surroundings.tell({ event: 'too-many-connections', most: maxConnections }),
    );
    const options = { ...SERVER_BOUNDS, ...bornFor(this.getInstance<Express>()) };
    const answer = (request: IncomingMessage, response: ServerResponse): void => {
      this.answer(request as HubRequest, response as HubResponse);
    };
    const server: Server | TlsServer = tls
      ? createTlsServer({ ...options, ...optionsOf(tls) }, answer)
      : createServer(options, answer);
    server.maxConnections = maxConnections;
    server.setTimeout(CONNECTION_BOUNDS.stuckMs);
    server
      .on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
        letGoOn(response);
        answer(request, response);
      })
      // Other expectations may be passed over (RFC 9110 §10.1.1).
      .on('checkExpectation', answer)
      .on('connect', (_request: IncomingMessage, socket: Duplex) => {
        writeProblem(socket, PROBLEMS.methodNotAllowed, 'Allow: GET');
      })
      .on('clientError', this.refuseUnreadable)
      .on('drop', () => drops.tell('everywhere'));
    this.httpServer = server;
  }

  /** Shows another certificate from the next connection on. */
  renewTls(tls: TlsSettings): void {
    if ('setSecureContext' in this.server) this.server.setSecureContext(optionsOf(tls));
  }

  /** Lets reads go the short way from now on. */
  openLane(lane: ReadLane): void {
    this.lane = lane;
  }

  /** Puts the last handler behind all routes. */
  override setNotFoundHandler(): void {
    this.getInstance<Express>().use(this.refuseUnknown);
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

  /** Lets somebody answer flawed requests of those who know no problem documents; he says whether he did. */
  answerFlawed(answer: AnswerFlawed): void {
    this.otherAnswer = answer;
  }

  /** Hears that what a request showed was no token of a client. */
  learnOfFailure(request: IncomingMessage): void {
    this.floods.fail(sourceNetworkOf(request), shownBy(request), request.socket);
  }

  private answer(request: HubRequest, response: HubResponse): void {
    const { socket } = request;
    const pending = this.pendingOn(socket);
    if (pending.length >= MAX_PIPELINED) socket.destroy();
    if (socket.destroyed) return;
    request.startedAt = performance.now();
    response.requestId = request.requestId = requestIdFor(request);
    response.common = this.common;
    traceSource(request, this.surroundings.settings.trustedProxies);
    this.answering += 1;
    pending.push(response);
    response.pending = pending;
    response.on('close', () => this.settle(response));
    if (this.isClosing) response.setHeader('Connection', 'close');
    const flaw = flawOf(request);
    if (flaw) this.refuseFlawed(request, response, flaw);
    else if (this.isOfFlood(request)) {
      this.surroundings.shed(sourceNetworkOf(request));
      refuse(response, UNAUTHENTICATED);
    } else if (!this.lane?.take(request as unknown as ClientRequest, response)) {
      const turn = this.pace.begin();
      if (turn) void turn.then(() => this.handOver(request, response));
      else this.handOver(request, response);
    }
  }

  /** Lets the framework answer, unless nobody waits any more: of responses in line Node does not say that they are destroyed. */
  private handOver(request: HubRequest, response: HubResponse): void {
    if (response.pending) this.getInstance<Express>()(request, response);
  }

  /** A request was answered, or given up. */
  private settle(response: HubResponse): void {
    const { pending } = response;
    if (!pending) return;
    response.pending = undefined;
    pending.splice(pending.indexOf(response), 1);
    this.answering -= 1;
    this.surroundings.answered(answeredOf(response.req as HubRequest, response));
    if (this.answering === 0) for (const tell of this.quiet.splice(0)) tell();
  }

  private refuseFlawed(request: HubRequest, response: HubResponse, flaw: Refusal): void {
    for (const [name, value] of Object.entries(flaw.headers ?? {})) response.setHeader(name, value);
    if (!this.otherAnswer?.(request, response, flaw.kind)) refuse(response, flaw);
  }

  /** Whether it is refused without a look: only where a token is wanted, and all else is right. */
  private isOfFlood(request: IncomingMessage): boolean {
    if (!this.floods.areThere) return false;
    const { url = '', method = '' } = request;
    const query = url.indexOf('?');
    const path = query < 0 ? url : url.slice(0, query);
    if (OPEN_PATHS.test(path) || !this.isShed(request)) return false;
    // Express would double what this costs, so it is not asked what it makes of a target in the form for proxies.
    return !path.startsWith('/') || this.methodsOf(path).includes(method);
  }

  private isShed(request: IncomingMessage): boolean {
    return this.floods.isShed(sourceNetworkOf(request), shownBy(request), request.socket);
  }

  /** What of a connection is being answered. When it breaks off, Node tells nothing of those in line. */
  private pendingOn(socket: Duplex): HubResponse[] {
    const known = this.pending.get(socket);
    if (known) return known;
    const pending: HubResponse[] = [];
    this.pending.set(socket, pending);
    socket.once('close', () => {
      for (const response of [...pending]) this.settle(response);
    });
    return pending;
  }

  /**
   * Answers what Node's parser could not read, when nobody else can; behind the answers to what came before, or clients
   * would take it for one of these.
   */
  private readonly refuseUnreadable = (error: NodeJS.ErrnoException, socket: Duplex): void => {
    const kind = kindOf(error);
    // Of other errors, a handshake that came to nothing among them, nobody is left to hear.
    if (!kind) socket.destroy();
    const before = this.pendingOn(socket).findLast((response) => response.writableEnded || response.req.complete);
    if (kind && before) before.once('close', () => writeProblem(socket, kind));
    else if (kind) writeProblem(socket, kind);
  };

  /** Express would run the handler of GET for HEAD; only the watchers of machines may ask so. */
  private readonly refuseHead = (request: Request, response: Response, next: NextFunction): void => {
    if (request.method === 'HEAD' && !request.path.startsWith('/health/')) this.refuseUnknown(request, response);
    else next();
  };

  /** Nothing is here, or not for this method: a path that is there for others is told apart. */
  private readonly refuseUnknown = (request: Request, expressResponse: Response): void => {
    const response = expressResponse as unknown as HubResponse;
    const allowed = this.methodsOf(request.path);
    if (allowed.length === 0) sendProblem(response, PROBLEMS.notFound);
    else sendProblem(response, PROBLEMS.methodNotAllowed, {}, { Allow: allowed.join(', ') });
  };

  /** The methods for which a path has a handler. The routes are what they are, and to go through them takes a while. */
  private methodsOf(path: string): readonly string[] {
    const known = this.methods.get(path);
    if (known) return known;
    const found = this.findMethodsOf(path);
    this.methods.set(path, found);
    return found;
  }

  private findMethodsOf(path: string): readonly string[] {
    const methods = new Set<string>();
    // The type leaves out that a layer can match.
    for (const layer of this.getInstance<Express>().router.stack as (ILayer & { match(path: string): boolean })[]) {
      if (!layer.route || !layer.match(path)) continue;
      for (const { method } of layer.route.stack) if (method) methods.add(method.toUpperCase());
    }
    return [...methods].sort();
  }

  private get server(): Server | TlsServer {
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
function answeredOf(request: HubRequest, response: HubResponse): Answered {
  // What strangers send has none of them.
  const { about, route, startedAt } = request;
  const status = response.writableFinished ? response.statusCode : GIVEN_UP;
  const seconds = (performance.now() - startedAt) / 1000;
  return { client: clientOf(request)?.name, app: about, route: route?.path, status, seconds };
}

/** Those who ask here show no JWT: machines that watch, and SDKs, who have a secret in their address. */
const OPEN_PATHS = /^\/(health\/|metrics$|openapi\.json$|cgi-bin\/)/;

/** What comes in the place of a token. */
function shownBy({ headers }: IncomingMessage): string {
  return headers.authorization ?? '';
}

function refuse(response: HubResponse, { kind, particulars, headers }: Refusal): void {
  sendProblem(response, kind, particulars && { ...particulars, instance: response.requestId }, headers);
}

/** What is to be said of what Node's parser could not read; nothing of what is no fault of the client's. */
function kindOf({ code = '' }: NodeJS.ErrnoException): Problem | undefined {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return PROBLEMS.requestTimeout;
  if (code === 'HPE_HEADER_OVERFLOW') return PROBLEMS.headersTooLarge;
  return code.startsWith('HPE_') ? PROBLEMS.malformed : undefined;
}

/** Answers on the bare connection, and ends it: where there is no response object. */
function writeProblem(socket: Duplex, kind: Problem, ...headers: string[]): void {
  if (!socket.writable) return;
  const instance = randomUUID();
  const body = bodyOf(kind, kind === PROBLEMS.malformed ? { ...NOT_HTTP, instance } : {});
  const ofEvery = 'encrypted' in socket ? OF_ANSWERS_BY_TLS : OF_EVERY_ANSWER;
  socket.end(
    [
      `HTTP/1.1 ${kind.status} ${kind.title}`,
      ...Object.entries(ofEvery).map(([name, value]) => `${name}: ${value}`),
      `${REQUEST_ID_HEADER}: ${instance}`,
      `Content-Type: ${PROBLEM_JSON}`,
      `Content-Length: ${Buffer.byteLength(body)}`,
      'Connection: close',
      ...headers,
      '',
      body,
    ].join('\r\n'),
  );
  // The other side may leave its half of the connection open, for good.
  setTimeout(() => socket.destroy(), LINGER_MS).unref();
}

/**
 * Tells a client that waits for it to send its body. Not before it is its turn: Node would put that in between head and
 * body of the answer.
 */
function letGoOn(response: ServerResponse): void {
  const tell = (): void => {
    if (!response.headersSent) response.writeContinue();
  };
  if (response.socket) tell();
  else response.once('socket', tell);
}

/** Certificate, key and demands in Node's words. */
function optionsOf({ cert, key, clientCa }: TlsSettings): TlsOptions {
  return {
    cert,
    key: key.reveal(),
    minVersion: 'TLSv1.2',
    handshakeTimeout: CONNECTION_BOUNDS.handshakeMs,
    ...(clientCa !== undefined && { ca: clientCa, requestCert: true, rejectUnauthorized: true }),
  };
}
