import fc from 'fast-check';
import { AUDIENCE, flawOfClaims, validityOf } from './claims.js';

const NOW = 1_800_000_000;
const DAY = 86_400;
const NO_AUDIENCE = 'the aud is no audience';
const OTHER_AUDIENCE = 'the aud is another one';
const EXPIRED = 'the token has expired';
const NOT_YET = 'the token is not valid yet';
const FROM_THE_FUTURE = 'the token is from the future';
const NEVER_ENDS = 'the token never ends, which AUTH_STRICT forbids';
const ENDS_TOO_LATE = 'the token ends too late for AUTH_STRICT';

/** Claims as they come out of a token, so that what JSON cannot say is not tested. */
function flawOf(claims: object | string, strict = false, now = NOW): string | undefined {
  const text = typeof claims === 'string' ? claims : JSON.stringify({ aud: AUDIENCE, ...claims });
  return flawOfClaims(JSON.parse(text) as Record<string, unknown>, strict, now);
}

describe('the audience', () => {
  it.each<[string, unknown]>([
    ['a text', AUDIENCE],
    ['an array', [AUDIENCE]],
    ['the first of several', [AUDIENCE, 'other']],
    ['the last of several', ['other', 'another', AUDIENCE]],
    ['there twice', [AUDIENCE, AUDIENCE]],
  ])('is the hub: %s', (_, aud) => {
    expect(flawOf({ aud })).toBeUndefined();
  });

  it.each<[string, unknown, string]>([
    ['absent', undefined, NO_AUDIENCE],
    ['null', null, NO_AUDIENCE],
    ['a number', 1, NO_AUDIENCE],
    ['true', true, NO_AUDIENCE],
    ['an object', { 0: AUDIENCE, length: 1 }, NO_AUDIENCE],
    ['an array with a number too', [AUDIENCE, 1], NO_AUDIENCE],
    ['an array with null too', [null, AUDIENCE], NO_AUDIENCE],
    ['an array of arrays', [[AUDIENCE]], NO_AUDIENCE],
    ['an array with an object', [{ toString: AUDIENCE }, AUDIENCE], NO_AUDIENCE],
    ['an empty array', [], OTHER_AUDIENCE],
    ['empty', '', OTHER_AUDIENCE],
    ['another', 'wechat-token-hub-2', OTHER_AUDIENCE],
    ['the hub in capitals', 'WECHAT-TOKEN-HUB', OTHER_AUDIENCE],
    ['the hub with a space', 'wechat-token-hub ', OTHER_AUDIENCE],
    ['a list in a text', 'other wechat-token-hub', OTHER_AUDIENCE],
    ['an array of others', ['other', 'wechat-token'], OTHER_AUDIENCE],
  ])('is not the hub: %s', (_, aud, flaw) => {
    expect(flawOf({ aud })).toBe(flaw);
  });
});

describe('the times', () => {
  it('need not be there', () => {
    expect(flawOf({})).toBeUndefined();
  });

  describe.each(['exp', 'nbf', 'iat'])('%s', (name) => {
    it.each([
      ['a text', '"1800000000"'],
      ['an empty text', '""'],
      ['null', 'null'],
      ['true', 'true'],
      ['an array', '[1800000000]'],
      ['an object', '{}'],
      ['infinite', '1e999'],
      ['infinitely long ago', '-1e999'],
      ['a date', '"2026-11-22T09:12:03Z"'],
    ])('is a finite number where it is there, and not %s', (_, value) => {
      expect(flawOf(`{"aud":"${AUDIENCE}","${name}":${value}}`)).toBe(`the ${name} is no time`);
      expect(flawOf(`{"aud":"${AUDIENCE}","${name}":${value}}`, true)).toBe(`the ${name} is no time`);
    });
  });

  it.each<[object, string | undefined]>([
    [{ exp: NOW + 0.5 }, undefined],
    [{ exp: NOW }, undefined],
    [{ exp: NOW - 29.5 }, undefined],
    [{ exp: NOW - 30 }, EXPIRED],
    [{ exp: NOW - 31 }, EXPIRED],
    [{ exp: 0 }, EXPIRED],
    [{ exp: -1 }, EXPIRED],
    [{ exp: -1e300 }, EXPIRED],
    [{ exp: 1e300 }, undefined],
    [{ nbf: NOW - 1 }, undefined],
    [{ nbf: NOW + 29 }, undefined],
    [{ nbf: NOW + 30 }, undefined],
    [{ nbf: NOW + 30.5 }, NOT_YET],
    [{ nbf: NOW + 31 }, NOT_YET],
    [{ nbf: 1e300 }, NOT_YET],
    [{ nbf: 0 }, undefined],
    [{ nbf: -1 }, undefined],
    [{ iat: NOW - 1e6 }, undefined],
    [{ iat: NOW + 30 }, undefined],
    [{ iat: NOW + 30.5 }, FROM_THE_FUTURE],
    [{ iat: NOW + 31 }, FROM_THE_FUTURE],
    [{ iat: -1 }, undefined],
    [{ exp: NOW * 1000, iat: NOW * 1000 }, FROM_THE_FUTURE],
    [{ exp: NOW - 10, nbf: NOW + 10, iat: NOW + 10 }, undefined],
  ])('hold with 30 s of leeway: %j', (claims, flaw) => {
    expect(flawOf(claims)).toBe(flaw);
  });

  it('are judged by the same leeway whenever it is', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4e9 }), fc.integer({ min: -1000, max: 1000 }), (now, ahead) => {
        expect(flawOf({ exp: now + ahead }, false, now)).toBe(ahead <= -30 ? EXPIRED : undefined);
        expect(flawOf({ nbf: now + ahead }, false, now)).toBe(ahead > 30 ? NOT_YET : undefined);
        expect(flawOf({ iat: now + ahead }, false, now)).toBe(ahead > 30 ? FROM_THE_FUTURE : undefined);
      }),
    );
  });
});

describe('under AUTH_STRICT', () => {
  it.each<[object, string | undefined]>([
    [{}, NEVER_ENDS],
    [{ iat: NOW }, NEVER_ENDS],
    [{ exp: NOW + 300 }, undefined],
    [{ exp: NOW + 366 * DAY }, undefined],
    [{ exp: NOW + 366 * DAY + 1 }, ENDS_TOO_LATE],
    [{ exp: 1e300 }, ENDS_TOO_LATE],
    [{ exp: NOW - 29 }, undefined],
    [{ exp: NOW - 30 }, EXPIRED],
    [{ exp: NOW + 300, nbf: NOW + 31 }, NOT_YET],
    [{ exp: NOW + 300, iat: NOW + 31 }, FROM_THE_FUTURE],
    [{ exp: NOW + 300, aud: 'other' }, OTHER_AUDIENCE],
  ])('a token ends, within 366 days: %j', (claims, flaw) => {
    expect(flawOf(claims, true)).toBe(flaw);
  });

  it('nothing is let in that would be refused without it', () => {
    const time = fc.option(fc.oneof(fc.integer({ min: NOW - 100, max: NOW + 100 }), fc.double(), fc.string()), {
      nil: undefined,
    });
    fc.assert(
      fc.property(time, time, time, (exp, nbf, iat) => {
        const lax = flawOfClaims({ aud: AUDIENCE, exp, nbf, iat }, false, NOW);
        const strict = flawOfClaims({ aud: AUDIENCE, exp, nbf, iat }, true, NOW);
        expect([lax, NEVER_ENDS, ENDS_TOO_LATE]).toContain(strict);
        expect(lax !== undefined && strict === undefined).toBe(false);
      }),
    );
  });
});

describe('how long a verdict holds', () => {
  it('is as long as the claims have no flaw, to the second, whichever way the clock goes', () => {
    const near = fc.option(fc.integer({ min: -60, max: 60 }), { nil: undefined });
    const far = fc.option(fc.integer({ min: 366 * DAY - 60, max: 366 * DAY + 60 }), { nil: undefined });
    fc.assert(
      fc.property(fc.oneof(near, far), near, near, fc.boolean(), (exp, nbf, iat, strict) => {
        const times = Object.entries({ exp, nbf, iat }).filter(([, ahead]) => ahead !== undefined);
        const claims = {
          aud: AUDIENCE,
          ...Object.fromEntries(times.map(([name, ahead]) => [name, NOW + Number(ahead)])),
        };
        fc.pre(flawOfClaims(claims, strict, NOW) === undefined);
        const { from, until } = validityOf(claims, strict);
        for (let now = NOW - 200; now < NOW + 200; now += 1) {
          expect([now, now >= from && now < until]).toEqual([now, flawOfClaims(claims, strict, now) === undefined]);
        }
      }),
    );
  });
});
