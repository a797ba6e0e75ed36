import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { load, type Round } from './burst.js';
import { ask, KEY, KID } from './client.js';
import { type Spread, spread } from './figures.js';
import { fromCheckout, OPEN, Program } from './program.js';

const PATH = '/access-token';

/** What it costs a hub to know who asks, and to keep records of it. */
export interface AuditCost {
  readonly hub: string;
  readonly requestsPerSecond: Spread;
  /** The same as a part of what a hub that knows and records nothing answers in the same round. */
  readonly ofNeither: Spread;
  readonly cpuMicroseconds: Spread;
}

/** Reads a token from hubs that differ in their authentication and audit alone, in turns. */
export async function audit(rounds: number, seconds: number): Promise<AuditCost[]> {
  const folder = mkdtempSync(fromCheckout('build/bench-'));
  const running: Program[] = [];
  try {
    const wechat = await Program.start('build/bench/stand-ins.js', ['wechat']);
    running.push(wechat);
    const start = async (name: string, more: Readonly<Record<string, string>> = {}): Promise<Program> => {
      const hub = await Program.start('dist/main.js', [], {
        PORT: '0',
        WECHAT_API_ROOT: wechat.url,
        DATA_DIR: join(folder, name),
        APPID: 'wx0000000000000001',
        APPSECRET: 'no secret of anybody',
        [`JWT_KEY_${KID}`]: KEY,
        ...more,
      });
      running.push(hub);
      await ask(hub.url + PATH);
      await load(hub, { path: PATH, extent: { seconds } });
      // A door that is not what it is meant to be would make figures of nothing.
      const { status } = await fetch(hub.url + PATH);
      if (status !== (more === OPEN ? 200 : 401)) throw new Error(`${name}: nobody was answered with ${status}`);
      return hub;
    };
    const keyed = { AUDIT_KEY: randomBytes(32).toString('base64') };
    const hubs = [
      { name: 'neither', hub: await start('neither', OPEN) },
      { name: 'authentication', hub: await start('auth') },
      {
        name: 'and an audit in a file',
        hub: await start('file', { ...keyed, AUDIT_FILE: join(folder, 'audit.jsonl') }),
      },
      {
        name: 'and each batch synced to the disk',
        hub: await start('required', { ...keyed, AUDIT_FILE: join(folder, 'required.jsonl'), AUDIT_REQUIRED: 'true' }),
      },
    ];
    const results = hubs.map((): Round[] => []);
    for (let round = 0; round < rounds; round += 1) {
      for (const [i, { hub }] of hubs.entries()) results[i]?.push(await load(hub, { path: PATH, extent: { seconds } }));
    }
    return hubs.map(({ name }, i) => {
      const own = results[i] ?? [];
      const neither = (turn: number): number => results[0]?.[turn]?.requestsPerSecond ?? NaN;
      return {
        hub: name,
        requestsPerSecond: spread(own.map(({ requestsPerSecond }) => requestsPerSecond)),
        ofNeither: spread(own.map(({ requestsPerSecond }, turn) => requestsPerSecond / neither(turn))),
        cpuMicroseconds: spread(own.map(({ cpuMicroseconds }) => cpuMicroseconds)),
      };
    });
  } finally {
    await Promise.all(running.map((program) => program.stop()));
    rmSync(folder, { recursive: true, force: true });
  }
}
