import { setTimeout as delay } from 'node:timers/promises';
import { APPID, Stage } from './hub.fixture.js';

const LIFE_S = 12;
const RUN_MS = 30_000;
/** Every call to WeChat takes longer than a read ever does, so that a read that waited for one is found out. */
const CALL_MS = 1500;

describe('with lives of 12 s', () => {
  it('readers of half a minute see no dead token, no failure, no wait and no dishonest life', async () => {
    expect(await Promise.all([run('classic', '/cgi-bin/token'), run('stable', '/cgi-bin/stable_token')])).toEqual([
      [],
      [],
    ]);
  }, 60_000);
});

/** Reads for half a minute, and gives what went wrong. */
async function run(endpoint: 'classic' | 'stable', path: string): Promise<string[]> {
  const stage = await Stage.set({ WECHAT_TOKEN_ENDPOINT: endpoint }, { life: LIFE_S });
  const { world } = stage.simulator;
  await stage.ask('/access-token');
  world.faults.add({ kind: 'slow', milliseconds: CALL_MS, path });
  const wrong: string[] = [];
  const holds: { value: string; until: number }[] = [];
  const end = Date.now() + RUN_MS;
  const reader = async (): Promise<void> => {
    while (Date.now() < end) {
      const begun = performance.now();
      const { status, json } = await stage.ask('/apps/default/access-token');
      const took = performance.now() - begun;
      const value = String(json['access_token']);
      if (status !== 200) wrong.push(`status ${status}`);
      if (took > CALL_MS * 0.8) wrong.push(`waited ${took} ms`);
      if (!world.verdict(value).accepted) wrong.push('dead');
      holds.push({ value, until: Date.now() + Number(json['expires_in']) * 1000 });
      await delay(50);
    }
  };
  await Promise.all(Array.from({ length: 4 }, reader));
  for (const { value, until } of holds) if (world.verdict(value).until < until) wrong.push('dishonest');
  if (holds.length < 500) wrong.push(`only ${holds.length} reads`);
  if (world.mints(APPID, endpoint) > 6) wrong.push(`${world.mints(APPID, endpoint)} mints`);
  await stage.strike();
  return wrong;
}
