import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import type { Metrics } from './metrics.js';

const RECEIVE_MS = 10_000;
const PATH = '/metrics';

/** Shows the metrics on a port of their own, which a network policy can keep for Prometheus alone. */
export class MetricsServer {
  private constructor(private readonly server: Server) {}

  /** @throws the system's error when the port is taken. */
  static async listen(port: number, metrics: Metrics): Promise<MetricsServer> {
    const limits = { headersTimeout: RECEIVE_MS, requestTimeout: RECEIVE_MS, connectionsCheckingInterval: 1000 };
    const server = createServer(limits, (request, response) => {
      answer(request, response, metrics).catch(() => response.destroy());
    });
    server.listen(port);
    await once(server, 'listening');
    return new MetricsServer(server);
  }

  /** The port it listens on. */
  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    const closed = once(this.server, 'close');
    this.server.close();
    this.server.closeAllConnections();
    await closed;
  }
}

async function answer({ method, url }: IncomingMessage, response: ServerResponse, metrics: Metrics): Promise<void> {
  const isThere = url?.split('?')[0] === PATH;
  if (!isThere || method !== 'GET') {
    response.writeHead(isThere ? 405 : 404, isThere ? { Allow: 'GET' } : {}).end();
    return;
  }
  await show(metrics, response);
}

/** Answers with all figures, or with those that somebody who goes away has taken. */
export async function show(metrics: Metrics, response: ServerResponse): Promise<void> {
  const pages = metrics.pages();
  response.writeHead(200, { 'Content-Type': metrics.contentType, 'Cache-Control': 'no-store' });
  // The status is out: whatever is wrong now can only end the connection, and the pipeline has done that.
  await pipeline(pages, response).catch(() => undefined);
}
