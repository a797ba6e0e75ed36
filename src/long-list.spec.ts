import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { MEMBERS, sendLongList } from './long-list.js';
import { inTurns } from './turns.js';

describe('a long list', () => {
  it.each([0, 1, 99, 100, 1234])('is the JSON that it would be otherwise, with %d members', async (count) => {
    const members = Array.from({ length: count }, (_, i) => ({ name: `app-${i}`, say: ['"', ']'] }));
    const server = createServer((_request, response) => {
      void sendLongList(response, 503, { status: 'x', details: { list: MEMBERS } }, inTurns(members));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    try {
      const answer = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
      expect([answer.status, answer.headers.get('content-type')]).toEqual([503, 'application/json; charset=utf-8']);
      expect(await answer.json()).toEqual({ status: 'x', details: { list: members } });
    } finally {
      server.close();
      server.closeAllConnections();
    }
  });
});
