import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { ConfigService } from '@nestjs/config';
import { HttpProxyAgent } from 'http-proxy-agent';
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
  private readonly ways: Readonly<Record<Dialect, { readonly root: URL; readonly agent: Agent }>>;

  constructor(config: ConfigService<Settings, true>) {
    this.ways = { wechat: wayTo(config.get('wechat')), wecom: wayTo(config.get('wecom')) };
  }

  /**
   * Makes one call, and ends when its answer begins.
   * @throws WechatUnreachable when none does.
   */
  send({ dialect, method, target, headers, body, signal }: RelayedCall): Promise<IncomingMessage> {
    const { root, agent } = this.ways[dialect];
    const isSecure = root.protocol === 'https:';
    return new Promise((resolve, reject) => {
      const unreachable = (error: NodeJS.ErrnoException): void => {
        reject(new WechatUnreachable(error.code ?? 'unknown error', true));
      };
      const call: ClientRequest = (isSecure ? requestByTls : requestPlainly)({
        hostname: root.hostname.replace(/^\[|\]$/g, ''),
        port: root.port,
        path: root.pathname.replace(/\/+$/, '') + target,
        method,
        headers: {
          // WeChat answers 412 to a body in chunks.
          ...(body.length !== undefined && (body.length > 0 || method !== 'GET') && { 'Content-Length': body.length }),
          ...headers,
          // An answer that WeChat packed could not be read here.
          'Accept-Encoding': 'identity',
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
      call.setTimeout(SILENCE_MS, () => call.destroy(Object.assign(new Error(), { code: 'ETIMEDOUT' })));
      body.pour(call).catch((error: unknown) => call.destroy(error as Error));
    });
  }

  onApplicationShutdown(): void {
    for (const { agent } of Object.values(this.ways)) agent.destroy();
  }
}

function wayTo({ root, proxy }: Upstream): { readonly root: URL; readonly agent: Agent } {
  const isSecure = root.protocol === 'https:';
  if (!proxy) return { root, agent: isSecure ? new TlsAgent(AGENT) : new Agent(AGENT) };
  return { root, agent: isSecure ? new HttpsProxyAgent(proxy, AGENT) : new HttpProxyAgent(proxy, AGENT) };
}
