import { Agent, type AgentConnectOpts } from 'agent-base';
import { HttpProxyAgent } from 'http-proxy-agent';
import { HttpsProxyAgent } from 'https-proxy-agent';
import type { ClientRequest } from 'node:http';
import { connect as connectPlainly, isIP, type Socket } from 'node:net';
import { connect as connectOverTls } from 'node:tls';

/** The library wants to see a method of Node's that Node's own types leave out. */
type HttpProxyAgentClientRequest = Parameters<HttpProxyAgent<string>['connect']>[0];

/**
 * Makes the one connection of one call, and hands it over only if the call is still in time: a process that was stopped
 * while it connected must not ask WeChat for a token a minute later, when another hub has got one. So it also knows
 * whether anything was sent.
 */
export class PromptAgent extends Agent {
  private handedOver = false;

  /**
   * @param deadline epoch of `performance.now()`, in milliseconds.
   * @param protocol `http:` or `https:`, as in the address that is called.
   * @param proxy on the way, if there is one.
   */
  constructor(
    private readonly deadline: number,
    protocol: string,
    private readonly proxy: URL | undefined,
  ) {
    // A kept connection may be dead without our knowing, and WeChat would have minted a token that nobody receives.
    super({ keepAlive: false });
    // The library would find it out from a stack trace, twice for each call.
    this.protocol = protocol;
  }

  /** Whether WeChat may have got the call, or some of it. */
  get sent(): boolean {
    return this.handedOver;
  }

  override async connect(request: ClientRequest, options: AgentConnectOpts): Promise<Socket> {
    const socket = await this.connected(request, options);
    if (performance.now() > this.deadline) {
      socket.destroy();
      throw new Error('too late');
    }
    this.handedOver = true;
    return socket;
  }

  private connected(request: ClientRequest, options: AgentConnectOpts): Promise<Socket> {
    if (this.proxy) {
      if (options.secureEndpoint) return new HttpsProxyAgent(this.proxy).connect(request, options);
      return new HttpProxyAgent(this.proxy).connect(request as HttpProxyAgentClientRequest, options);
    }
    return new Promise((resolve, reject) => {
      const socket = options.secureEndpoint
        ? connectOverTls({ ...options, ...named(options.host ?? '') })
        : connectPlainly(options);
      socket.once('error', reject).once(options.secureEndpoint ? 'secureConnect' : 'connect', () => {
        socket.off('error', reject);
        resolve(socket);
      });
      // Given up while it connects.
      request.once('close', () => socket.destroy());
    });
  }
}

/** The name that the other side's certificate has to have; an address is not one. */
function named(host: string): { readonly servername?: string } {
  return isIP(host) === 0 ? { servername: host } : {};
}
