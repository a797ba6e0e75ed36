import { jest } from '@jest/globals';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { ClientGuard } from '../src/auth/client.guard.js';
import { ReadLane } from '../src/http/read-lane.js';
import { Stage, tokenFor } from './hub.fixture.js';
import { exchange } from './wire.fixture.js';

const CROWD = 60;
const AUTHORIZATION = `Authorization: Bearer ${tokenFor()}`;
const FAMILIAR = `GET /access-token HTTP/1.1\r\nHost: hub\r\n${AUTHORIZATION}\r\n\r\n`;

let stage: Stage;
let asked: jest.Spied<ClientGuard['canActivate']>;
beforeEach(async () => {
  stage = await Stage.set();
  await stage.ask('/access-token');
  asked = jest.spyOn(ClientGuard.prototype, 'canActivate');
});
afterEach(async () => {
  jest.restoreAllMocks();
  await stage.strike();
});

/** Reads by targets that nobody has asked for, all by one connection, each with its number. */
function unfamiliar(count = CROWD, path = '/access-token'): string {
  const requests = Array.from({ length: count }, (_, i) => {
    const end = i === count - 1 ? '\r\nConnection: close' : '';
    return `GET ${path}?${'&'.repeat(i + 1)} HTTP/1.1\r\nHost: hub\r\n${AUTHORIZATION}\r\nX-Request-Id: ${i}${end}\r\n\r\n`;
  });
  return requests.join('');
}

async function connected(): Promise<Socket> {
  const socket = connect(Number(new URL(stage.url).port), '127.0.0.1');
  await once(socket, 'connect');
  return socket;
}

/** Lets the hub, which is in this process, have a turn. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a crowd of requests that nobody made before', () => {
  it('is answered, all of it, and in order on each connection', async () => {
    const paths = ['/access-token', '/access_token', '/apps/default/access-token', '/access-token'];
    const answers = await Promise.all(paths.map((path) => exchange(stage.url, unfamiliar(CROWD, path))));
    const inOrder = Array.from({ length: CROWD }, (_, i) => [200, String(i)]);
    for (const replies of answers) {
      expect(replies.map(({ status, headers }) => [status, headers.get('x-request-id')])).toEqual(inOrder);
    }
  });

  it('may have bodies, those that came already and those that somebody waits to send', async () => {
    const body = JSON.stringify({ url: 'https://shop.example/' });
    const head = `POST /apps/default/jssdk-config HTTP/1.1\r\nHost: hub\r\n${AUTHORIZATION}\r\nContent-Length: ${body.length}\r\n`;
    const last = `${head}Connection: close\r\n`;
    const atOnce = `${`${head}\r\n${body}`.repeat(CROWD - 1)}${last}\r\n${body}`;
    const expecting = async (): Promise<number[]> => {
      const socket = await connected();
      let text = '';
      socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
      socket.write(`${last}Expect: 100-continue\r\n\r\n`);
      await once(socket, 'data');
      socket.write(body);
      await once(socket, 'close');
      return [...text.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, status]) => Number(status));
    };
    const [replies, ...expected] = await Promise.all([
      exchange(stage.url, atOnce),
      ...Array.from({ length: CROWD / 2 }, expecting),
    ]);
    expect(replies.map(({ status }) => status)).toEqual(Array<number>(CROWD).fill(200));
    expect(expected).toEqual(Array<number[]>(CROWD / 2).fill([100, 200]));
  });

  it('is answered before a hub ends that is told to while it waits', async () => {
    const answers = exchange(stage.url, unfamiliar());
    while (asked.mock.calls.length === 0) await turn();
    expect(asked.mock.calls.length).toBeLessThan(CROWD);
    await stage.restart();
    expect((await answers).map(({ status }) => status)).toEqual(Array<number>(CROWD).fill(200));
  });

  it('does not keep a familiar one waiting until all of it is answered', async () => {
    const [crowd, other] = [await connected(), await connected()];
    crowd.write(unfamiliar());
    other.write(FAMILIAR);
    await once(other, 'data');
    expect(asked.mock.calls.length).toBeLessThan(CROWD / 2);
    await once(crowd.resume(), 'close');
    expect(asked).toHaveBeenCalledTimes(CROWD);
    other.destroy();
  });

  it('does not fill the memory: so many wait, and the first of them go on for others that come', async () => {
    const arrived = jest.spyOn(ReadLane.prototype, 'take');
    const crowd = await Promise.all(Array.from({ length: 30 }, connected));
    const closed = Promise.all(crowd.map((socket) => once(socket.resume(), 'close')));
    // None of these becomes familiar: the type is missing.
    for (const socket of crowd) socket.write(unfamiliar(2 * CROWD, '/ticket'));
    let mostWaiting = 0;
    while (asked.mock.calls.length < 60 * CROWD) {
      await turn();
      mostWaiting = Math.max(mostWaiting, arrived.mock.calls.length - asked.mock.calls.length);
    }
    await closed;
    expect(mostWaiting).toBeGreaterThan(CROWD);
    expect(mostWaiting).toBeLessThanOrEqual(1000);
  });

  it('is let go when its client is gone, those in line behind others, too', async () => {
    const crowd = await connected();
    crowd.write(unfamiliar());
    while (asked.mock.calls.length === 0) await turn();
    crowd.resetAndDestroy();
    for (let turns = 0; turns < CROWD; turns += 1) await turn();
    expect(asked.mock.calls.length).toBeLessThan(CROWD / 2);
  });
});
