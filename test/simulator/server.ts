import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline, Readable } from 'node:stream';
import { Inquiry, type Answer, type Request, type Service } from './answer.js';
import { RealClock, type Clock } from './clock.js';
import { control, controlPrefix } from './control.js';
import { receive, type Received } from './received.js';
import { World } from './world.js';

/** A world behind HTTP on the loopback interface, with the control API under /simulator/. */
export class Simulator {
  readonly world: World;
  readonly #servers: Server[] = [];
  readonly #timers = new Set<NodeJS.Timeout>();
  #url = '';
  #wecomUrl = '';

  private constructor(world: World) {
    this.world = world;
  }

  /** Opens both ports, random ones unless told. A world of its own, empty and in real time, is made unless one is given. */
  static async start(
    settings: {
      readonly world?: World;
      readonly clock?: Clock;
      readonly port?: number;
      readonly wecomPort?: number;
    } = {},
  ): Promise<Simulator> {
    const world = settings.world ?? new World({ clock: settings.clock ?? new RealClock() });
    const simulator = new Simulator(world);
    try {
      simulator.#url = await simulator.#listen(settings.port ?? 0, undefined);
      simulator.#wecomUrl = await simulator.#listen(settings.wecomPort ?? 0, 'wecom');
    } catch (error) {
      await simulator.stop();
      throw error;
    }
    return simulator;
  }

  /** Where both services answer; a path that both have goes by whose token it carries, and by the Host header. */
  get url(): string {
    return this.#url;
  }

  /** Where every path is WeCom's. */
  get wecomUrl(): string {
    return this.#wecomUrl;
  }

  /** Closes the ports and every connection, also those that a fault keeps waiting. */
  async stop(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    await Promise.all(
      this.#servers.splice(0).map(
        (server) =>
          new Promise<void>((resolve) => {
            server.close(() => {
              resolve();
            });
            server.closeAllConnections();
          }),
      ),
    );
  }

  async #listen(port: number, service: Service | undefined): Promise<string> {
    const server = createServer((incoming, outgoing) => {
      receive(incoming, incoming.headers['content-type']).then(
        (received) => {
          this.#serve(requestFrom(incoming, received, service), incoming, outgoing);
        },
        () => {
          incoming.socket.destroy();
        },
      );
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', () => {
        resolve();
      });
    });
    this.#servers.push(server);
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  #serve(request: Request, incoming: IncomingMessage, outgoing: ServerResponse): void {
    if (request.target.startsWith(controlPrefix)) {
      const { status, json } = control(this.world, new Inquiry(request, this.world.clock.now()));
      outgoing.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(json));
      return;
    }
    const answer = this.world.answer(request);
    switch (answer.transport?.kind) {
      case 'reset':
        incoming.socket.resetAndDestroy();
        return;
      case 'hang':
        return;
      case 'slow':
        this.#later(answer.transport.milliseconds, () => {
          send(answer, outgoing);
        });
        return;
      case 'drip':
        this.#drip(answer, answer.transport.milliseconds, outgoing);
        return;
      case 'cut':
        cut(answer, answer.transport.bytes, outgoing);
        return;
      case undefined:
        send(answer, outgoing);
    }
  }

  #drip(answer: Answer, milliseconds: number, outgoing: ServerResponse): void {
    const bytes = Buffer.from(answer.body);
    outgoing.writeHead(answer.status, { ...answer.headers, 'content-length': bytes.length });
    const next = (position: number): void => {
      if (outgoing.destroyed) return;
      if (position >= bytes.length) {
        outgoing.end();
        return;
      }
      outgoing.write(bytes.subarray(position, position + 1));
      this.#later(milliseconds, () => {
        next(position + 1);
      });
    };
    this.#later(milliseconds, () => {
      next(0);
    });
  }

  #later(milliseconds: number, act: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, milliseconds);
    this.#timers.add(timer);
  }
}

function send(answer: Answer, outgoing: ServerResponse): void {
  outgoing.writeHead(answer.status, { ...answer.headers, 'content-length': lengthOf(answer) });
  if (!answer.picture) outgoing.end(answer.body);
  // Who goes away in the middle is no concern of WeChat's.
  else pipeline(Readable.from(answer.picture.chunks()), outgoing, () => undefined);
}

function cut(answer: Answer, bytes: number, outgoing: ServerResponse): void {
  outgoing.writeHead(answer.status, { ...answer.headers, 'content-length': lengthOf(answer) });
  const whole = answer.picture ? Buffer.concat([...answer.picture.chunks()]) : Buffer.from(answer.body);
  outgoing.write(whole.subarray(0, bytes), () => {
    outgoing.destroy();
  });
}

function lengthOf({ body, picture }: Answer): number {
  return picture?.bytes ?? Buffer.byteLength(body);
}

function requestFrom(incoming: IncomingMessage, received: Received, service: Service | undefined): Request {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(incoming.headers)) {
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return {
    method: incoming.method ?? 'GET',
    target: incoming.url ?? '/',
    host: headers['host'] ?? '',
    headers,
    body: received.text ?? '',
    received,
    // Tests come from one machine, yet want to be seen as several.
    ip: headers['x-sim-ip'] ?? incoming.socket.remoteAddress ?? '127.0.0.1',
    secure: headers['x-forwarded-proto'] === 'https',
    ...(service === undefined ? {} : { service }),
  };
}
