import { ConsoleLogger, Logger, type LoggerService, StandardSchemaValidationPipe } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { AddressInfo } from 'node:net';
import { AppModule } from './app.module.js';
import { LiveConfiguration } from './config/live-configuration.js';
import type { Environment } from './config/secret-reader.js';
import { SteadyClock } from './credentials/clock.js';
import { CredentialsService } from './credentials/credentials.service.js';
import { EmbeddedStore } from './credentials/store/embedded.store.js';
import { HubAdapter } from './http/hub.adapter.js';
import { JsonBody } from './http/json-body.js';
import { ProblemFilter } from './http/problem.filter.js';
import { malformed } from './http/query.js';
import { PLATFORMS } from './wechat/platforms/index.js';
import type { App } from './wechat/platforms/platform.js';

/** Well below Kubernetes' 30 s: the longest chain of calls to WeChat, a dead token's ticket, ends before. */
const PATIENCE_MS = 25_000;

/** What the framework says of itself while it starts; nobody at three in the morning wants to read past it. */
const FRAMEWORK = ['InstanceLoader', 'NestApplication', 'NestFactory', 'RouterExplorer', 'RoutesResolver'];

/** The log of the hub: lines for people on a terminal, JSON for machines elsewhere. */
class HubLogger extends ConsoleLogger {
  constructor() {
    super({ json: !process.stdout.isTTY });
  }

  override log(message: unknown, context?: string): void {
    if (context === undefined || !FRAMEWORK.includes(context)) super.log(message, context);
  }
}

/** Leaves `__proto__` and `constructor` where a schema can refuse them; Nest would drop them unseen. */
class StrictPipe extends StandardSchemaValidationPipe {
  protected override stripProtoKeys(): void {
    // Nothing of ours merges what clients send into other objects.
  }
}

/** A hub that listens. */
export class Hub {
  private readonly logger = new Logger('Hub');

  private constructor(
    private readonly app: NestExpressApplication,
    private readonly adapter: HubAdapter,
    private readonly configuration: LiveConfiguration<App>,
    /** The port it listens on. */
    readonly port: number,
  ) {}

  /**
   * Reads the configuration, opens the store and listens.
   * @throws ConfigurationError, StoreRefused, or the system's error when the port is taken.
   */
  static async start(environment: Environment, logger: LoggerService | false = new HubLogger()): Promise<Hub> {
    const configuration = LiveConfiguration.read(environment, PLATFORMS);
    const { dataDir, storeKeys, port } = configuration.current.settings;
    // Ahead of the framework, which would wrap the reason for a refusal into a report of its own.
    const clock = new SteadyClock();
    const store = EmbeddedStore.open(dataDir, clock, storeKeys);
    const adapter = new HubAdapter();
    const app = await NestFactory.create<NestExpressApplication>(AppModule.of(configuration, clock, store), adapter, {
      logger,
      bodyParser: false,
      abortOnError: false,
    });
    try {
      const credentials = app.get(CredentialsService);
      await credentials.apply(configuration.current.apps);
      app.useGlobalInterceptors(new JsonBody());
      app.useGlobalPipes(new StrictPipe({ exceptionFactory: malformed }));
      app.useGlobalFilters(new ProblemFilter(() => credentials.clock.now()));
      await app.init();
      await app.listen(port);
    } catch (error) {
      await app.close();
      throw error;
    }
    const hub = new Hub(app, adapter, configuration, (app.getHttpServer().address() as AddressInfo).port);
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
    await this.app.close();
  }

  private followConfiguration(): void {
    const { warnings, apps, clients } = this.configuration.current;
    for (const warning of warnings) this.logger.warn(warning);
    this.logger.log(`Listening on port ${this.port}, for ${apps.size} app(s) and ${clients.size} client(s).`);
    this.configuration.onChange((change) => {
      if ('refused' in change) {
        this.logger.error(
          `The new configuration is refused, the present one stays in force. ${change.refused.message}`,
        );
        return;
      }
      this.app
        .get(CredentialsService)
        .apply(this.configuration.current.apps)
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
}
