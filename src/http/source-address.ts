import type { IncomingMessage } from 'node:http';

/** The address that a request comes from; empty once its connection is gone. */
export function sourceAddressOf({ socket }: Partial<Pick<IncomingMessage, 'socket'>>): string {
  // As a socket for both families writes an IPv4 address.
  return socket?.remoteAddress?.replace(/^::ffff:(?=\d+\.)/, '') ?? '';
}
