import { z } from 'zod';

/** The answer of a process that turns. */
export const livenessView = z.object({ status: z.literal('ok') }).meta({ id: 'Liveness' });

const credentialHealth = z
  .object({
    app: z.string(),
    kind: z.string().describe('`access-token`, or `ticket/` and its type.'),
    state: z
      .enum(['good', 'failing', 'unusable'])
      .describe('`failing`: served, but its renewal fails; `unusable`: clients get errors.'),
    version: z.int().exactOptional(),
    seconds_left: z.int().exactOptional(),
    stored: z.boolean().describe('Whether it would survive a restart.'),
    foreign_mints: z
      .int()
      .exactOptional()
      .describe(
        'How often WeChat refused it although the hub had not replaced it: somebody else asks for tokens, too.',
      ),
    last_foreign_mint: z.iso.datetime().exactOptional(),
    error: z
      .object({
        errcode: z.int().exactOptional().describe('What WeChat said.'),
        advice: z.string().describe('What to do.'),
        met_by: z.string().exactOptional().describe('Which replica met it, by the name of its host.'),
        retry_in: z.int().describe('Seconds until the hub asks again by itself.'),
      })
      .exactOptional(),
  })
  .meta({ id: 'CredentialHealth' });

/** How one credential stands; never its value. */
export type CredentialHealth = Readonly<z.infer<typeof credentialHealth>>;

const issuerHealth = z
  .object({
    client: z.string(),
    state: z
      .enum(['good', 'failing', 'unusable'])
      .describe('`failing`: older keys are used, newer ones cannot be fetched; `unusable`: the client is refused.'),
    keys: z.int().describe('How many keys of its issuer are at hand.'),
    error: z
      .object({ advice: z.string().describe('What to do.'), seconds: z.int().describe('For how long it has been so.') })
      .exactOptional(),
  })
  .meta({ id: 'IssuerHealth' });

/** How the keys of the issuer of a client stand. */
export type IssuerHealth = Readonly<z.infer<typeof issuerHealth>>;

const state = z.enum(['up', 'degraded', 'down']);
const message = z.string().exactOptional();

const indicators = z
  .object({
    hub: z.object({ status: state, message }),
    configuration: z.object({ status: state, message, faults: z.array(z.string()).exactOptional() }),
    store: z.object({ status: state, message, seconds: z.int().exactOptional() }),
    audit: z
      .object({ status: state, message, seconds: z.int().exactOptional() })
      .describe('Whether records can be written; absent where none are kept.'),
    issuers: z
      .object({ status: state, clients: z.array(issuerHealth) })
      .describe('Whose tokens an issuer makes, if one came within the hour.'),
    credentials: z.object({
      status: state,
      credentials: z
        .array(credentialHealth)
        .exactOptional()
        .describe('Those that somebody has asked for; in `details` alone.'),
    }),
  })
  .partial()
  .meta({ id: 'Indicators' });

/** How the hub is, and each of its credentials. */
export const readinessView = z
  .object({
    status: z.enum(['ok', 'degraded', 'error', 'shutting_down']),
    info: indicators.describe('What is up or degraded.'),
    error: indicators.describe('What is down.'),
    details: indicators.describe('All of it.'),
  })
  .meta({ id: 'Readiness' });
