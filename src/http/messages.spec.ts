import { jest } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { HubResponse } from './messages.js';

let server: Server;
let pieces: number;
let answer: (response: HubResponse) => void;
beforeEach(async () => {
  server = createServer({ ServerResponse: HubResponse as unknown as typeof ServerResponse }, (_request, response) => {
    const { socket } = response;
    if (!socket) throw new Error('there is no connection');
    const write = jest.spyOn(socket, 'write');
    answer(response as unknown as HubResponse);
    pieces = write.mock.calls.length;
    write.mockRestore();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(() => server.close().closeAllConnections());

const ask = (): Promise<Response> => fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);

/** Head and body of an answer with this text. */
const wholeOf = (text: string): [number, string[], string] => [
  200,
  ['Content-Type', 'text/plain; charset=utf-8', 'Content-Length', `${Buffer.byteLength(text)}`],
  text,
];

describe('an answer whose head and body are there at once', () => {
  it.each(['a token', '', 'a token\r\n\r\nHTTP/1.1 200 OK', 'ein Schlüssel', '令牌', '\u{1f511}'])(
    'has %j in it',
    async (text) => {
      answer = (response) => response.sendWhole(...wholeOf(text));
      for (let i = 0; i < 2; i += 1) {
        const response = await ask();
        expect(await response.text()).toBe(text);
        expect(response.headers.get('content-length')).toBe(`${Buffer.byteLength(text)}`);
      }
    },
  );

  it('is one piece for the system', async () => {
    answer = (response) => response.sendWhole(...wholeOf('a token'));
    await ask();
    expect(pieces).toBe(1);
    answer = (response) => response.writeHead(...(wholeOf('a token').slice(0, 2) as [number, string[]])).end('a token');
    await ask();
    expect(pieces).toBe(2);
  });

  it.each([
    ['to HEAD', 'HEAD', 200],
    ['of the status 304', 'GET', 304],
  ])('has no body if it is %s, and the next answer begins behind its head', async (_, method, status) => {
    const [, head, body] = wholeOf('a token');
    answer = (response) => response.sendWhole(response.req.url === '/bare' ? status : 200, head, body);
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    let told = '';
    socket.setEncoding('latin1').on('data', (piece: string) => (told += piece));
    socket.write(`${method} /bare HTTP/1.1\r\nHost: hub\r\n\r\n`);
    await once(socket, 'data');
    socket.write('GET / HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n');
    await once(socket, 'close');
    const [bare, next, ...behind] = told.split('\r\n\r\n');
    expect(bare).toContain(`HTTP/1.1 ${status}`);
    expect(next).toMatch(/^HTTP\/1\.1 200/);
    expect(behind).toEqual(['a token']);
  });

  it('says what every answer says, and what was set before', async () => {
    answer = (response) => {
      response.requestId = 'id-1';
      response.common = ['Cache-Control', 'no-store'];
      response.setHeader('Connection', 'close');
      response.sendWhole(...wholeOf('a token'));
    };
    const { headers } = await ask();
    expect([headers.get('x-request-id'), headers.get('cache-control'), headers.get('connection')]).toEqual([
      'id-1',
      'no-store',
      'close',
    ]);
  });
});
