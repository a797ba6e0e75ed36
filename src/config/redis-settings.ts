import { z } from 'zod';
import { Secret } from './secret.js';

/** A host and a port. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** What encrypts a connection to Redis: PEM texts, where the system's own authorities will not do. */
export interface RedisTls {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly servername?: string | undefined;
}

interface Access {
  readonly username?: string | undefined;
  readonly password?: Secret | undefined;
  readonly tls?: RedisTls | undefined;
}

/** Where the shared store is, and how to get in. */
export type RedisSettings =
  | (Access & Address & { readonly kind: 'single'; readonly db: number })
  | (Access & {
      readonly kind: 'sentinel';
      readonly sentinels: readonly Address[];
      /** The name under which the Sentinels know the master. */
      readonly name: string;
      readonly db: number;
      readonly sentinelUsername?: string | undefined;
      readonly sentinelPassword?: Secret | undefined;
    })
  | (Access & { readonly kind: 'cluster'; readonly nodes: readonly Address[] });

/**
 * What the names of these hubs' keys and messages begin with: messages reach all databases of a server, so those of
 * hubs in another one than the first have its number in them.
 */
export function prefixIn(redis: RedisSettings, prefix: string): string {
  return 'db' in redis && redis.db > 0 ? `${prefix}@${redis.db}` : prefix;
}

const REDIS_PORT = 6379;
const SENTINEL_PORT = 26_379;

/** What REDIS_URL must look like. */
export const URL_FORMS =
  'must be redis://host:port/db, redis+sentinel://host:port,host:port/name/db or redis+cluster://host:port,host:port, with user:password@ (percent-encoded) before the hosts if there is one, and rediss for TLS';

const BLOCK_FORM =
  'must be a server, or sentinels and a name, or a cluster; with any of username, password, tls and db';
const TLS_FORM = 'must be true, or any of ca, cert, key (each { file: path }) and servername';

/**
 * Reads the address of the shared store, in one of three forms: a server (`redis://`), Sentinels that know the master
 * (`redis+sentinel://`), or nodes of a cluster (`redis+cluster://`); with `rediss` in the place of `redis` over TLS.
 * @returns undefined when it is none of them.
 */
export function redisSettingsOf(url: string): RedisSettings | undefined {
  const match = /^redis(s?)(?:\+(sentinel|cluster))?:\/\/(?:([^@/]*)@)?([^@/?#]+)((?:\/[^/?#]*)*)$/.exec(url);
  if (!match) return undefined;
  const [, s, kind = 'single', userinfo, hosts = '', path = ''] = match;
  const addresses = addressesOf(hosts.split(','), kind === 'sentinel' ? SENTINEL_PORT : REDIS_PORT);
  const access = accessOf(userinfo);
  const segments = path
    .split('/')
    .slice(1)
    .map(decoded)
    .filter((segment) => segment !== '');
  const dbAt = kind === 'sentinel' ? 1 : 0;
  const db = dbOf(segments[dbAt]);
  const [first] = addresses ?? [];
  if (!addresses || !first || !access || db === undefined || segments.length > dbAt + 1) return undefined;
  const common = { ...access, ...(s && { tls: {} }) };
  if (kind === 'cluster') return segments.length === 0 ? { ...common, kind, nodes: addresses } : undefined;
  if (kind === 'single') return addresses.length === 1 ? { ...common, ...first, kind, db } : undefined;
  const [name] = segments;
  return name === undefined ? undefined : { ...common, kind: 'sentinel', sentinels: addresses, name, db };
}

/**
 * The schema of the block `redis` in the configuration file: for what an address cannot hold.
 * @param secret the schema of a secret, or of a text in a file.
 */
export function redisBlock(secret: z.ZodType<Secret>): z.ZodType<RedisSettings> {
  const address = (port: number): z.ZodType<Address> =>
    z.string().transform((text, context) => {
      const [found] = addressesOf([text], port) ?? [];
      if (found) return found;
      context.issues.push({ code: 'custom', input: undefined, message: 'must be host or host:port' });
      return z.NEVER;
    });
  const text = secret.transform((pem) => pem.reveal());
  const access = {
    username: z.string().min(1).optional(),
    password: secret.optional(),
    tls: z
      .preprocess(
        (written) => (written === true ? {} : written),
        z.strictObject(
          {
            ca: text.optional(),
            cert: text.optional(),
            key: text.optional(),
            servername: z.string().min(1).optional(),
          },
          { error: ({ code }) => (code === 'invalid_type' ? TLS_FORM : undefined) },
        ),
      )
      .optional(),
  };
  const db = z.int().min(0).max(1023).default(0);
  const forms: Readonly<Record<string, z.ZodType<RedisSettings>>> = {
    server: z
      .strictObject({ ...access, server: address(REDIS_PORT), db })
      .transform(({ server, ...rest }) => ({ ...rest, ...server, kind: 'single' as const })),
    sentinels: z
      .strictObject({
        ...access,
        sentinels: z.array(address(SENTINEL_PORT)).min(1),
        name: z.string('is missing').min(1),
        sentinelUsername: z.string().min(1).optional(),
        sentinelPassword: secret.optional(),
        db,
      })
      .transform((written) => ({ ...written, kind: 'sentinel' as const })),
    cluster: z
      .strictObject({ ...access, cluster: z.array(address(REDIS_PORT)).min(1) })
      .transform(({ cluster, ...rest }) => ({ ...rest, nodes: cluster, kind: 'cluster' as const })),
  };
  return z.looseObject({}, BLOCK_FORM).transform((written, context) => {
    const [form, ...others] = Object.entries(forms).filter(([name]) => Object.hasOwn(written, name));
    if (!form || others.length > 0) {
      context.issues.push({ code: 'custom', input: undefined, message: BLOCK_FORM });
      return z.NEVER;
    }
    const { data, error } = form[1].safeParse(written);
    for (const { path, message } of error?.issues ?? []) {
      context.issues.push({ code: 'custom', input: undefined, path, message });
    }
    return data ?? z.NEVER;
  });
}

function addressesOf(texts: readonly string[], defaultPort: number): readonly Address[] | undefined {
  const addresses = texts.map((text) => {
    const [, v6, name, port] = /^(?:\[([0-9A-Fa-f:.]+)\]|([\w.-]+))(?::(\d{1,5}))?$/.exec(text.trim()) ?? [];
    return { host: v6 ?? name ?? '', port: port === undefined ? defaultPort : Number(port) };
  });
  return addresses.every(({ host, port }) => host !== '' && port > 0 && port < 65_536) ? addresses : undefined;
}

function accessOf(userinfo: string | undefined): Access | undefined {
  if (userinfo === undefined) return {};
  const [username = '', password] = userinfo.split(':', 2).map(decoded);
  if (userinfo.split(':').length > 2) return undefined;
  return { ...(username && { username }), ...(password && { password: new Secret(password) }) };
}

function dbOf(segment: string | undefined): number | undefined {
  if (segment === undefined) return 0;
  return /^\d{1,4}$/.test(segment) ? Number(segment) : undefined;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
