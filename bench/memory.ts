import { STORED_KINDS, writtenAccounts } from './accounts.js';
import { ask, askAll } from './client.js';
import { Ground } from './filled.js';
import { COLLECTABLE, Program } from './program.js';

/** What a hub needs that has so many apps, in MB and milliseconds. */
export interface Footprint {
  readonly apps: number;
  /** Of the hub that got the credentials from WeChat, right after the last one; absent where the store was filled. */
  readonly fetchedMb: number | undefined;
  /** From the start of the process to the first token, which comes from the store. */
  readonly firstTokenMs: number;
  /** The most until then. */
  readonly bootPeakMb: number;
  /** After credentials were read: what is in use, and what V8 has not yet cleared away. */
  readonly servedMb: number;
  /** The same without what is not in use. */
  readonly collectedMb: number;
}

/**
 * Measures a hub that starts with an access token and a ticket in its store for each of so many official accounts.
 *
 * @param origin whether WeChat was asked for each of them, or the store was filled as if.
 * @param reads how many of the credentials are read at most, before the memory is measured.
 */
export async function footprint(apps: number, origin: 'fetched' | 'filled', reads: number): Promise<Footprint> {
  const ground = origin === 'filled' ? await Ground.filled(apps * STORED_KINDS.length) : new Ground(apps);
  try {
    const environment = { ...ground.environment, ...COLLECTABLE };
    const paths = [...writtenAccounts(apps, '').keys()].flatMap((name) => [
      `/apps/${name}/access-token`,
      `/apps/${name}/ticket?type=jsapi`,
    ]);
    let fetchedMb: number | undefined;
    if (origin === 'fetched') fetchedMb = await fetchAll(environment, paths);
    const startedAt = performance.now();
    // Nobody answers for WeChat any more: what is served now was stored.
    const hub = await Program.start('dist/main.js', [], environment);
    try {
      await ask(hub.url + (paths.at(-2) ?? ''));
      const firstTokenMs = performance.now() - startedAt;
      const bootPeakMb = hub.residentMb('most');
      await askAll(paths.slice(0, reads).map((path) => hub.url + path));
      const servedMb = hub.residentMb();
      return { apps, fetchedMb, firstTokenMs, bootPeakMb, servedMb, collectedMb: await hub.collectedMb() };
    } finally {
      await hub.stop();
    }
  } finally {
    ground.remove();
  }
}

/** What so many credentials weigh, in MB, in a hub that has started from its store and was asked for none. */
export interface Weight {
  readonly credentials: number;
  /** What the heap has in use, and what of the machine's memory the process has then. */
  readonly heapMb: number;
  readonly residentMb: number;
  /** The same less what it is with one credential, in bytes per credential. */
  readonly heapBytesEach: number;
  readonly residentBytesEach: number;
}

/** Measures hubs with so many credentials in their stores, the first of which is what the others are compared with. */
export async function weights(loads: readonly number[]): Promise<Weight[]> {
  const found: Weight[] = [];
  for (const credentials of loads) {
    const ground = await Ground.filled(credentials);
    try {
      const hub = await Program.start('dist/main.js', [], { ...ground.environment, ...COLLECTABLE });
      try {
        const heapMb = await hub.heapMb();
        const residentMb = await hub.collectedMb();
        const { heapMb: heapBefore = heapMb, residentMb: residentBefore = residentMb } = found[0] ?? {};
        found.push({
          credentials,
          heapMb,
          residentMb,
          heapBytesEach: ((heapMb - heapBefore) * 1e6) / credentials,
          residentBytesEach: ((residentMb - residentBefore) * 1e6) / credentials,
        });
      } finally {
        await hub.stop();
      }
    } finally {
      ground.remove();
    }
  }
  return found;
}

async function fetchAll(environment: Readonly<Record<string, string>>, paths: readonly string[]): Promise<number> {
  const wechat = await Program.start('build/bench/stand-ins.js', ['wechat']);
  try {
    const hub = await Program.start('dist/main.js', [], { ...environment, WECHAT_API_ROOT: wechat.url });
    try {
      await askAll(paths.map((path) => hub.url + path));
      return hub.residentMb();
    } finally {
      await hub.stop();
    }
  } finally {
    await wechat.stop();
  }
}
