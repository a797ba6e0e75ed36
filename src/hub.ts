import { Logger, type LoggerService, StandardSchemaValidationPipe } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { AppModule } from './app.module.js';
import { Audit } from './audit/audit.js';
import { keySetOf } from './auth/jwks.js';
import { KeyRing } from './auth/key-ring.js';
import { VerifiedTokens } from './auth/verified-tokens.js';
import { Verifier } from './auth/verifier.js';
import { type Change, changesBetween } from './config/changes.js';
import type { Settings } from './config/environment.js';
import { LiveConfiguration } from './config/live-configuration.js';
import { prefixIn } from './config/redis-settings.js';
import type { Environment } from './config/secret-reader.js';
import { auditedOf } from './credentials/audited.js';
import { lineOf } from './credentials/chronicle.js';
import { type Clock, SteadyClock } from './credentials/clock.js';
import { CredentialsService } from './credentials/credentials.service.js';
import { HandOuts } from './credentials/hand-outs.js';
import { type HubEvent, Journal } from './credentials/journal.js';
import type { RedisStore } from './credentials/store/redis.store.js';
import { type Store, type StoreEvent, StoreUnreachable } from './credentials/store/store.js';
import { ClientBudgets } from './http/client-budgets.js';
import { HubAdapter } from './http/hub.adapter.js';
import { JsonBody } from './http/json-body.js';
import { ProblemFilter } from './http/problem.filter.js';
import { malformed } from './http/query.js';
import { ReadLane } from './http/read-lane.js';
import { RefusedLines } from './http/refused-lines.js';
import { sourceAddressOf, sourceNetworkOf } from './http/source-address.js';
import { hubLogger } from './hub.logger.js';
import { Metrics } from './metrics/metrics.js';
import { MetricsServer } from './metrics/metrics.server.js';
import { byAndBy } from './turns.js';
import { PLATFORMS } from './wechat/platforms/index.js';
import type { App } from './wechat/platforms/platform.js';

/** Well below Kubernetes' 30 s: the longest chain of calls to WeChat, a dead token's ticket, ends before. */
const PATIENCE_MS = 25_000;

/** How long a start waits for the shared store before it goes on without. */
const STORE_PATIENCE_MS = 3000;
const STORE_AGAIN_MS = 100;

/** A record stays a line that can be read; the log has all of them. */
const FAULTS_RECORDED = 10;

/** Leaves `__proto__` and `constructor` where a schema can refuse them; Nest would drop them unseen. */
class StrictPipe extends StandardSchemaValidationPipe {
  protected override stripProtoKeys(): void {
    // Nothing of ours merges what clients send into other objects.
  }
}

/**
 * Opens the store that is configured. A shared one that does not answer is waited for a little, and then in the
 * background: it is there for all hubs, and none of them can do anything about it. Only the store that is wanted is loaded: what
 * speaks to Redis is large, and a hub on its own has no use for it.
 */
async function openStore(settings: Settings, clock: Clock, journal: Journal): Promise<Store> {
  const { redis, redisPrefix, dataDir, storeKeys } = settings;
  const tell = (event: StoreEvent): void => journal.tell(event);
  if (!redis) {
    const { EmbeddedStore } = await import('./credentials/store/embedded.store.js');
    return EmbeddedStore.open(dataDir, clock, storeKeys, tell);
  }
  const { RedisConnection } = await import('./credentials/store/redis.connection.js');
  const { RedisStore } = await import('./credentials/store/redis.store.js');
  const connection = new RedisConnection(redis);
  try {
    const store = new RedisStore({ redis: connection, clock, tell }, prefixIn(redis, redisPrefix), storeKeys);
    const patience = AbortSignal.timeout(STORE_PATIENCE_MS);
    let isOpen = await isOpened(store);
    for (; !isOpen && !patience.aborted; isOpen = await isOpened(store)) await delay(STORE_AGAIN_MS);
    // Says why it is out of reach, before the hub says that it listens.
    if (!isOpen) await store.catchUp();
    return store;
  } catch (error) {
    await connection.close();
    throw error;
  }
}

async function isOpened(store: RedisStore): Promise<boolean> {
  try {
    await store.open();
    return true;
  } catch (error) {
    if (!(error instanceof StoreUnreachable)) throw error;
    return false;
  }
}

/** Opens the audit behind the store, whose lock keeps a second hub away from both. */
async function openAudit({ audit }: Settings, journal: Journal, store: Store): Promise<Audit> {
  try {
    return await Audit.open(audit, { sourceAddressOf, sourceNetworkOf, tell: (event) => journal.tell(event) });
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** Writes what happens into the log. */
function logOf(clock: Clock): (event: HubEvent) => void {
  const logger = new Logger('Credentials');
  return (event) => {
    const { level, line } = lineOf(event, clock.now());
    logger[level](line);
  };
}

/** The version of this program. */
export function versionOfHub(): string {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  return version;
}

/** A hub that listens. */
export class Hub {
  private readonly logger = new Logger('Hub');

  private constructor(
    private readonly app: NestExpressApplication,
    private readonly adapter: HubAdapter,
    private readonly configuration: LiveConfiguration<App>,
    /** Who was given what; its file may be renamed while it is written. */
    readonly audit: Audit,
    /** The port it listens on. */
    readonly port: number,
    private readonly metricsServer: MetricsServer | undefined,
  ) {}

  /** The port of the metrics, if they have one of their own. */
  get metricsPort(): number | undefined {
    return this.metricsServer?.port;
  }

  /**
   * Reads the configuration, opens the store and listens.
   * @throws ConfigurationError, StoreRefused, or the system's error when a port is taken.
   */
  static async start(environment: Environment, logger?: LoggerService | false): Promise<Hub> {
    const configuration = LiveConfiguration.read(environment, PLATFORMS);
    const { settings } = configuration.current;
    Logger.overrideLogger(logger ?? hubLogger(settings.logLevel));
    const clock = new SteadyClock();
    const journal = new Journal();
    const version = versionOfHub();
    const metrics = new Metrics(() => clock.now() + clock.drift(), version);
    journal.follow(logOf(clock));
    journal.follow((event) => metrics.count(event));
    // Ahead of the framework, which would wrap the reason for a refusal into a report of its own.
    const store = await openStore(settings, clock, journal);
    const audit = await openAudit(settings, journal, store);
    const ring = new KeyRing(configuration, (issuer) => keySetOf(issuer, (event) => journal.tell(event)));
    const verified = new VerifiedTokens(configuration, ring);
    const verifier = new Verifier(configuration, ring, verified);
    const adapter = new HubAdapter({
      settings,
      ring,
      verified,
      now: () => clock.now(),
      answered: (answered) => metrics.countAnswered(answered),
      shed: (network) => {
        metrics.countShed();
        audit.noteShed(network);
      },
      tell: (event) => journal.tell(event),
    });
    const foundations = { configuration, clock, store, journal, audit, ring, verifier, metrics };
    const app = await NestFactory.create<NestExpressApplication>(AppModule.of(foundations), adapter, {
      bodyParser: false,
      abortOnError: false,
    });
    let metricsServer: MetricsServer | undefined;
    try {
      const credentials = app.get(CredentialsService);
      const find = (name: string, kind: string) => credentials.app(name)?.source(kind)?.current;
      journal.follow((event) => {
        const record = auditedOf(event, find);
        if (record) void audit.note(record);
      });
      const { apps, clients } = configuration.current;
      await audit.note({ event: 'start', outcome: 'started', hub: version, apps: apps.size, clients: clients.size });
      await credentials.apply(configuration.current.apps);
      metrics.watch({ credentials, audit, ring, isConfigurationRefused: () => configuration.refused !== undefined });
      const budgets = app.get(ClientBudgets);
      app.useGlobalInterceptors(budgets, new JsonBody());
      app.useGlobalPipes(new StrictPipe({ exceptionFactory: malformed }));
      const errors = new ProblemFilter(() => credentials.clock.now(), audit, adapter, app.get(RefusedLines));
      app.useGlobalFilters(errors);
      adapter.openLane(new ReadLane({ verifier, budgets, handOuts: app.get(HandOuts), errors }));
      await app.init();
      if (settings.metricsPort !== undefined) {
        metricsServer = await MetricsServer.listen(settings.metricsPort, metrics);
      }
      await app.listen(settings.port);
    } catch (error) {
      await metricsServer?.close();
      await app.close();
      await audit.close('not-started');
      throw error;
    }
    const { port } = app.getHttpServer().address() as AddressInfo;
    const hub = new Hub(app, adapter, configuration, audit, port, metricsServer);
    hub.followConfiguration();
    return hub;
  }

  /**
   * Answers what came in, stores what is under way, and ends. Readiness says 503 from now on, reads of usable values
   * are still answered, and nothing new is asked of WeChat.
   */
  async stop(): Promise<void> {
    this.logger.log('Shutting down: answering what came in, storing what is under way.');
    this.configuration.stop();
    await Promise.all([this.app.get(CredentialsService).drain(), this.adapter.finish(PATIENCE_MS)]);
    await this.metricsServer?.close();
    await this.app.close();
    await this.audit.close('stopped');
  }

  private followConfiguration(): void {
    const { warnings, apps, clients, settings } = this.configuration.current;
    for (const warning of warnings) this.logger.warn(warning);
    const tls = settings.tls ? ' by TLS' : '';
    const metrics = this.metricsPort === undefined ? '' : ` (metrics on ${this.metricsPort})`;
    this.logger.log(
      `Listening on port ${this.port}${tls}${metrics}, for ${apps.size} app(s) and ${clients.size} client(s).`,
    );
    let before = this.configuration.current;
    this.configuration.onChange((change) => {
      if ('refused' in change) {
        const { faults } = change.refused;
        void this.audit.note({ event: 'configuration', outcome: 'refused', faults: faults.slice(0, FAULTS_RECORDED) });
        this.logger.error(
          `The new configuration is refused, the present one stays in force. ${change.refused.message}`,
        );
        return;
      }
      const { current } = this.configuration;
      void this.recordChanges(byAndBy(changesBetween(before, current)));
      before = current;
      const { tls } = current.settings;
      if (tls) this.adapter.renewTls(tls);
      this.app
        .get(CredentialsService)
        .apply(current.apps)
        .then(
          () => {
            this.logger.log('The new configuration is in force.');
          },
          (error: unknown) => {
            this.logger.error(
              `The new configuration could not take effect: ${error instanceof Error ? error.message : ''}`,
            );
          },
        );
    });
    this.configuration.follow();
  }

  /** One after another: ten thousand new apps must not push out what clients wait for. */
  private async recordChanges(changes: Promise<readonly Change[]>): Promise<void> {
    await this.audit.note({ event: 'configuration', outcome: 'accepted' });
    for (const change of await changes) await this.audit.note({ ...change, outcome: 'in-force' });
  }
}
