import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { DrivenClock } from '../../test/simulator/clock.js';
import { type HubOptions, WechatHub } from '../src/index.js';

/** What a hub is asked. */
export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: Headers;
  readonly body: unknown;
}

/** What it answers: fields of JSON, or a response, or an error for a hub that cannot be reached. */
export type Reply = object | Response | Error;

/** A token as a hub answers it. */
export const token = (version: number, more: object = {}): object => ({
  app: 'default',
  appid: 'wx0123456789abcdef',
  kind: 'access-token',
  access_token: `TOKEN-${version}`,
  version,
  expires_in: 7200,
  refresh_after: 6900,
  ...more,
});

/** A problem as a hub answers it. */
export const problem = (status: number, fields: object = {}, headers: Record<string, string> = {}): Response =>
  new Response(JSON.stringify({ type: '/problems/some', title: 'Some trouble', status, ...fields }), {
    status,
    headers: { 'Content-Type': 'application/problem+json', ...headers },
  });

/** Stands in for a hub, with lives and troubles as a test needs them: it answers what it is told to, and remembers what it was asked. */
export class StandIn {
  readonly asked: Asked[] = [];
  readonly clock = new DrivenClock();
  private server: Server | undefined;
  /** What it answers from now on. */
  reply: (asked: Asked) => Reply | Promise<Reply> = () => token(1);

  readonly fetch: typeof fetch = async (input, init) => {
    const { method, url, headers, body } = new Request(input, init);
    const text = body && (await new Response(body).text());
    const asked: Asked = {
      method,
      path: new URL(url).pathname + new URL(url).search,
      headers,
      body: text && (JSON.parse(text) as unknown),
    };
    this.asked.push(asked);
    const reply = await this.reply(asked);
    if (reply instanceof Error) throw new TypeError('fetch failed', { cause: reply });
    return reply instanceof Response ? reply : Response.json(reply);
  };

  /** A client of it that goes by its clock. */
  client(options: Partial<HubOptions> = {}): WechatHub {
    return new WechatHub({
      url: 'http://hub:8567',
      jwt: 'JWT',
      fetch: this.fetch,
      now: () => this.clock.now(),
      ...options,
    });
  }

  /** Answers over HTTP, too, until it is closed: where it is. */
  async listen(port = 0): Promise<string> {
    const server = createServer((incoming, outgoing) => {
      const headers = Object.entries(incoming.headers).map(([name, value]): [string, string] => [name, String(value)]);
      this.fetch(`http://hub${incoming.url ?? ''}`, { method: incoming.method ?? '', headers }).then(
        (reply) => {
          outgoing.writeHead(reply.status, Object.fromEntries(reply.headers));
          if (reply.body) Readable.fromWeb(reply.body as never).pipe(outgoing);
          else outgoing.end();
        },
        () => outgoing.destroy(),
      );
    });
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    this.server = server;
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  /** Answers over HTTP no more. */
  async close(): Promise<void> {
    const { server } = this;
    server?.closeAllConnections();
    await new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)));
  }

  /** Lets time pass, and what is going on come to rest. */
  async pass(seconds: number): Promise<void> {
    this.clock.advance(seconds * 1000);
    await settled();
  }
}

/** Waits until what is under way, without any time passing, is through. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
}

/** How a hub cannot be reached. */
export const refusedConnection = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
