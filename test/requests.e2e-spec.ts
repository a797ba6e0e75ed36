import { PROBLEMS } from '../src/http/problems.js';
import { heapInUse, Stage } from './hub.fixture.js';
import { MARK, REQUESTS } from './requests.rows.js';
import { exchange } from './wire.fixture.js';

const KINDS = new Set(Object.values(PROBLEMS).map(({ status, type }) => `${status} ${type}`));

let stage: Stage;
const logged: string[] = [];
const log = (line: unknown): void => void logged.push(JSON.stringify(line));
beforeAll(async () => {
  stage = await Stage.set({}, {}, { log, warn: log, error: log });
  await stage.ask('/access-token');
});
afterAll(() => stage.strike());

describe('a request', () => {
  it('has a corpus in which nothing stands twice', () => {
    expect(REQUESTS.length).toBeGreaterThan(150);
    expect(new Set(REQUESTS.map(([what]) => what)).size).toBe(REQUESTS.length);
  });

  it.each(REQUESTS)('is answered once, and as it should be: %s', async (_, bytes, statuses) => {
    const replies = await exchange(stage.url, bytes());
    expect(replies.map(({ status }) => status)).toEqual(statuses);
    expect(replies.map(({ raw }) => raw).join()).not.toContain(MARK);
    const final = replies.filter(({ status }) => status >= 200);
    expect(final.map(({ headers }) => headers.get('cache-control'))).toEqual(final.map(() => 'no-store'));
    // The answer to HEAD has no body.
    const problems = final.filter(({ status, body }) => status >= 400 && body !== '');
    const kinds = problems.map(({ status, body }) => `${status} ${(JSON.parse(body) as { type: string }).type}`);
    expect(kinds.filter((kind) => !KINDS.has(kind))).toEqual([]);
    expect(problems.every(({ headers }) => headers.get('content-type') === 'application/problem+json')).toBe(true);
  });

  it('leaves nothing of it in the log, nor in the memory, and costs WeChat nothing', async () => {
    const all = async (): Promise<void> => {
      for (const [, bytes] of REQUESTS) await exchange(stage.url, bytes());
    };
    await all();
    expect(logged.filter((line) => line.includes(MARK) || line.includes('"level":"error"'))).toEqual([]);
    logged.length = 0;
    const before = heapInUse();
    for (let i = 0; i < 3; i += 1) await all();
    logged.length = 0;
    expect(heapInUse() - before).toBeLessThan(2 * 1024 * 1024);
    expect(stage.simulator.world.calls).toHaveLength(1);
  });
});
