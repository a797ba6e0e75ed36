import type { OpenAPIObject } from '@nestjs/swagger';
import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module.js';
import { Audit } from './audit/audit.js';
import { KeyRing } from './auth/key-ring.js';
import { VerifiedTokens } from './auth/verified-tokens.js';
import { Verifier } from './auth/verifier.js';
import { LiveConfiguration } from './config/live-configuration.js';
import { newKey } from './config/random-keys.js';
import { SteadyClock } from './credentials/clock.js';
import { Journal } from './credentials/journal.js';
import { MemoryStore } from './credentials/store/memory.store.js';
import { sourceAddressOf, sourceNetworkOf } from './http/source-address.js';
import { versionOfHub } from './hub.js';
import { Metrics } from './metrics/metrics.js';
import { documentOf } from './openapi/document.js';
import { PLATFORMS } from './wechat/platforms/index.js';

/**
 * Describes the hub when it is built, from its routes as the framework finds them: what reads them is slow to load and large, and
 * no hub that runs needs it.
 * @throws if there is a route that nobody has described.
 */
export async function describeHub(): Promise<OpenAPIObject> {
  const environment = { APPID: 'wx0123456789abcdef', APPSECRET: newKey(), JWT_KEY_web: newKey() };
  const configuration = LiveConfiguration.read(environment, PLATFORMS);
  const clock = new SteadyClock();
  const journal = new Journal();
  const tell = journal.tell.bind(journal);
  const ring = new KeyRing(configuration, () => {
    throw new Error('nobody has an issuer here');
  });
  const version = versionOfHub();
  const foundations = {
    configuration,
    clock,
    journal,
    ring,
    store: new MemoryStore(clock),
    audit: await Audit.open(undefined, { sourceAddressOf, sourceNetworkOf, tell }),
    verifier: new Verifier(configuration, ring, new VerifiedTokens(configuration, ring)),
    metrics: new Metrics(() => clock.now(), version),
  };
  // A preview has its routes, and nothing that runs.
  const app = await NestFactory.create(AppModule.of(foundations), { preview: true, logger: false });
  return documentOf(app, version);
}
