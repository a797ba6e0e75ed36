import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { ask, BEARER } from './client.js';

/** How long answers took, in milliseconds. */
export interface Latency {
  readonly median: number;
  readonly p99: number;
  readonly most: number;
}

const PACE_MS = 20;
const FLOOD_CONNECTIONS = 10;
const FLOOD_PACE_MS = 20;

/** A client that asks for a token again and again, and wants to notice nothing of all that goes on. */
export class GoodClient {
  private times: number[] = [];
  private isOver = false;
  private readonly done: Promise<void>;

  constructor(private readonly address: string) {
    this.done = this.keepAsking();
  }

  /** What it waited since it was asked last. */
  latency(): Latency {
    const sorted = this.times.splice(0).sort((a, b) => a - b);
    const at = (part: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? NaN;
    return { median: at(0.5), p99: at(0.99), most: at(1) };
  }

  /** @throws Error if it was not answered with 200 each time. */
  async stop(): Promise<void> {
    this.isOver = true;
    await this.done;
  }

  private async keepAsking(): Promise<void> {
    while (!this.isOver) {
      const startedAt = performance.now();
      await ask(this.address);
      this.times.push(performance.now() - startedAt);
      await delay(PACE_MS);
    }
  }
}

/** Requests with tokens that are no good, each another one, at a steady pace whatever becomes of them. */
export class Flood {
  /** How often each status was answered. */
  readonly answers = new Map<string, number>();
  private readonly sockets: Socket[];
  private readonly pace: NodeJS.Timeout;
  private count = 0;
  private readonly startedAt = performance.now();

  constructor(
    private readonly url: string,
    private readonly perSecond: number,
  ) {
    this.sockets = Array.from({ length: FLOOD_CONNECTIONS }, () => this.open());
    this.pace = setInterval(() => this.send(), FLOOD_PACE_MS);
  }

  stop(): void {
    clearInterval(this.pace);
    for (const socket of this.sockets) socket.destroy();
  }

  private open(): Socket {
    const socket = opened(this.url);
    socket.on('data', (chunk: Buffer) => {
      for (const [, status = ''] of chunk.toString('latin1').matchAll(/HTTP\/1\.1 (\d+)/g)) {
        this.answers.set(status, (this.answers.get(status) ?? 0) + 1);
      }
    });
    return socket;
  }

  private send(): void {
    const due = ((performance.now() - this.startedAt) / 1000) * this.perSecond;
    while (this.count < due) {
      const place = this.count % FLOOD_CONNECTIONS;
      if (this.sockets[place]?.destroyed) this.sockets[place] = this.open();
      // Signed by somebody else, in the name of the good client.
      const forged = BEARER.slice(0, -8) + String(10_000_000 + this.count);
      this.sockets[place]?.write(`GET /access-token HTTP/1.1\r\nHost: hub\r\nAuthorization: ${forged}\r\n\r\n`);
      this.count += 1;
    }
  }
}

/** The ways to begin and not to get on: silent, half a request line, half a header, half a body. */
const BEGINNINGS = [
  '',
  'GET /acc',
  'GET /access-token HTTP/1.1\r\nHost: hub\r\nX-Slow: ',
  `POST /apps/default/jssdk-config HTTP/1.1\r\nHost: hub\r\nAuthorization: ${BEARER}\r\nContent-Length: 999\r\n\r\n{"url":"`,
];

/** Holds a connection open as slow clients do, some byte by byte; the seconds until the hub has closed it. */
export async function dawdle(url: string, place: number): Promise<number> {
  const beginning = BEGINNINGS[place % BEGINNINGS.length] ?? '';
  const startedAt = performance.now();
  const socket = opened(url);
  if (beginning) socket.write(beginning);
  const trickle = beginning && place % 3 === 0 ? setInterval(() => socket.write('x'), 1000) : undefined;
  await closed(socket);
  clearInterval(trickle);
  return (performance.now() - startedAt) / 1000;
}

/** Sends this and reads whatever comes, until the hub closes the connection. */
export async function sendRaw(url: string, bytes: string): Promise<void> {
  const socket = opened(url);
  socket.write(bytes);
  await closed(socket);
}

/** A header far beyond every bound. */
export const HUGE_HEADER = `GET /access-token HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer ${'.'.repeat(900_000)}\r\n\r\n`;

/** Whatever it was that ended it. */
function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.resume().once('close', () => resolve());
  });
}

/** A connection whose failures nobody minds. */
export function opened(url: string): Socket {
  const { hostname, port } = new URL(url);
  return connect(Number(port), hostname).on('error', () => undefined);
}
