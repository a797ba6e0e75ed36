import { jest } from '@jest/globals';
import { OTHER_KEY, REFUSAL, ROWS } from './authorization.rows.js';
import { APPID, heapInUse, Stage } from './hub.fixture.js';
import { exchangeOne, lasting, type WireReply } from './wire.fixture.js';

let stage: Stage;
beforeAll(async () => (stage = await Stage.set({ JWT_KEY_other: OTHER_KEY, TRUST_PROXY: '127.0.0.1' })));
afterAll(() => stage.strike());

/** Sends header lines as they are: whatever speaks HTTP properly would tidy them up, or refuse. */
function send(lines: readonly string[] = []): Promise<WireReply> {
  sent += 1;
  // So many bad tokens from one address would be a flood, which is another story.
  const from = `X-Forwarded-For: 10.0.0.${sent % SENDERS}`;
  return exchangeOne(stage.url, 'GET /access-token HTTP/1.1', [...lines, from]);
}

const SENDERS = 10;
let sent = 0;

/** Requests that have nothing of a token in them, and are refused alike. */
const PLAIN = { 401: [], 400: ['no colon'], 431: [`X: ${'x'.repeat(17_000)}`] };

describe('the Authorization header', () => {
  beforeEach(() => {
    // Claims are held against the very second in which they are made.
    jest.spyOn(Date, 'now').mockReturnValue(Math.floor(Date.now() / 1000) * 1000);
  });

  it('has a corpus in which nothing stands twice', () => {
    expect(ROWS.length).toBeGreaterThan(300);
    expect(new Set(ROWS.map(([what]) => what)).size).toBe(ROWS.length);
  });

  it.each(ROWS.filter(([, status]) => status === 200))('opens the door: %s', async (_, status, lines) => {
    const reply = await send(lines());
    expect(reply.status).toBe(status);
    expect(stage.simulator.world.verdict(reply.body)).toMatchObject({ accepted: true, appid: APPID });
  });

  it.each(ROWS.filter(([, status]) => status === 401))('is refused: %s', async (_, status, lines) => {
    const reply = await send(lines());
    expect(reply.status).toBe(status);
    expect(reply.body).toBe(REFUSAL);
    expect(reply.headers.get('www-authenticate')).toBe('Bearer error="invalid_token"');
    expect(reply.headers.get('content-type')).toBe('application/problem+json');
    expect(reply.headers.get('cache-control')).toBe('no-store');
    expect(lasting(reply)).toBe(lasting(await send(PLAIN[401])));
  });

  it.each(ROWS.flatMap(([what, status, lines]) => (status === 400 || status === 431 ? [{ what, status, lines }] : [])))(
    'is not even HTTP: $what',
    async ({ status, lines }) => {
      const reply = await send(lines());
      expect(reply.status).toBe(status);
      expect(reply.headers.get('content-type')).toBe('application/problem+json');
      expect(reply.headers.get('cache-control')).toBe('no-store');
      expect(lasting(reply)).toBe(lasting(await send(PLAIN[status])));
    },
  );

  it('costs nothing that stays, and no call to WeChat', async () => {
    const all = async (): Promise<void> => {
      for (const [, , lines] of ROWS) await send(lines());
    };
    await all();
    const before = heapInUse();
    for (let i = 0; i < 5; i += 1) await all();
    expect(heapInUse() - before).toBeLessThan(2 * 1024 * 1024);
    expect((await stage.ask('/access-token')).status).toBe(200);
    expect(stage.simulator.world.count('/cgi-bin/token')).toBe(1);
  }, 60_000);
});
