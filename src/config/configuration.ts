import { dirname, resolve } from 'node:path';
import type { KeyObject } from 'node:crypto';
import type { z } from 'zod';
import { type ClientKey, clientKey, STRONG_KEY_BYTES } from './client-key.js';
import { environmentKids, keyVariable, type Rate, readSettings, type Settings } from './environment.js';
import { Faults } from './faults.js';
import { redisBlock, type RedisSettings } from './redis-settings.js';
import {
  type Action,
  addIssues,
  APP_NAME,
  type HubFile,
  KID,
  readHubFile,
  type SecretReference,
  secretSchema,
} from './hub-file.js';
import { type Environment, SecretReader, UnreadableSecret } from './secret-reader.js';
import type { Secret } from './secret.js';

/** A program that may ask the hub: its key, the apps it sees, and what it may do with them. */
export interface Client {
  readonly kid: string;
  readonly key: KeyObject;
  readonly apps: '*' | ReadonlySet<string>;
  readonly may: ReadonlySet<Action>;
  /** What it may ask of each hub; absent, as much as all. */
  readonly rate?: Rate | undefined;
}

/**
 * How the apps of one platform are written in the configuration. A schema yields the app itself (`A`), so that a
 * platform stays one file and this reader knows none of them.
 */
export interface PlatformSchema<A extends { readonly identity: string }> {
  readonly name: string;
  readonly schema: (secret: z.ZodType<Secret>) => z.ZodType<A>;
}

/** All that the operator configured, checked, with every secret read. */
export interface Configuration<A> {
  readonly settings: Settings;
  readonly apps: ReadonlyMap<string, A>;
  readonly clients: ReadonlyMap<string, Client>;
  /** What the operator should know though the hub starts all the same. */
  readonly warnings: readonly string[];
  /** The files that were read: a change of one of them is a new configuration. */
  readonly files: ReadonlySet<string>;
}

/** The app that the original's settings `APPID` and `APPSECRET` describe. */
export const DEFAULT_APP = 'default';

/**
 * Reads the environment, the configuration file and every secret they name.
 * @throws ConfigurationError with every fault at once; it names settings and never a value.
 */
export function readConfiguration<A extends { readonly identity: string }>(
  environment: Environment,
  platforms: readonly PlatformSchema<A>[],
): Configuration<A> {
  const faults = new Faults();
  const secrets = new SecretReader(environment);
  const warnings: string[] = [];
  const settings = readSettings(environment, secrets, faults);

  const path = environment['HUB_CONFIG'];
  const file = path === undefined ? undefined : readHubFile(path, faults);
  const read = (reference: SecretReference): Secret =>
    'env' in reference
      ? secrets.fromVariable(reference.env)
      : secrets.fromFile(reference.file, path === undefined ? undefined : dirname(resolve(path)));

  const redis = readRedis(file?.redis, redisBlock(secretSchema(read)), settings, faults);

  const apps = new AppReader(platforms, secretSchema(read), faults);
  for (const [name, written] of Object.entries(file?.apps ?? {})) apps.add(name, written, `HUB_CONFIG.apps.${name}`);
  addDefaultApp(environment, secrets, apps, warnings);

  const clients = new Map<string, Client>();
  let clientsWritten = 0;
  const admit = (setting: string, kid: string, read: () => Secret, rights: Omit<Client, 'kid' | 'key'>): void => {
    clientsWritten += 1;
    if (!KID.test(kid)) faults.add(setting, `the kid must match ${KID.source}`);
    else if (clients.has(kid)) faults.add(setting, 'the environment and HUB_CONFIG both hold a key for this kid');
    const key = attempt(() => acceptKey(read(), settings?.authStrict ?? false), setting, faults);
    if (!key) return;
    if (!key.strong) warnings.push(`${setting}: the key is shorter than ${STRONG_KEY_BYTES} bytes`);
    clients.set(kid, { kid, key: key.key, ...rights });
  };
  for (const [kid, written] of Object.entries(file?.clients ?? {})) {
    const setting = `HUB_CONFIG.clients.${kid}`;
    const rights = { apps: sight(written.apps), may: new Set(written.may), rate: written.rate };
    admit(`${setting}.key`, kid, () => read(written.key), rights);
    for (const app of written.apps === '*' ? [] : written.apps) {
      if (app !== '*' && !apps.found.has(app) && !apps.refused.has(app)) {
        faults.add(`${setting}.apps`, 'names an app that is not configured');
      }
    }
  }
  for (const kid of environmentKids(environment)) {
    const variable = keyVariable(kid);
    admit(variable, kid, () => secrets.fromVariable(variable), { apps: '*', may: ENVIRONMENT_CLIENT_MAY });
  }

  const fileIsUnread = path !== undefined && !file;
  if (apps.found.size + apps.refused.size === 0 && !fileIsUnread) {
    faults.add('APPID', 'no app is configured; set APPID and APPSECRET, or HUB_CONFIG');
  }
  if (clientsWritten === 0 && !fileIsUnread) {
    faults.add('JWT_KEY_{kid}', 'no client is configured; set at least one key, or HUB_CONFIG');
  }
  const files = new Set([...(path === undefined ? [] : [resolve(path)]), ...secrets.files]);
  faults.refuse(files);
  if (!settings) throw new Error('settings that are not read are a fault');
  return {
    settings: { ...settings, ...(redis && { redis }) },
    apps: apps.found,
    clients,
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

const ENVIRONMENT_CLIENT_MAY: ReadonlySet<Action> = new Set<Action>(['read', 'rotate', 'report', 'sign']);

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

  /** @param settingOf names the setting that holds a member of the app. */
  add(
    name: string,
    written: HubFile['apps'][string],
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

function acceptKey(secret: Secret, strict: boolean): ClientKey {
  const key = clientKey(secret);
  if (typeof key === 'string') throw new UnreadableSecret(key);
  if (strict && !key.strong) {
    throw new UnreadableSecret(`is shorter than ${STRONG_KEY_BYTES} bytes, which AUTH_STRICT forbids`);
  }
  return key;
}

function attempt<T>(read: () => T, setting: string, faults: Faults): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof UnreadableSecret)) throw error;
    faults.add(setting, error.message);
    return undefined;
  }
}

function sight(apps: '*' | readonly string[]): Client['apps'] {
  return apps === '*' || apps.includes('*') ? '*' : new Set(apps);
}
