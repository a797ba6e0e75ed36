import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { ConfigService } from '@nestjs/config';
import { HttpsProxyAgent } from 'https-proxy-agent';
import { Agent, type ClientRequest, type IncomingMessage, request as requestPlainly } from 'node:http';
import { Agent as TlsAgent, request as requestByTls } from 'node:https';
import type { Duplex } from 'node:stream';
import type { Settings, Upstream } from '../config/environment.js';
import type { PassingBody } from './passing-body.js';
import { type Dialect, WechatUnreachable } from './wechat.error.js';

/** A call as a client made it, with WeChat's token in it. */
export interface RelayedCall {
  readonly dialect: Dialect;
  readonly method: string;
  /** Path and query, byte for byte. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: PassingBody;
  /** Ends the call when nobody waits for it any more. */
  readonly signal: AbortSignal;
}

/** No byte came or went for so long: some calls, of reports or large media, take WeChat a while. */
const SILENCE_MS = 30_000;
/** Shorter than WeChat keeps an idle connection: one that it closes meanwhile would cost a client its call. */
const IDLE_MS = 4000;
const AGENT = { keepAlive: true, timeout: IDLE_MS, scheduling: 'lifo' } as const;

/**
 * Passes calls of clients on to WeChat. Not by axios, as the hub's own calls: it would read the address and write it
 * anew, and here no byte may change.
 */
@Injectable()
export class WechatRelay implements OnApplicationShutdown {
  private readonly ways: Readonly<Record<Dialect, Way>>;

  constructor(config: ConfigService<Settings, true>) {
    this.ways = { wechat: wayTo(config.get('wechat')), wecom: wayTo(config.get('wecom')) };
  }

  /**
   * Makes one call, and ends when its answer begins.
   * @throws WechatUnreachable when none does.
   */
  send({ dialect, method, target, headers, body, signal }: RelayedCall): Promise<IncomingMessage> {
    const { server, agent, prefix, headers: headersOfWay } = this.ways[dialect];
    return new Promise((resolve, reject) => {
      const unreachable = (error: NodeJS.ErrnoException): void => {
        reject(new WechatUnreachable(error.code ?? 'unknown error', true));
      };
      const call: ClientRequest = (server.protocol === 'https:' ? requestByTls : requestPlainly)({
        hostname: server.hostname.replace(/^\[|\]$/g, ''),
        port: server.port,
        path: prefix + target,
        method,
        headers: {
          // WeChat answers 412 to a body in chunks.
          ...(body.length !== undefined && (body.length > 0 || method !== 'GET') && { 'Content-Length': body.length }),
          ...headers,
          // An answer that WeChat packed could not be read here.
          'Accept-Encoding': 'identity',
          ...headersOfWay,
        },
        agent,
        signal,
      });
      call.once('response', resolve).once('error', unreachable);
      // Nobody asked for another protocol, and Node would leave us to wait for an answer.
      call.once('upgrade', (_answer: IncomingMessage, socket: Duplex) => {
        socket.destroy();
        unreachable({ name: '', message: '', code: 'another protocol' });
      });
      // What a proxy answers in WeChat's place is not for the client.
      call.once('proxyConnect', ({ statusCode }: { readonly statusCode: number }) => {
        if (statusCode !== 200) call.destroy(Object.assign(new Error(), { code: `a proxy said ${statusCode}` }));
      });
      call.setTimeout(SILENCE_MS, () => call.destroy(Object.assign(new Error(), { code: 'ETIMEDOUT' })));
      body.pour(call).catch((error: unknown) => call.destroy(error as Error));
    });
  }

  onApplicationShutdown(): void {
    for (const { agent } of Object.values(this.ways)) agent.destroy();
  }
}

/** How to get to one of the APIs. */
interface Way {
  /** Whom to speak to: the API, or a proxy that is told the whole address. */
  readonly server: URL;
  readonly agent: Agent;
  /** What stands before path and query. */
  readonly prefix: string;
  readonly headers?: Readonly<Record<string, string>>;
}

function wayTo({ root, proxy }: Upstream): Way {
  const prefix = root.pathname.replace(/\/+$/, '');
  const agentFor = ({ protocol }: URL): Agent => (protocol === 'https:' ? new TlsAgent(AGENT) : new Agent(AGENT));
  if (!proxy) return { server: root, agent: agentFor(root), prefix };
  if (root.protocol === 'https:') return { server: root, agent: new HttpsProxyAgent(proxy, AGENT), prefix };
  // Not by the library's agent, which would read the address and write it anew.
  const { username, password } = proxy;
  const user = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64');
  const authorization = username || password ? { 'Proxy-Authorization': `Basic ${user}` } : {};
  return {
    server: proxy,
    agent: agentFor(proxy),
    prefix: root.origin + prefix,
    headers: { Host: root.host, ...authorization },
  };
}
