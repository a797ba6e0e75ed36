import { z } from 'zod';

/** A value that WeChat gave out some time: what the hub itself would accept from WeChat. */
const value = z
  .string('must be given once, as a text')
  .regex(/^[\x21-\x7e]{1,2048}$/, 'must be a value of 1 to 2,048 printable characters');

/** An access token, as clients get it and as they speak of it. */
export const accessToken = value.meta({ examples: ['ACCESS_TOKEN'] });

/** A ticket, as clients get it and as they speak of it. */
export const ticket = value.meta({ examples: ['TICKET'] });

const rotated =
  'Is replaced if it is the current value; else nothing is asked. The answer is the current value after that.';

/** What may be asked about an access token. */
export const tokenQuery = z.strictObject({ rotate_token: accessToken.optional().describe(rotated) });

/** What may be asked about a ticket. */
export const ticketQuery = z.strictObject({
  type: z
    .string('must be given once')
    .min(1, 'must name a ticket type')
    .meta({
      description: '`jsapi`, `wx_card` or `sdk` (also called `2`); for WeCom `jsapi` or `agent_config`.',
      examples: ['jsapi'],
    }),
  rotate_ticket: ticket.optional().describe(rotated),
});

/** For what takes no parameters. */
export const noQuery = z.strictObject({});

const circumstances = {
  errcode: z.int('must be a whole number').optional().describe('What WeChat said.'),
  rid: z.string().max(64, 'must be at most 64 characters').optional().describe("WeChat's id of the refused call."),
};

/** "WeChat refused this one": by its value, or by its version. */
export const reportBody = z
  .xor(
    [
      z.strictObject({ token: accessToken, ...circumstances }),
      z.strictObject({ version: z.int().positive(), ...circumstances }),
    ],
    'must be an object with either token or version, and optionally errcode and rid',
  )
  .meta({
    id: 'Report',
    description: 'Which token WeChat refused: by its value, or by its version.',
    examples: [{ version: 1795413123, errcode: 40001 }],
  });

/** The page that wants to use the JS-SDK. */
export const signBody = z
  .strictObject(
    {
      url: z
        .string('must be the address of the page')
        .max(2048, 'must be at most 2,048 characters')
        .refine((url) => /^https?:\/\/[^\s/]/i.test(url) && URL.canParse(url) && !/[\s\p{Cc}]/u.test(url), {
          message: 'must be the http or https address of the page',
        })
        .describe('Its http or https address; a fragment is left out of what is signed.'),
    },
    { error: ({ code }) => (code === 'invalid_type' ? 'must be an object' : undefined) },
  )
  .meta({
    id: 'Page',
    description: 'The page that wants to use the JS-SDK.',
    examples: [{ url: 'https://shop.example/cart' }],
  });
