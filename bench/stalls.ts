import { setTimeout as delay } from 'node:timers/promises';
import { BEARER, askAll } from './client.js';
import { Ground } from './filled.js';
import { WATCHED, Program } from './program.js';

/** What a hub does when it is asked for nothing: its clockwork ticks twice a second. */
const QUIET_MS = 3000;
/** Long enough to see that a file has changed, and to take it over. */
const RELOAD_MS = 4000;

/** The longest that the event loop of a hub was kept by something else than the next request, in milliseconds. */
export interface Stall {
  readonly meanwhile: string;
  readonly longestMs: number;
  readonly tookMs: number;
}

/**
 * Measures how long a hub with so many credentials lets others wait, while it does what goes through all of them.
 * @param minted how many new credentials it is asked for at the end, each of which it has to get.
 */
export async function stalls(credentials: number, minted: number): Promise<Stall[]> {
  const found: Stall[] = [];
  const ground = await Ground.filled(credentials);
  const wechat = await Program.start('build/bench/stand-ins.js', ['wechat']);
  const hub = await Program.start('dist/main.js', [], {
    ...ground.environment,
    ...WATCHED,
    WECHAT_API_ROOT: wechat.url,
  });
  const watch = async (meanwhile: string, work: () => Promise<unknown>): Promise<void> => {
    await hub.longestStallMs();
    const startedAt = performance.now();
    await work();
    const tookMs = performance.now() - startedAt;
    found.push({ meanwhile, longestMs: await hub.longestStallMs(), tookMs });
  };
  try {
    await delay(QUIET_MS);
    await watch('the clockwork ticks', () => delay(QUIET_MS));
    await watch('/metrics is scraped', () => read(`${hub.url}/metrics`));
    await watch('/health/ready is asked', () => read(`${hub.url}/health/ready`));
    await watch('/apps is asked', () => read(`${hub.url}/apps`));
    await watch(`${minted} tickets are got from WeChat`, () =>
      askAll(Array.from({ length: minted }, (_, i) => `${hub.url}/apps/app-${i}/ticket?type=wx_card`)),
    );
    await watch('the configuration is read anew, one app changed', () => {
      ground.changeOne('app-0');
      return delay(RELOAD_MS);
    });
    return found;
  } finally {
    await hub.stop();
    await wechat.stop();
    ground.remove();
  }
}

async function read(address: string): Promise<void> {
  const answer = await fetch(address, { headers: { Authorization: BEARER } });
  await answer.text();
  if (answer.status !== 200) throw new Error(`${address} was answered with ${answer.status}`);
}
