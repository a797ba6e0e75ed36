import { mkdtempSync, rmSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { ask, KEY, KID } from './client.js';
import { type Spread, spread } from './figures.js';
import { Ground } from './filled.js';
import { fromCheckout, Program } from './program.js';

/**
 * Until a hub that nobody asks anything is taken for idle. V8 clears away what the start has left when nothing has happened
 * for some eight seconds; before that it is garbage, eleven megabytes of it.
 */
const IDLE_MS = 12_000;

/** What a hub with one app takes to be there. */
export interface Boot {
  /** From the start of the process to the first answer that it is ready. */
  readonly readyMs: Spread;
  /** Resident, in MB, when it has been idle for a while. */
  readonly idleMb: Spread;
}

/** Measures so many starts of a hub with one app and an empty store. */
export async function boot(rounds: number): Promise<Boot> {
  const [ready, idle]: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round += 1) {
    const folder = mkdtempSync(fromCheckout('build/bench-'));
    try {
      const startedAt = performance.now();
      const hub = await Program.start('dist/main.js', [], {
        PORT: '0',
        APPID: 'wx0123456789abcdef',
        APPSECRET: 'no secret of anybody',
        DATA_DIR: folder,
        [`JWT_KEY_${KID}`]: KEY,
        WECHAT_API_ROOT: 'http://127.0.0.1:9',
      });
      try {
        const { status } = await fetch(`${hub.url}/health/ready`);
        if (status !== 200) throw new Error(`the hub answered ${status}`);
        ready.push(performance.now() - startedAt);
        await delay(IDLE_MS);
        idle.push(hub.residentMb());
      } finally {
        await hub.stop();
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
  return { readyMs: spread(ready), idleMb: spread(idle) };
}

/** Milliseconds from the start of a process to the first ticket that it gives, with so many credentials in its store. */
export async function loadedBoot(credentials: number, rounds: number): Promise<Spread> {
  const ground = await Ground.filled(credentials);
  const took: number[] = [];
  try {
    for (let round = 0; round < rounds; round += 1) {
      const startedAt = performance.now();
      const hub = await Program.start('dist/main.js', [], ground.environment);
      try {
        // Nobody answers for WeChat: it comes from the store.
        await ask(`${hub.url}/apps/app-0/ticket?type=jsapi`);
        took.push(performance.now() - startedAt);
      } finally {
        await hub.stop();
      }
    }
  } finally {
    ground.remove();
  }
  return spread(took);
}
