import { jest } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { Common, WholeAnswer } from '../whole-answer.js';
import { HubResponse } from './messages.js';

let server: Server;
let pieces: number;
let answer: (response: HubResponse) => void;
beforeEach(async () => {
  server = createServer({ ServerResponse: HubResponse as unknown as typeof ServerResponse }, ({ socket }, response) => {
    const write = jest.spyOn(socket, 'write');
    answer(response as unknown as HubResponse);
    pieces = write.mock.calls.length;
    write.mockRestore();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(() => server.close().closeAllConnections());

const ask = (): Promise<Response> => fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);

const HEAD = ['Content-Type', 'text/plain; charset=utf-8'];
const COMMON = new Common(['Cache-Control', 'no-store'], 5000);

const send = (response: HubResponse, text: string, status = 200): void => {
  response.requestId = 'id-1';
  response.common = COMMON;
  response.sendWhole(new WholeAnswer(status, HEAD, text));
};

describe('an answer whose head and body are there at once', () => {
  it.each(['a token', '', 'a token\r\n\r\nHTTP/1.1 200 OK', 'ein Schlüssel', '令牌', '\u{1f511}'])(
    'has %j in it',
    async (text) => {
      answer = (response) => send(response, text);
      for (let i = 0; i < 2; i += 1) {
        const response = await ask();
        expect(await response.text()).toBe(text);
        expect(response.headers.get('content-length')).toBe(`${Buffer.byteLength(text)}`);
      }
    },
  );

  it('is one piece for the system', async () => {
    answer = (response) => send(response, 'a token');
    await ask();
    expect(pieces).toBe(1);
    answer = (response) => response.writeHead(200, [...HEAD, 'Content-Length', '7']).end('a token');
    await ask();
    expect(pieces).toBe(2);
  });

  it('leaves with others at the end of the turn, if it is told to', async () => {
    const left: string[] = [];
    answer = (response) => {
      response.common = COMMON;
      response.sendWithOthers(new WholeAnswer(401, HEAD, 'no'));
      response.once('finish', () => left.push('answer'));
      process.nextTick(() => left.push('turn'));
    };
    const replies = await Promise.all([ask(), ask()]);
    expect(replies.map(({ status }) => status)).toEqual([401, 401]);
    expect(left[0]).toBe('turn');
    expect(left.filter((what) => what === 'answer')).toHaveLength(2);
  });

  it('leaves once, whoever else has answered by the end of the turn', async () => {
    answer = (response) => {
      response.common = COMMON;
      const refusal = new WholeAnswer(401, HEAD, 'no');
      response.sendWithOthers(refusal);
      response.sendWithOthers(refusal);
    };
    const replies = await Promise.all([ask(), ask()]);
    expect(await Promise.all(replies.map((reply) => reply.text()))).toEqual(['no', 'no']);
  });

  it('leaves before that where very many do, which take memory until then', async () => {
    const refusal = new WholeAnswer(401, HEAD, 'no');
    const all: HubResponse[] = [];
    let mostWaiting = 0;
    answer = (response) => {
      response.common = COMMON;
      all.push(response);
      response.sendWithOthers(refusal);
      mostWaiting = Math.max(mostWaiting, all.filter(({ headersSent }) => !headersSent).length);
    };
    const { port } = server.address() as AddressInfo;
    const sockets = Array.from({ length: 20 }, () => connect(port, '127.0.0.1'));
    const one = 'GET / HTTP/1.1\r\nHost: hub\r\n';
    for (const socket of sockets) socket.write(`${one}\r\n`);
    await Promise.all(sockets.map((socket) => once(socket, 'data')));
    for (const socket of sockets) socket.write(`${`${one}\r\n`.repeat(148)}${one}Connection: close\r\n\r\n`);
    await Promise.all(sockets.map((socket) => once(socket, 'close')));
    expect([all.length, all.every(({ writableFinished }) => writableFinished)]).toEqual([3000, true]);
    expect(mostWaiting).toBeLessThan(1000);
  });

  it.each([
    ['to HEAD', 'HEAD', 200],
    ['of the status 304', 'GET', 304],
  ])('has no body if it is %s, and the next answer begins behind its head', async (_, method, status) => {
    answer = (response) => send(response, 'a token', response.req.url === '/bare' ? status : 200);
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

  describe.each([
    ['as it is usual', undefined, 'keep-alive'],
    ['when Node is told how to go on', 'close', 'close'],
  ])('%s', (_, connection, told) => {
    it('says what every answer says, and when', async () => {
      answer = (response) => {
        if (connection) response.setHeader('Connection', connection);
        send(response, 'a token');
      };
      const before = Math.floor(Date.now() / 1000) * 1000;
      const { headers } = await ask();
      expect(Object.fromEntries(headers)).toEqual({
        'cache-control': 'no-store',
        connection: told,
        'content-length': '7',
        'content-type': HEAD[1],
        date: expect.stringMatching(/ GMT$/) as string,
        'x-request-id': 'id-1',
        ...(!connection && { 'keep-alive': 'timeout=5' }),
      });
      const at = Date.parse(headers.get('date') ?? '');
      expect(at).toBeGreaterThanOrEqual(before);
      expect(at).toBeLessThanOrEqual(Date.now());
    });
  });

  it('ends the connection where the client wants that', async () => {
    answer = (response) => send(response, 'a token');
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    let told = '';
    socket.setEncoding('latin1').on('data', (piece: string) => (told += piece));
    socket.write('GET / HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n');
    await once(socket, 'close');
    expect(told).toMatch(/\r\nConnection: close\r\n/);
    expect(told).not.toMatch(/keep-alive/i);
  });

  it('has no header that is two', () => {
    expect(() => new WholeAnswer(200, ['ETag', '"1"\r\nSet-Cookie: a'], '').textWith(COMMON)).toThrow(
      /Invalid character/,
    );
    expect(() => new WholeAnswer(200, ['ETag: "1"\r\nX', 'y'], '').textWith(COMMON)).toThrow(/valid HTTP token/);
  });
});
