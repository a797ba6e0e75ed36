import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SteadyClock } from '../src/credentials/clock.js';
import { EmbeddedStore } from '../src/credentials/store/embedded.store.js';
import { accounts, freshEntry, STORED_KINDS, writtenAccounts } from './accounts.js';
import { ask, askAll, KEY, KID } from './client.js';
import { COLLECTABLE, fromCheckout, Program } from './program.js';

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
  const folder = mkdtempSync(fromCheckout('build/bench-'));
  try {
    const environment = configuration(apps, folder);
    const paths = [...writtenAccounts(apps, '').keys()].flatMap((name) => [
      `/apps/${name}/access-token`,
      `/apps/${name}/ticket?type=jsapi`,
    ]);
    let fetchedMb: number | undefined;
    if (origin === 'fetched') fetchedMb = await fetchAll(environment, paths);
    else await fill(apps, folder);
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
    rmSync(folder, { recursive: true, force: true });
  }
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

async function fill(apps: number, folder: string): Promise<void> {
  const store = EmbeddedStore.open(folder, new SteadyClock());
  const names = [...accounts(apps).values()].flatMap(({ identity }) =>
    STORED_KINDS.map((kind) => `${identity}/${kind}`),
  );
  await Promise.all(names.map((name) => store.put(name, 0, freshEntry())));
  await store.close();
}

/** The environment of a hub with so many apps, whose configuration file lies in its data folder. */
function configuration(apps: number, folder: string): Record<string, string> {
  const path = join(folder, 'hub.json');
  writeFileSync(path, JSON.stringify({ apps: Object.fromEntries(writtenAccounts(apps, 'APP_SECRET')) }));
  return {
    ...COLLECTABLE,
    PORT: '0',
    HUB_CONFIG: path,
    APP_SECRET: 'no secret of anybody',
    DATA_DIR: folder,
    [`JWT_KEY_${KID}`]: KEY,
    WECHAT_API_ROOT: 'http://127.0.0.1:9',
  };
}
