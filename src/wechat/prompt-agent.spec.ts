import { once } from 'node:events';
import { createServer, get, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PromptAgent } from './prompt-agent.js';

describe('the connection of a call', () => {
  let server: Server;
  let requests = 0;
  beforeAll(async () => {
    server = createServer((_request, response) => {
      requests += 1;
      response.end('{}');
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  beforeEach(() => (requests = 0));
  afterAll(() => server.close());

  /** Asks the server, or something where nobody listens; what became of it. */
  async function ask(agent: PromptAgent, port = (server.address() as AddressInfo).port): Promise<string> {
    const request = get({ host: '127.0.0.1', port, agent });
    const response = once(request, 'response') as Promise<[IncomingMessage]>;
    try {
      const [{ statusCode }] = await response;
      return String(statusCode);
    } catch (error) {
      return (error as Error).message;
    }
  }

  it('is handed over in time, and known to have been', async () => {
    const agent = new PromptAgent(performance.now() + 5000, 'http:', undefined);
    expect(agent.sent).toBe(false);
    expect(await ask(agent)).toBe('200');
    expect([agent.sent, requests]).toEqual([true, 1]);
  });

  it('is not handed over when the call is too late by the time it stands: nothing is sent', async () => {
    const agent = new PromptAgent(performance.now() - 1, 'http:', undefined);
    expect(await ask(agent)).toBe('too late');
    expect([agent.sent, requests]).toEqual([false, 0]);
  });

  it('is known not to have been handed over where nobody listens', async () => {
    const agent = new PromptAgent(performance.now() + 5000, 'http:', undefined);
    expect(await ask(agent, 9)).toMatch(/ECONNREFUSED/);
    expect(agent.sent).toBe(false);
  });
});
