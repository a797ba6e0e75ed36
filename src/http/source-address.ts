import type { IncomingMessage } from 'node:http';
import { type BlockList, isIP, type Socket, SocketAddress } from 'node:net';
import { Recent } from '../auth/recent.js';
import type { HubRequest } from './messages.js';

/** More proxies in a row than anybody has; what is further to the left was made up. */
const MAX_HOPS = 16;
/** More than a hub has proxies, and than most have clients. */
const MOST_ADDRESSES = 1000;
/** Of connections, which forget theirs when they break off. */
const peers = new WeakMap<Socket, string>();

/** A request on which may stand where it came from. */
export type Traceable = IncomingMessage & Partial<Pick<HubRequest, 'source'>>;

/**
 * The IP address that a request came from, in its shortest form: that of the connection, or where that is a proxy which
 * the hub believes (`TRUST_PROXY`) the one that it names.
 */
export function sourceAddressOf({ source, socket }: Traceable): string {
  return source ?? peerOf(socket);
}

/** Where a request came from, as one place: an address of IPv4, or a /64 of IPv6, of which whoever has one has all. */
export function sourceNetworkOf(request: Traceable): string {
  const address = sourceAddressOf(request);
  if (!address.includes(':')) return address;
  const [head = '', tail] = address.split('::');
  const [left, right] = [head, tail ?? ''].map((part) => part.split(':').filter(Boolean)) as [string[], string[]];
  const zeros = Array<string>(Math.max(0, 8 - left.length - right.length)).fill('0');
  const network = [...left, ...zeros, ...right].slice(0, 4).join(':');
  return `${canonical(`${network}::`) ?? network}/64`;
}

/**
 * Finds out where a request came from, for {@link sourceAddressOf}: the first hop, seen from here, that is no proxy of
 * ours. What is written to the left of it in `X-Forwarded-For` is anybody's word, and so is `Forwarded`.
 */
export function traceSource(request: Traceable, trusted: BlockList | undefined): void {
  let source = (request.source = peerOf(request.socket));
  if (!trusted || source === '' || !isIn(trusted, source)) return;
  const { 'x-forwarded-for': header = '' } = request.headers;
  const hops = String(header).split(',').slice(-MAX_HOPS);
  for (let hop = hops.pop(); hop !== undefined; hop = hops.pop()) {
    const address = canonical(withoutPort(hop.trim()));
    if (address === undefined) break;
    source = address;
    // The last one is it, whatever it is.
    if (hops.length === 0 || !isIn(trusted, address)) break;
  }
  request.source = source;
}

function peerOf(socket: Socket): string {
  let peer = peers.get(socket);
  if (peer === undefined) peers.set(socket, (peer = canonical(socket.remoteAddress ?? '') ?? ''));
  return peer;
}

/** Some proxies add the port of the client. */
function withoutPort(hop: string): string {
  return /^\[([^\]]*)\](?::\d+)?$/.exec(hop)?.[1] ?? /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(hop)?.[1] ?? hop;
}

/** One spelling for each address: no zone, no zeros that could be left out, IPv4 as such also where it came over IPv6. */
function canonical(written: string): string | undefined {
  if (isIP(written) === 4) return written;
  // Nearly all of them are so where the hub listens to both; to take them apart as IPv6 takes some microseconds.
  const address = written.replace(/%.*$/, '').replace(/^::ffff:(?=\d+(\.\d+){3}$)/, '');
  const version = isIP(address);
  if (version !== 6) return version === 4 ? address : undefined;
  return new SocketAddress({ address, family: 'ipv6' }).address.replace(/^::ffff:(?=\d+\.)/, '');
}

/** To look an address up takes Node some microseconds, and the same come again and again. */
const lookups = new WeakMap<BlockList, Recent<boolean>>();

function isIn(networks: BlockList, address: string): boolean {
  let known = lookups.get(networks);
  if (!known) lookups.set(networks, (known = new Recent(MOST_ADDRESSES)));
  let isThere = known.get(address);
  if (isThere === undefined) {
    isThere = networks.check(address, isIP(address) === 4 ? 'ipv4' : 'ipv6');
    known.set(address, isThere);
  }
  return isThere;
}
