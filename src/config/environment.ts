import { type BlockList, isIP } from 'node:net';
import { getProxyForUrl } from 'proxy-from-env';
import { z } from 'zod';
import type { Faults } from './faults.js';
import { NETWORKS_FORM, networksOf } from './networks.js';
import { parseKeys } from './random-keys.js';
import { type RedisSettings, redisSettingsOf, URL_FORMS } from './redis-settings.js';
import { type Environment, type SecretReader, UnreadableSecret } from './secret-reader.js';
import type { Secret } from './secret.js';
import { readTls, type TlsSettings } from './tls-settings.js';

/** One upstream of the hub: where it is, and the proxy on the way to it, if any. */
export interface Upstream {
  readonly root: URL;
  readonly proxy?: URL;
}

/** Where the audit goes, and whether anything is handed out without it. */
export interface AuditSettings {
  /** A file, or {@link AUDIT_ON_STDOUT}. */
  readonly path: string;
  /** Those of the store, unless the audit has keys of its own. */
  readonly keys: Secret;
  readonly isRequired: boolean;
}

/** The path that is none, but stdout. */
export const AUDIT_ON_STDOUT = '-';

const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;

/** How many requests may come in a second in the long run, and how many at once. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/** How much a line of the log matters. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/** The settings that need a restart to change. */
export interface Settings {
  readonly port: number;
  /** Where the metrics are shown; absent, on the port of the hub. */
  readonly metricsPort?: number;
  /** The least that is worth a line in the log. */
  readonly logLevel: LogLevel;
  readonly wechat: Upstream;
  readonly wecom: Upstream;
  readonly dataDir: string;
  /** The shared store; absent, the hub keeps its credentials in its data folder. */
  readonly redis?: RedisSettings;
  /** What the keys of these hubs in Redis begin with. */
  readonly redisPrefix: string;
  /** Keys for the store, the first encrypts, all decrypt. Absent: the store makes one of its own. */
  readonly storeKeys?: Secret;
  /** Absent, there is no audit. */
  readonly audit?: AuditSettings;
  readonly authStrict: boolean;
  /** How many rotations an app may ask for at once, and after how many seconds it may ask for one more. */
  readonly rotation: { readonly burst: number; readonly everySeconds: number };
  /** What a client may ask of this hub, unless the configuration file says something else of it; absent, as much as it likes. */
  readonly clientRate?: Rate;
  /** How many bytes of the body of a call to WeChat are kept, so that it can be made again. */
  readonly replayLimit: number;
  /** How many connections are held at once; more are closed as they come. */
  readonly maxConnections: number;
  /** The proxies that are believed whom a request comes from; absent, none is. */
  readonly trustedProxies?: BlockList;
  /** Absent, the hub speaks plain HTTP. */
  readonly tls?: TlsSettings;
}

const flag = z.enum(['true', 'false'], 'must be true or false').transform((value) => value === 'true');

const wholeNumber = (from: number, to: number): z.ZodType<number> =>
  z
    .string()
    .regex(/^\d{1,9}$/, `must be a whole number from ${from} to ${to}`)
    .transform(Number)
    .refine((value) => value >= from && value <= to, `must be a whole number from ${from} to ${to}`);

const networks = z.string().transform((text, context) => {
  const list = networksOf(text);
  if (list) return list;
  context.issues.push({ code: 'custom', input: undefined, message: NETWORKS_FORM });
  return z.NEVER;
});

const root = z.string().transform((text, context) => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const plain = url && !url.username && !url.password && !url.search && !url.hash;
  if (plain && ['http:', 'https:'].includes(url.protocol)) return url;
  context.issues.push({
    code: 'custom',
    input: undefined,
    message: 'must be an http or https address without credentials, query and fragment',
  });
  return z.NEVER;
});

const DEFAULT_PORT = '8567';

const schema = z.object({
  PORT: wholeNumber(0, 65_535).prefault(DEFAULT_PORT),
  METRICS_PORT: wholeNumber(0, 65_535).optional(),
  LOG_LEVEL: z.enum(LOG_LEVELS, `must be one of ${LOG_LEVELS.join(', ')}`).default('info'),
  WECHAT_API_ROOT: root.prefault('https://api.weixin.qq.com'),
  WECOM_API_ROOT: root.prefault('https://qyapi.weixin.qq.com'),
  DATA_DIR: z.string().min(1, 'must name a folder').default('./data'),
  REDIS_PREFIX: z
    .string()
    .regex(/^[\w.:-]{1,64}$/, 'must be 1 to 64 letters, digits, or any of . : _ -')
    .default('wechat-token-hub'),
  AUDIT_FILE: z.string().min(1, 'must name a file, or - for stdout').optional(),
  AUDIT_REQUIRED: flag.prefault('false'),
  AUTH_STRICT: flag.prefault('false'),
  ROTATION_BURST: wholeNumber(1, 1000).prefault('3'),
  ROTATION_INTERVAL: wholeNumber(1, 86_400).prefault('30'),
  CLIENT_RATE: wholeNumber(1, 1_000_000).optional(),
  CLIENT_BURST: wholeNumber(1, 10_000_000).optional(),
  GATEWAY_REPLAY_LIMIT: wholeNumber(0, 100_000_000).prefault('2097152'),
  MAX_CONNECTIONS: wholeNumber(1, 1_000_000).prefault('10000'),
  TRUST_PROXY: networks.optional(),
  // Read by Node itself, before anything of ours runs.
  NODE_DEBUG: z.literal('', 'must not be set: Node would print what the hub sends, secrets included').optional(),
});

/** Reads the settings that only a restart changes; what is wrong with them goes to `faults`. */
export function readSettings(environment: Environment, secrets: SecretReader, faults: Faults): Settings | undefined {
  const parsed = schema.safeParse(environment);
  const storeKeys = optionalKeys('STORE_KEY', secrets, faults);
  const redisUrl = optionalSecret('REDIS_URL', secrets, faults);
  const redis = redisUrl && redisSettingsOf(redisUrl.reveal());
  if (redisUrl && !redis) faults.add('REDIS_URL', URL_FORMS);
  const auditKeys = optionalKeys('AUDIT_KEY', secrets, faults);
  const tls = readTls(environment, secrets, faults);
  addContradictions(environment, secrets, faults);
  if (!parsed.success) {
    for (const issue of parsed.error.issues) faults.add(issue.path.join('.'), issue.message);
    return undefined;
  }
  const values = parsed.data;
  const { AUDIT_FILE: path, AUDIT_REQUIRED: isRequired } = values;
  const keys = auditKeys ?? storeKeys;
  const audit = path !== undefined && keys && { path, keys, isRequired };
  return {
    port: values.PORT,
    ...(values.METRICS_PORT !== undefined && { metricsPort: values.METRICS_PORT }),
    logLevel: values.LOG_LEVEL,
    wechat: upstream(values.WECHAT_API_ROOT, environment, faults),
    wecom: upstream(values.WECOM_API_ROOT, environment, faults),
    dataDir: values.DATA_DIR,
    ...(redis && { redis }),
    redisPrefix: values.REDIS_PREFIX,
    ...(storeKeys && { storeKeys }),
    ...(audit && { audit }),
    authStrict: values.AUTH_STRICT,
    rotation: { burst: values.ROTATION_BURST, everySeconds: values.ROTATION_INTERVAL },
    ...(values.CLIENT_RATE !== undefined && { clientRate: rateOf(values.CLIENT_RATE, values.CLIENT_BURST) }),
    replayLimit: values.GATEWAY_REPLAY_LIMIT,
    maxConnections: values.MAX_CONNECTIONS,
    ...(values.TRUST_PROXY && { trustedProxies: values.TRUST_PROXY }),
    ...(tls && { tls }),
  };
}

/** What settings want of each other. It is asked of what is written: one that is wrong by itself must not hide this. */
function addContradictions(environment: Environment, secrets: SecretReader, faults: Faults): void {
  const { PORT = DEFAULT_PORT, METRICS_PORT, CLIENT_RATE, CLIENT_BURST, AUDIT_FILE, AUDIT_REQUIRED } = environment;
  if (METRICS_PORT !== undefined && Number(METRICS_PORT) === Number(PORT) && Number(PORT) !== 0) {
    faults.add('METRICS_PORT', 'must not be the same as PORT');
  }
  if (CLIENT_BURST !== undefined && CLIENT_RATE === undefined) faults.add('CLIENT_BURST', 'needs CLIENT_RATE');
  if (AUDIT_FILE === undefined && AUDIT_REQUIRED === 'true') faults.add('AUDIT_REQUIRED', 'needs AUDIT_FILE');
  // A key that the hub made for itself would be another one in each hub, and lie where the audit lies.
  if (AUDIT_FILE && !secrets.isSet('AUDIT_KEY') && !secrets.isSet('STORE_KEY')) {
    faults.add('AUDIT_KEY', 'is needed for AUDIT_FILE, unless there is a STORE_KEY');
  }
}

/** A rate; unless told otherwise, what it lets pass in ten seconds may come at once, as it does when many start. */
export function rateOf(perSecond: number, burst = Math.max(1, Math.ceil(perSecond * 10))): Rate {
  return { perSecond, burst };
}

function optionalSecret(variable: string, secrets: SecretReader, faults: Faults): Secret | undefined {
  try {
    return secrets.isSet(variable) ? secrets.fromVariable(variable) : undefined;
  } catch (error) {
    if (!(error instanceof UnreadableSecret)) throw error;
    faults.add(variable, error.message);
    return undefined;
  }
}

/** Keys that the hub seals or signs with, as {@link parseKeys} reads them. */
function optionalKeys(variable: string, secrets: SecretReader, faults: Faults): Secret | undefined {
  const keys = optionalSecret(variable, secrets, faults);
  if (keys && !parseKeys(keys.reveal())) {
    faults.add(variable, 'must be 32 random bytes in base64, or several such, newest first');
  }
  return keys;
}

const PROXY_SETTINGS = ['https_proxy', 'http_proxy', 'all_proxy'].flatMap((name) => [name, name.toUpperCase()]);

/**
 * Finds the proxy on the way to an upstream: by HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, in either case, as curl
 * and most others read them.
 */
export function upstream(root: URL, environment: Environment, faults: Faults): Upstream {
  const found = getProxyForUrl(root.href);
  if (!found) return { root };
  // Without a scheme of its own a proxy is reached by http; the library takes the scheme of what is behind it.
  const bare = found.replace(/^\w+:\/\//, '');
  const isBare = PROXY_SETTINGS.some((name) => environment[name] === bare);
  const proxy = isBare ? `http://${bare}` : found;
  if (URL.canParse(proxy) && /^https?:$/.test(new URL(proxy).protocol)) return { root, proxy: new URL(proxy) };
  faults.add(root.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY', 'must be an http or https address');
  return { root };
}

const KEY_PREFIX = 'JWT_KEY_';

/**
 * The kids for which the environment holds a key. A Kubernetes Service called `jwt-key-x` makes Kubernetes set
 * `JWT_KEY_X_SERVICE_HOST`, `JWT_KEY_X_PORT_80_TCP` and more in every pod; those are addresses, not keys.
 */
export function environmentKids(environment: Environment): string[] {
  const kids = new Set<string>();
  for (const [name, value] of Object.entries(environment)) {
    if (!name.startsWith(KEY_PREFIX) || value === undefined || isServiceLink(name, value)) continue;
    kids.add(name.slice(KEY_PREFIX.length).replace(/_FILE$/, ''));
  }
  return [...kids].sort();
}

/** The variable that holds the key of a kid. */
export function keyVariable(kid: string): string {
  return KEY_PREFIX + kid;
}

function isServiceLink(name: string, value: string): boolean {
  if (name.endsWith('_SERVICE_HOST') || /_PORT_\d+_(TCP|UDP|SCTP)_ADDR$/.test(name)) return isIP(value) !== 0;
  if (/_SERVICE_PORT(_[A-Z0-9_]+)?$/.test(name) || /_PORT_\d+_(TCP|UDP|SCTP)_PORT$/.test(name)) {
    return /^\d{1,5}$/.test(value);
  }
  if (/_PORT_\d+_(TCP|UDP|SCTP)_PROTO$/.test(name)) return /^(tcp|udp|sctp)$/.test(value);
  return /_PORT(_\d+_(TCP|UDP|SCTP))?$/.test(name) && /^(tcp|udp|sctp):\/\//.test(value);
}
