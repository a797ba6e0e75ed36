import { mkdtempSync, rmSync } from 'node:fs';
import { SteadyClock } from '../src/credentials/clock.js';
import { EmbeddedStore } from '../src/credentials/store/embedded.store.js';
import { freshEntry } from './accounts.js';
import { type Spread, spread } from './figures.js';
import { fromCheckout } from './program.js';

/** Saves at once when a full load is written. */
const BATCH = 1000;
const SAVES = 200;
const clock = new SteadyClock();
const nameOf = (i: number): string => `weixin/wx${i}/classic/access-token`;

/** How fast the embedded store is, on the disk that holds the checkout. */
export interface StoreSpeed {
  /** Entries saved durably per second, by how many are saved at once. */
  readonly savedPerSecond: ReadonlyMap<number, Spread>;
  /** From the opening to every entry in hand. */
  readonly loadMs: Spread;
}

/** Measures the embedded store: saves alone and in company, and the load of so many entries. */
export async function store(entries: number, companies: readonly number[], rounds: number): Promise<StoreSpeed> {
  const folder = mkdtempSync(fromCheckout('build/bench-'));
  try {
    const savedPerSecond = await saving(folder, companies, rounds);
    await write(folder, entries);
    const loads: number[] = [];
    for (let round = 0; round < rounds; round += 1) loads.push(await loading(folder, entries));
    return { savedPerSecond, loadMs: spread(loads) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function saving(folder: string, companies: readonly number[], rounds: number): Promise<Map<number, Spread>> {
  const opened = EmbeddedStore.open(folder, clock);
  const speeds = companies.map((): number[] => []);
  for (let round = 0; round < rounds; round += 1) {
    for (const [i, company] of companies.entries()) {
      const saves = Math.max(SAVES, company);
      const startedAt = performance.now();
      await saveMany(opened, saves, company);
      speeds[i]?.push((saves / (performance.now() - startedAt)) * 1000);
    }
  }
  await opened.close();
  return new Map(companies.map((company, i) => [company, spread(speeds[i] ?? [])]));
}

async function write(folder: string, entries: number): Promise<void> {
  const opened = EmbeddedStore.open(folder, clock);
  await saveMany(opened, entries, BATCH);
  await opened.close();
}

async function loading(folder: string, entries: number): Promise<number> {
  const startedAt = performance.now();
  const opened = EmbeddedStore.open(folder, clock);
  const { size } = await opened.load(Array.from({ length: entries }, (_, i) => nameOf(i)));
  const tookMs = performance.now() - startedAt;
  await opened.close();
  if (size !== entries) throw new Error(`${size} entries were loaded, not ${entries}`);
  return tookMs;
}

/** Saves entries under names of their own, so many at once: each batch waits for the one before. */
async function saveMany(opened: EmbeddedStore, count: number, atOnce: number): Promise<void> {
  for (let first = 0; first < count; first += atOnce) {
    const batch = Array.from({ length: Math.min(atOnce, count - first) }, (_, i) => first + i);
    await Promise.all(batch.map((i) => save(opened, nameOf(i))));
  }
}

async function save(opened: EmbeddedStore, name: string): Promise<void> {
  const { revision = 0 } = (await opened.load([name])).get(name) ?? {};
  const { kept, fault } = await opened.put(name, revision, freshEntry());
  if (!kept || fault) throw new Error('an entry was not saved', { cause: fault });
}
