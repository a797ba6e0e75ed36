import { z } from 'zod';
import { rateOf } from './environment.js';
import type { Faults } from './faults.js';
import type { HubText } from './hub-text.js';
import { SECRET_DIGEST } from './issued-secret.js';

/** What a client may be allowed to do with an app. */
export const ACTIONS = ['read', 'rotate', 'report', 'sign', 'proxy', 'admin'] as const;

/** One thing that a client may be allowed to do with an app. */
export type Action = (typeof ACTIONS)[number];

/** The name of an app in URLs. */
export const APP_NAME = /^[a-z0-9][a-z0-9-]{0,39}$/;

/** What a `kid` looks like, in a configuration as in a token. */
export const KID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

const reference = (message: string) =>
  z.xor([z.strictObject({ env: z.string().min(1) }), z.strictObject({ file: z.string().min(1) })], message);

const secretReference = reference(
  'must be { env: VARIABLE } or { file: path }; a secret itself has no place in this file',
);

/** Where the configuration file says that a secret is. */
export type SecretReference = z.infer<typeof secretReference>;

const OWN_KEY = 'must be { env: VARIABLE } or { file: path } of a shared HS256 key, or { publicKey: … } with either';
const NO_PLACE = 'a key itself has no place in this file';

const key = z.xor(
  [...secretReference.options, z.strictObject({ publicKey: secretReference })],
  `${OWN_KEY}; ${NO_PLACE}`,
);

/** Where the configuration file says that a key of a client is. */
export type KeyReference = z.infer<typeof key>;

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

const jwks = z.string('must be an address').transform((text, context) => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isPlain = url && !url.username && !url.password && !url.hash;
  if (isPlain && (url.protocol === 'https:' || (url.protocol === 'http:' && LOOPBACK.test(url.hostname)))) return url;
  const message =
    'must be an https address without credentials and fragment; http will do for what is on this machine alone';
  context.issues.push({ code: 'custom', input: undefined, message });
  return z.NEVER;
});

const claim = (name: string) =>
  z.string(`must be the ${name} of the tokens, as a text`).min(1, `must be the ${name} of the tokens, and not empty`);

const file = z.strictObject({ file: z.string().min(1) }, 'must be { file: path }');

const issuer = z.strictObject({
  jwks,
  issuer: claim('iss'),
  subject: claim('sub'),
  ca: file.optional(),
  token: file.optional(),
});

/** Whose tokens a client shows, as the configuration file has it. */
export type IssuerReference = z.infer<typeof issuer>;

/** What is wrong with a key is told of the form that was meant: of all forms at once it would help nobody. */
const keyOrIssuer = z.unknown().transform((written, context): KeyReference | IssuerReference => {
  const isIssuer = typeof written === 'object' && written !== null && 'jwks' in written;
  const { data, error } = (isIssuer ? issuer : key).safeParse(written, { error: missing });
  for (const { path, message } of error?.issues ?? []) {
    context.issues.push({
      code: 'custom',
      input: undefined,
      path,
      message: isIssuer ? message : `${OWN_KEY}, or { jwks, issuer, subject }; ${NO_PLACE}`,
    });
  }
  return data ?? z.NEVER;
});

const digests = z
  .array(z.string().regex(SECRET_DIGEST, 'must be sha256: with 64 hexadecimal digits, as npm run secret writes it'))
  .min(1, 'must be one or two')
  .max(2, 'must be one or two');

const apiPath = z
  .string()
  .regex(
    /^\/[\w/.-]*\*?$/,
    "must be a path of WeChat's API, such as /cgi-bin/user/get, or /cgi-bin/user/* for all below",
  );

const client = z.strictObject({
  key: keyOrIssuer.optional(),
  keys: z.array(key, 'must be a list').min(1, 'must be one or two').max(2, 'must be one or two').optional(),
  apps: z.union([z.literal('*'), z.array(z.string())], "must be a list of apps, or '*'"),
  rate: z
    .strictObject({ perSecond: z.number().positive().max(1e6), burst: z.int().min(1).max(1e7).optional() })
    .transform(({ perSecond, burst }) => rateOf(perSecond, burst))
    .optional(),
  secrets: z.record(z.string(), digests, 'must be names of apps, each with the digests of its secrets').optional(),
  paths: z.array(apiPath, 'must be a list of paths').min(1, 'must not be empty').optional(),
  may: z.array(z.enum(ACTIONS, `must be one of ${ACTIONS.join(', ')}`)).default(['read', 'report']),
});

const MAPPING = 'must be names, each with what it is';

/** All but the apps, which are looked at one by one: if they are still here, they are no mapping. */
const hubFile = z.strictObject({
  apps: z.never(MAPPING).optional(),
  clients: z.record(z.string(), client, MAPPING).default({}),
  redis: z.unknown().optional(),
});

/** The configuration file as it is written, without its apps; secrets are still references. */
export type HubFile = z.infer<typeof hubFile>;

/** Looks at what the file says besides apps; what is wrong with it goes to `faults`. */
export function hubFileOf(text: HubText, faults: Faults): HubFile | undefined {
  if ('fault' in text) {
    faults.add('HUB_CONFIG', text.fault);
    return undefined;
  }
  const { data, error } = hubFile.safeParse(text.rest, { error: missing });
  if (error) addIssues((...path) => ['HUB_CONFIG', ...path].join('.'), error.issues, faults);
  return data;
}

const app = z.looseObject({ platform: z.string('must name the platform of the app') });

/** An app as it is written. Only its platform knows the rest of it. */
export type WrittenApp = z.infer<typeof app>;

/** Looks at an app as far as all are alike; what is wrong with it goes to `faults`. */
export function writtenApp(written: unknown, setting: string, faults: Faults): WrittenApp | undefined {
  const { data, error } = app.safeParse(written, { error: missing });
  if (error) addIssues((...path) => [setting, ...path].join('.'), error.issues, faults);
  return data;
}

/** Says of a member that is not there just that. */
function missing(issue: { readonly code?: string; readonly input?: unknown }): string | undefined {
  return issue.code === 'invalid_type' && issue.input === undefined ? 'is missing' : undefined;
}

/** Turns a schema's findings into faults that name the setting. */
export function addIssues(
  settingOf: (...path: string[]) => string,
  issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[],
  faults: Faults,
): void {
  for (const { path, message } of issues) faults.add(settingOf(...path.map(String)), message);
}

/** The schema of a secret in the configuration file, resolved by whoever knows the files and the environment. */
export function secretSchema<S>(read: (reference: SecretReference) => S): z.ZodType<S> {
  return secretReference.transform((reference, context) => {
    try {
      return read(reference);
    } catch (error) {
      context.issues.push({ code: 'custom', input: undefined, message: (error as Error).message });
      return z.NEVER;
    }
  });
}
