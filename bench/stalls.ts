import { execFile } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { BEARER } from './client.js';
import { type Spread, spread } from './figures.js';
import { Ground } from './filled.js';
import { fromCheckout, Program, WATCHED } from './program.js';

/** What a hub does when it is asked for nothing: its clockwork ticks twice a second. */
const QUIET_MS = 3000;
/** Long enough to see that a file has changed, and to take it over. */
const RELOAD_MS = 4000;

/** What no compiler has seen yet takes ten times as long, once: so many credentials are got before it counts. */
const FIRST_MINTED = 500;

/** The longest that the event loop of a hub was kept by something else than the next request, in milliseconds. */
export interface Stall {
  readonly meanwhile: string;
  readonly longestMs: Spread;
  readonly tookMs: Spread;
}

/**
 * Measures how long a hub with so many credentials lets others wait, while it does what goes through all of them.
 * @param rounds how often each is done: what else the machine does keeps the event loop, too.
 * @param minted how many new credentials it is asked for at the end of a round, each of which it has to get.
 */
export async function stalls(
  credentials: number,
  { rounds, minted }: { rounds: number; minted: number },
): Promise<Stall[]> {
  const longest = new Map<string, number[]>();
  const took = new Map<string, number[]>();
  const ground = await Ground.filled(credentials);
  const wechat = await Program.start('build/bench/stand-ins.js', ['wechat']);
  wechat.giveWay();
  const hub = await Program.start('dist/main.js', [], {
    ...ground.environment,
    ...WATCHED,
    WECHAT_API_ROOT: wechat.url,
  });
  const watch = async (meanwhile: string, work: () => Promise<unknown>): Promise<void> => {
    await hub.longestStallMs();
    const startedAt = performance.now();
    await work();
    const ms = performance.now() - startedAt;
    longest.set(meanwhile, [...(longest.get(meanwhile) ?? []), await hub.longestStallMs()]);
    took.set(meanwhile, [...(took.get(meanwhile) ?? []), ms]);
  };
  let asked = 0;
  const getTickets = async (count: number): Promise<void> => {
    const asker = fromCheckout('build/bench/ticket-asker.js');
    await promisify(execFile)(process.execPath, [asker, hub.url, `${asked}`, `${count}`]);
    asked += count;
  };
  try {
    await delay(QUIET_MS);
    await getTickets(FIRST_MINTED);
    for (let round = 0; round < rounds; round += 1) {
      await watch('the clockwork ticks', () => delay(QUIET_MS));
      await watch('/metrics is scraped', () => read(`${hub.url}/metrics`));
      await watch('/health/ready is asked', () => read(`${hub.url}/health/ready`));
      await watch('/apps is asked', () => read(`${hub.url}/apps`));
      await watch(`${minted} tickets are got from WeChat`, () => getTickets(minted));
      await watch('the configuration is read anew, one app changed', () => {
        ground.changeOne(`app-${round}`);
        return delay(RELOAD_MS);
      });
    }
    return [...longest].map(([meanwhile, each]) => ({
      meanwhile,
      longestMs: spread(each),
      tookMs: spread(took.get(meanwhile) ?? []),
    }));
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
