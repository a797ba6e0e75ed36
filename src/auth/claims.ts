import type { Claims } from './bearer.js';

/** What every token has to be meant for. */
export const AUDIENCE = 'wechat-token-hub';
/** Clocks differ a little. */
export const LEEWAY_SECONDS = 30;
const LONGEST_LIFE_SECONDS = 366 * 86_400;
const TIMES = ['exp', 'nbf', 'iat'] as const;

/**
 * Says what is wrong with the claims of a verified token, beyond what the verifying library looks at: it takes an
 * infinite `exp`, and does not look at `iat` at all.
 *
 * @param strict whether a token must end, within 366 days.
 * @param now epoch seconds.
 */
export function flawOfClaims(claims: Claims, strict: boolean, now: number): string | undefined {
  const { aud, exp, nbf, iat } = claims;
  const audience: unknown = typeof aud === 'string' ? [aud] : aud;
  if (!Array.isArray(audience) || !audience.every((one) => typeof one === 'string')) return 'the aud is no audience';
  if (!audience.includes(AUDIENCE)) return 'the aud is another one';
  for (const name of TIMES) {
    const time = claims[name];
    if (time !== undefined && !(typeof time === 'number' && Number.isFinite(time))) return `the ${name} is no time`;
  }
  if (typeof exp === 'number' && now >= exp + LEEWAY_SECONDS) return 'the token has expired';
  if (typeof nbf === 'number' && now < nbf - LEEWAY_SECONDS) return 'the token is not valid yet';
  if (typeof iat === 'number' && now < iat - LEEWAY_SECONDS) return 'the token is from the future';
  if (strict && exp === undefined) return 'the token never ends, which AUTH_STRICT forbids';
  if (strict && (exp as number) > now + LONGEST_LIFE_SECONDS) return 'the token ends too late for AUTH_STRICT';
  return undefined;
}

/** From when until when a verdict on claims holds, in epoch seconds. */
export interface Validity {
  readonly from: number;
  readonly until: number;
}

/** As long as this lasts, claims that have no flaw now go on to have none, whichever way the clock goes. */
export function validityOf(claims: Claims, strict: boolean): Validity {
  const [exp = Infinity, nbf = -Infinity, iat = -Infinity] = [claims['exp'], claims['nbf'], claims['iat']] as number[];
  const earliest = strict ? exp - LONGEST_LIFE_SECONDS : -Infinity;
  return { from: Math.max(nbf - LEEWAY_SECONDS, iat - LEEWAY_SECONDS, earliest), until: exp + LEEWAY_SECONDS };
}
