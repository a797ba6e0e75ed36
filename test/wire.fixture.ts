import { once } from 'node:events';
import { connect } from 'node:net';

/** An answer as it came over the wire, byte for byte. */
export interface WireReply {
  readonly status: number;
  /** Values by name in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
  readonly raw: string;
}

const PATIENCE_MS = 18_000;

/** What is sent again and again, for as long as the connection is open. */
interface Dribble {
  readonly bytes: string;
  readonly everyMs: number;
}

/**
 * Sends bytes as they are, which `fetch` would tidy up or refuse, and reads every answer until the other side closes.
 *
 * @param dribble what is sent after that.
 */
export async function exchange(url: string, bytes: string | Buffer, dribble?: Dribble): Promise<WireReply[]> {
  return repliesIn(await textFor(url, bytes, dribble));
}

/** The same, with all that came back as one text, whatever it is. */
export async function textFor(url: string, bytes: string | Buffer, dribble?: Dribble): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  const patience = setTimeout(() => socket.destroy(new Error('nobody closed the connection')), PATIENCE_MS);
  const dribbling = dribble && setInterval(() => socket.write(dribble.bytes), dribble.everyMs);
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  try {
    socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
    await once(socket, 'end');
  } finally {
    clearTimeout(patience);
    clearInterval(dribbling);
    socket.destroy();
  }
  return Buffer.concat(chunks).toString('latin1');
}

/** One request whose header lines are sent as they are, over a connection of its own. */
export async function exchangeOne(url: string, requestLine: string, lines: readonly string[] = []): Promise<WireReply> {
  const request = [requestLine, 'Host: hub', ...lines, 'Connection: close', '', ''].join('\r\n');
  const replies = await exchange(url, request);
  const [reply] = replies;
  if (!reply || replies.length > 1) throw new Error(`${replies.length} answers came to one request`);
  return reply;
}

/** All of an answer but for the time of day and the number of the request. */
export function lasting({ raw }: WireReply): string {
  return raw.replace(/^(date|x-request-id): .*\r\n/gim, '').replace(/"instance":"[^"]*"/, '');
}

/** Sends bad tokens from an address as a proxy tells it; the answers that do not end a connection. */
export async function flood(
  url: string,
  address: string,
  count: number,
  tokenOf: (i: number) => string,
): Promise<string[]> {
  const answers: string[] = [];
  for (let sent = 0; sent < count; sent += 100) {
    const requests = Array.from({ length: 101 }, (_, i) => [
      'GET /access-token HTTP/1.1',
      'Host: hub',
      `X-Forwarded-For: ${address}`,
      `Authorization: Bearer ${tokenOf(sent + i)}`,
      ...(i === 100 ? ['Connection: close'] : []),
      '',
      '',
    ]);
    const replies = await exchange(url, requests.flat().join('\r\n'));
    answers.push(...replies.slice(0, -1).map(lasting));
  }
  return answers;
}

/** Only what the hub sends is understood: a body has a Content-Length, or goes to the end, as HTTP/1.0 has it. */
function repliesIn(text: string): WireReply[] {
  const replies: WireReply[] = [];
  for (let start = 0; start < text.length;) {
    const bodyStart = text.indexOf('\r\n\r\n', start) + 4;
    if (bodyStart < start + 4) throw new Error('what was answered is not HTTP');
    const [statusLine = '', ...lines] = text.slice(start, bodyStart - 4).split('\r\n');
    const headers = new Map(lines.map((line) => [nameIn(line), line.slice(line.indexOf(':') + 1).trim()]));
    const status = Number(statusLine.split(' ')[1]);
    const hasBody = status >= 200 && status !== 304;
    const length = headers.get('content-length') ?? (hasBody ? text.length : 0);
    const end = Math.min(bodyStart + Number(length), text.length);
    replies.push({ status, headers, body: text.slice(bodyStart, end), raw: text.slice(start, end) });
    start = end;
  }
  return replies;
}

function nameIn(line: string): string {
  return line.slice(0, line.indexOf(':')).toLowerCase();
}
