import { CredentialsService } from '../src/credentials/credentials.service.js';
import { SteadyClock } from '../src/credentials/clock.js';
import { MemoryStore } from '../src/credentials/store/memory.store.js';
import { accounts, ALL_KINDS, freshEntry } from './accounts.js';
import { type Spread, spread } from './figures.js';

const CALLS = 50_000;

/** What a look for what is due costs where nothing is. */
export interface TickCost {
  readonly credentials: number;
  readonly nanoseconds: Spread;
  /** As a multiple of the first one's in the same round. */
  readonly timesFirst: Spread;
}

/** Measures the cron's tick with so many credentials loaded, in rounds that take turns. */
export async function tick(loads: readonly number[], rounds: number): Promise<TickCost[]> {
  const services: CredentialsService[] = [];
  for (const credentials of loads) services.push(await serviceWith(credentials));
  const results = loads.map((): number[] => []);
  for (const service of services) measure(service);
  for (let round = 0; round < rounds; round += 1) {
    for (const [i, service] of services.entries()) results[i]?.push(measure(service));
  }
  return loads.map((credentials, i) => ({
    credentials,
    nanoseconds: spread(results[i] ?? []),
    timesFirst: spread(results[i]?.map((nanoseconds, round) => nanoseconds / (results[0]?.[round] ?? NaN)) ?? []),
  }));
}

/** A service with so many credentials in hand, for as many official accounts as that takes. */
async function serviceWith(credentials: number): Promise<CredentialsService> {
  const apps = accounts(Math.ceil(credentials / ALL_KINDS.length));
  const names = [...apps.values()].flatMap(({ identity }) => ALL_KINDS.map((kind) => `${identity}/${kind}`));
  const clock = new SteadyClock();
  const store = new MemoryStore(clock);
  for (const name of names.slice(0, credentials)) store.restore(name, freshEntry());
  const fault = (what: string) => (): never => {
    throw new Error(`${what}, though nothing is due`);
  };
  const surroundings = {
    clock,
    replica: 'bench',
    store,
    wechat: { call: fault('WeChat was asked') },
    random: Math.random,
    sleep: fault('somebody waits'),
    tell: fault('something happened'),
  };
  const service = new CredentialsService(surroundings, { burst: 3, everyMs: 30_000 });
  await service.apply(apps);
  const inHand = [...service.all.values()].flatMap(({ sources }) => sources).filter(({ current }) => current);
  if (inHand.length !== credentials) throw new Error(`${inHand.length} credentials are loaded, not ${credentials}`);
  return service;
}

/** Nanoseconds per call. */
function measure(service: CredentialsService): number {
  const startedAt = performance.now();
  for (let call = 0; call < CALLS; call += 1) service.renewDue();
  return ((performance.now() - startedAt) * 1e6) / CALLS;
}
