import { dirname, resolve } from 'node:path';
import type { z } from 'zod';
import { type Client, ClientReader, type Issuer } from './clients.js';
import { environmentKids, readSettings, type Settings } from './environment.js';
import { Faults } from './faults.js';
import { redisBlock, type RedisSettings } from './redis-settings.js';
import {
  addIssues,
  APP_NAME,
  hubFileOf,
  type SecretReference,
  secretSchema,
  writtenApp,
  type WrittenApp,
} from './hub-file.js';
import { type HubText, readHubText, readHubTextAside } from './hub-text.js';
import { type Environment, SecretReader } from './secret-reader.js';
import type { Secret } from './secret.js';
import { byAndBy, inOneGo, type Steps } from '../turns.js';

/**
 * How the apps of one platform are written in the configuration. A schema yields the app itself (`A`), so that a
 * platform stays one file and this reader knows none of them.
 */
export interface PlatformSchema<A extends { readonly identity: string }> {
  readonly name: string;
  readonly schema: (secret: z.ZodType<Secret>) => z.ZodType<A>;
}

/** So many apps or clients are checked in one turn of the event loop: each may take a tenth of a millisecond. */
const READ_AT_ONCE = 25;

/** All that the operator configured, checked, with every secret read. */
export interface Configuration<A> {
  readonly settings: Settings;
  readonly apps: ReadonlyMap<string, A>;
  /** The clients by name, which is the kid of those with keys of their own. */
  readonly clients: ReadonlyMap<string, Client>;
  /** Those who make tokens for some of them, by the `iss` of these tokens. */
  readonly issuers: ReadonlyMap<string, Issuer>;
  /** What the operator should know though the hub starts all the same. */
  readonly warnings: readonly string[];
  /** The files that were read: a change of one of them is a new configuration. */
  readonly files: ReadonlySet<string>;
}

/** The app that the original's settings `APPID` and `APPSECRET` describe. */
export const DEFAULT_APP = 'default';

/**
 * Reads the environment, the configuration file and every secret they name, in one go.
 * @throws ConfigurationError with every fault at once; it names settings and never a value.
 */
export function readConfiguration<A extends { readonly identity: string }>(
  environment: Environment,
  platforms: readonly PlatformSchema<A>[],
): Configuration<A> {
  const { HUB_CONFIG: path } = environment;
  return inOneGo(reading(environment, platforms, path === undefined ? undefined : readHubText(path)));
}

/** Does the same while clients are served: ten thousand apps do not let them wait. @throws ConfigurationError */
export async function readConfigurationAside<A extends { readonly identity: string }>(
  environment: Environment,
  platforms: readonly PlatformSchema<A>[],
): Promise<Configuration<A>> {
  const { HUB_CONFIG: path } = environment;
  const text = path === undefined ? undefined : await readHubTextAside(path);
  return byAndBy(reading(environment, platforms, text), READ_AT_ONCE);
}

function* reading<A extends { readonly identity: string }>(
  environment: Environment,
  platforms: readonly PlatformSchema<A>[],
  text: HubText | undefined,
): Steps<Configuration<A>> {
  const faults = new Faults();
  const secrets = new SecretReader(environment);
  const warnings: string[] = [];
  const settings = readSettings(environment, secrets, faults);

  const path = environment['HUB_CONFIG'];
  const folder = path === undefined ? process.cwd() : dirname(resolve(path));
  const read = (reference: SecretReference): Secret => secrets.referred(reference, folder);

  const apps = new AppReader(platforms, secretSchema(read), faults);
  for (const some of text && 'apps' in text ? text.apps : []) {
    for (const [name, written] of Object.entries(some)) {
      apps.addWritten(name, written, `HUB_CONFIG.apps.${name}`);
      yield;
    }
  }
  addDefaultApp(environment, secrets, apps, warnings);

  const file = text && hubFileOf(text, faults);
  const redis = readRedis(file?.redis, redisBlock(secretSchema(read)), settings, faults);

  const source = { environment, secrets, folder, strict: settings?.authStrict ?? false };
  const clients = new ClientReader(source, warnings, faults);
  for (const [name, written] of Object.entries(file?.clients ?? {})) {
    const setting = `HUB_CONFIG.clients.${name}`;
    clients.add(name, written, setting);
    for (const app of written.apps === '*' ? [] : written.apps) {
      if (app !== '*' && !apps.found.has(app) && !apps.refused.has(app)) {
        faults.add(`${setting}.apps`, 'names an app that is not configured');
      }
    }
  }
  for (const kid of environmentKids(environment)) clients.addOfEnvironment(kid);

  const fileIsUnread = path !== undefined && !file;
  if (apps.found.size + apps.refused.size === 0 && !fileIsUnread) {
    faults.add('APPID', 'no app is configured; set APPID and APPSECRET, or HUB_CONFIG');
  }
  if (clients.written === 0 && !fileIsUnread) {
    faults.add('JWT_KEY_{kid}', 'no client is configured; set at least one key, or HUB_CONFIG');
  }
  const files = new Set([...(path === undefined ? [] : [resolve(path)]), ...secrets.files]);
  faults.refuse(files);
  if (!settings) throw new Error('settings that are not read are a fault');
  return {
    settings: { ...settings, ...(redis && { redis }) },
    apps: apps.found,
    clients: clients.found,
    issuers: clients.issuers,
    warnings,
    files,
  };
}

/** Reads the block `redis` of the configuration file, if it has one. */
function readRedis(
  written: unknown,
  schema: z.ZodType<RedisSettings>,
  settings: Settings | undefined,
  faults: Faults,
): RedisSettings | undefined {
  if (written === undefined) return undefined;
  if (settings?.redis) faults.add('REDIS_URL', 'is set, and HUB_CONFIG has redis, too: one of them must go');
  const parsed = schema.safeParse(written);
  if (parsed.error) addIssues((...path) => ['HUB_CONFIG.redis', ...path].join('.'), parsed.error.issues, faults);
  return parsed.data;
}

class AppReader<A extends { readonly identity: string }> {
  readonly found = new Map<string, A>();
  readonly refused = new Set<string>();
  private readonly holders = new Map<string, string>();
  private readonly schemas: ReadonlyMap<string, z.ZodType<A>>;

  constructor(
    platforms: readonly PlatformSchema<A>[],
    secret: z.ZodType<Secret>,
    private readonly faults: Faults,
  ) {
    this.schemas = new Map(platforms.map(({ name, schema }) => [name, schema(secret)]));
  }

  /** Adds an app of the configuration file. */
  addWritten(name: string, written: unknown, setting: string): void {
    const app = writtenApp(written, setting, this.faults);
    if (app) this.add(name, app, setting);
    else this.refused.add(name);
  }

  /** @param settingOf names the setting that holds a member of the app. */
  add(
    name: string,
    written: WrittenApp,
    setting: string,
    settingOf = (...path: string[]) => [setting, ...path].join('.'),
  ): void {
    const { platform, ...rest } = written;
    const schema = this.schemas.get(platform);
    const fault = !APP_NAME.test(name)
      ? `the name must match ${APP_NAME.source}`
      : this.found.has(name)
        ? 'the environment and HUB_CONFIG both describe this app'
        : schema
          ? undefined
          : `the platform must be one of ${[...this.schemas.keys()].join(', ')}`;
    if (fault) this.faults.add(setting, fault);
    const parsed = schema?.safeParse(rest, {
      error: (issue) => (issue.code === 'invalid_type' && issue.input === undefined ? 'is missing' : undefined),
    });
    if (parsed?.error) addIssues(settingOf, parsed.error.issues, this.faults);
    if (fault ?? !parsed?.success) {
      this.refused.add(name);
      return;
    }
    const app = parsed.data;
    const holder = this.holders.get(app.identity);
    if (holder) {
      this.faults.add(setting, `is the same account as the app ${holder}: they would end each other's tokens`);
    }
    this.holders.set(app.identity, name);
    this.found.set(name, app);
  }
}

/** The settings that hold the members of the default app. */
const DEFAULT_APP_SETTINGS = new Map([
  ['secret', 'APPSECRET'],
  ['endpoint', 'WECHAT_TOKEN_ENDPOINT'],
]);

function addDefaultApp<A extends { readonly identity: string }>(
  { APPID: appid, WECHAT_TOKEN_ENDPOINT: endpoint }: Environment,
  secrets: SecretReader,
  apps: AppReader<A>,
  warnings: string[],
): void {
  if (appid === undefined && !secrets.isSet('APPSECRET')) {
    if (endpoint !== undefined) warnings.push('WECHAT_TOKEN_ENDPOINT: speaks of the app of APPID, which is not set');
    return;
  }
  apps.add(
    DEFAULT_APP,
    { platform: 'official-account', appid, secret: { env: 'APPSECRET' }, endpoint: endpoint ?? 'classic' },
    'APPID',
    (member = '') => DEFAULT_APP_SETTINGS.get(member) ?? 'APPID',
  );
}
