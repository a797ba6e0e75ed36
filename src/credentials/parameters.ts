import { z } from 'zod';

/** A value that WeChat gave out some time: what the hub itself would accept from WeChat. */
const value = z
  .string('must be given once, as a text')
  .regex(/^[\x21-\x7e]{1,2048}$/, 'must be a value of 1 to 2,048 printable characters');

/** What may be asked about an access token. */
export const tokenQuery = z.strictObject({ rotate_token: value.optional() });

/** What may be asked about a ticket. */
export const ticketQuery = z.strictObject({
  type: z.string('must be given once').min(1, 'must name a ticket type'),
  rotate_ticket: value.optional(),
});

/** For what takes no parameters. */
export const noQuery = z.strictObject({});

const circumstances = {
  errcode: z.int('must be a whole number').optional(),
  rid: z.string().max(64, 'must be at most 64 characters').optional(),
};

/** "WeChat refused this one": by its value, or by its version. */
export const reportBody = z.xor(
  [
    z.strictObject({ token: value, ...circumstances }),
    z.strictObject({ version: z.int().positive(), ...circumstances }),
  ],
  'must be an object with either token or version, and optionally errcode and rid',
);

/** The page that wants to use the JS-SDK. */
export const signBody = z.strictObject({
  url: z
    .string('must be the address of the page')
    .max(2048, 'must be at most 2,048 characters')
    .refine((url) => /^https?:\/\/[^\s/]/i.test(url) && URL.canParse(url) && !/[\s\p{Cc}]/u.test(url), {
      message: 'must be the http or https address of the page',
    }),
});
