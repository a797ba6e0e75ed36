import { setTimeout as delay } from 'node:timers/promises';
import type { Settings } from './config/environment.js';
import { LiveConfiguration } from './config/live-configuration.js';
import { prefixIn } from './config/redis-settings.js';
import type { Environment } from './config/secret-reader.js';
import { SteadyClock } from './credentials/clock.js';
import { givenKeys } from './credentials/store/cipher.js';
import { EmbeddedStore } from './credentials/store/embedded.store.js';
import { RedisConnection } from './credentials/store/redis.connection.js';
import { type Rekeyed, rekeyRedis } from './credentials/store/rekey.js';
import { StoreRefused, StoreUnreachable } from './credentials/store/store.js';
import { PLATFORMS } from './wechat/platforms/index.js';

const PATIENCE_MS = 3000;
const AGAIN_MS = 100;

/**
 * Seals all that is stored with the newest key of STORE_KEY, in the environment of a hub, and says what came of it.
 * @throws ConfigurationError, StoreUnreachable, or StoreRefused, for one when a hub is using the folder: that does it by
 *   itself at its start.
 */
export async function rekey(environment: Environment): Promise<string> {
  const { settings } = LiveConfiguration.read(environment, PLATFORMS).current;
  const { records, resealed, unopened } = await rekeyStore(settings);
  const report = `${records} record(s), ${resealed} of them sealed anew with the newest key`;
  if (unopened.length === 0) return `${report}. Nothing needs an older key any more.`;
  throw new StoreRefused(
    `${report}, but these could not be opened and are as they were: ${unopened.join(', ')}. Add the key that sealed them to STORE_KEY; what nobody can open, the hub replaces when it is needed.`,
  );
}

async function rekeyStore({ redis, redisPrefix, dataDir, storeKeys }: Settings): Promise<Rekeyed> {
  if (!storeKeys) throw new StoreRefused('STORE_KEY is not set, so there is no newer key to seal with.');
  if (redis) {
    const connection = new RedisConnection(redis);
    try {
      return await oncePossible(() => rekeyRedis(connection, prefixIn(redis, redisPrefix), givenKeys(storeKeys)));
    } finally {
      await connection.close();
    }
  }
  const store = EmbeddedStore.open(dataDir, new SteadyClock(), storeKeys);
  try {
    return await store.rekeyed;
  } finally {
    await store.close();
  }
}

/** A connection takes a moment. */
async function oncePossible<T>(work: () => Promise<T>): Promise<T> {
  const patience = AbortSignal.timeout(PATIENCE_MS);
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof StoreUnreachable) || patience.aborted) throw error;
      await delay(AGAIN_MS);
    }
  }
}
