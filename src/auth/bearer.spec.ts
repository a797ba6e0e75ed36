import fc from 'fast-check';
import { heapInUse } from '../../test/hub.fixture.js';
import { authorizationIn, type Bearer, isCanonical, kidAtAGlance, readBearer, Unauthenticated } from './bearer.js';

const HEADER = '{"alg":"HS256","kid":"web"}';
const PAYLOAD = '{"aud":"wechat-token-hub"}';
const SIGNATURE = 'c2lnbmF0dXJl';
const TOKEN = tokenOf();

const NO_TOKEN = 'the Authorization header is not Bearer and one token';
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const NOT_CANONICAL = 'a part is not canonical base64url';
const BAD_HEADER = 'the header is not a plain JSON object';
const BAD_PAYLOAD = 'the payload is not a plain JSON object';

function encode(bytes: string | Buffer): string {
  return Buffer.from(bytes).toString('base64url');
}

/** A token that is right but for what is given. */
function tokenOf({ header = HEADER, payload = PAYLOAD, signature = SIGNATURE } = {}): string {
  return [encode(header), encode(payload), signature].join('.');
}

/** A header that is right, with more members. */
function headerWith(members: string): string {
  return `{"alg":"HS256","kid":"web",${members}}`;
}

function read(value: string): Bearer {
  return readBearer(authorizationIn(['Host', 'hub', 'Authorization', value]));
}

function readToken(token: string): Bearer {
  return read(`Bearer ${token}`);
}

/** An object that fills a token, another one each time. */
function long(i: number): string {
  return `{"i":${i},"x":"${'x'.repeat(2800)}"}`;
}

/** Why it is not read: errors of any other kind come through. */
function refusalOf(reading: () => unknown): { reason: string; kid?: string | undefined } {
  try {
    reading();
  } catch (error) {
    if (error instanceof Unauthenticated) return { reason: error.reason, kid: error.kid };
    throw error;
  }
  return { reason: 'none' };
}

function reasonAgainst(token: string): string {
  return refusalOf(() => readToken(token)).reason;
}

/** A canonical token of just this many characters. */
function tokenOfLength(length: number): string {
  for (const padding of ['', ' ', '  ']) {
    const start = tokenOf({ payload: PAYLOAD + padding, signature: '' });
    const rest = length - start.length;
    if (rest % 4 !== 1) return start + 'A'.repeat(rest);
  }
  throw new Error('there is always one');
}

describe('the Authorization header', () => {
  it('is read into token, kid, alg and claims', () => {
    const claims = { aud: 'wechat-token-hub' };
    expect(readToken(TOKEN)).toEqual({ token: TOKEN, kid: 'web', alg: 'HS256', claims });
  });

  it.each(['Bearer', 'bearer', 'BEARER', 'bEaReR'])('may write the scheme as %s', (scheme) => {
    expect(read(`${scheme} ${TOKEN}`).token).toBe(TOKEN);
  });

  it('may hold several spaces after the scheme (RFC 9110 §11.4)', () => {
    expect(read(`Bearer   ${TOKEN}`).token).toBe(TOKEN);
  });

  it.each(['authorization', 'AUTHORIZATION', 'aUtHoRiZaTiOn'])('may be called %s', (name) => {
    expect(authorizationIn([name, `Bearer ${TOKEN}`])).toBe(`Bearer ${TOKEN}`);
  });

  it.each([
    ['empty', ''],
    ['the scheme alone', 'Bearer'],
    ['the scheme and a space', 'Bearer '],
    ['the token alone', TOKEN],
    ['another scheme', `Basic ${TOKEN}`],
    ['a scheme that only begins so', `BearerX ${TOKEN}`],
    ['no space', `Bearer${TOKEN}`],
    ['a colon', `Bearer:${TOKEN}`],
    ['a colon and a space', `Bearer: ${TOKEN}`],
    ['a tab', `Bearer\t${TOKEN}`],
    ['a space and a tab', `Bearer \t${TOKEN}`],
    ['a no-break space', `Bearer\u00a0${TOKEN}`],
    ['a space in front', ` Bearer ${TOKEN}`],
    ['a space behind', `Bearer ${TOKEN} `],
    ['a tab behind', `Bearer ${TOKEN}\t`],
    ['a line feed behind', `Bearer ${TOKEN}\n`],
    ['a comma behind', `Bearer ${TOKEN},`],
    ['two tokens', `Bearer ${TOKEN} ${TOKEN}`],
    ['two credentials', `Bearer ${TOKEN}, Bearer ${TOKEN}`],
    ['quotes', `Bearer "${TOKEN}"`],
    ['a parameter', `Bearer token=${TOKEN}`],
    ['the scheme twice', `Bearer Bearer ${TOKEN}`],
    ['a letter beyond ASCII', `Bearer ${TOKEN}\u017f`],
    ['a NUL behind', `Bearer ${TOKEN}\0`],
  ])('is refused: %s', (_, value) => {
    expect(refusalOf(() => read(value))).toEqual({ reason: NO_TOKEN, kid: undefined });
  });

  it('has to be there, and values are no names', () => {
    const reason = 'there is no Authorization header';
    expect(refusalOf(() => authorizationIn([])).reason).toBe(reason);
    expect(refusalOf(() => authorizationIn(['X-Authorization', `Bearer ${TOKEN}`])).reason).toBe(reason);
    expect(refusalOf(() => authorizationIn(['X', 'Authorization', 'Y', `Bearer ${TOKEN}`])).reason).toBe(reason);
    expect(refusalOf(() => authorizationIn(['Proxy-Authorization', `Bearer ${TOKEN}`])).reason).toBe(reason);
  });

  it.each([
    ['the same twice', ['Authorization', `Bearer ${TOKEN}`, 'Authorization', `Bearer ${TOKEN}`]],
    ['in two spellings', ['authorization', `Bearer ${TOKEN}`, 'Host', 'hub', 'AUTHORIZATION', 'Basic eDp5']],
    ['one of them empty', ['Authorization', '', 'Authorization', `Bearer ${TOKEN}`]],
  ])('must be the only one: %s', (_, rawHeaders) => {
    expect(refusalOf(() => authorizationIn(rawHeaders)).reason).toBe('there are several Authorization headers');
  });

  it('never makes anything but a bearer or a refusal, whatever it holds', () => {
    const reads = (rawHeaders: string[]): void => {
      expect(typeof refusalOf(() => readBearer(authorizationIn(rawHeaders))).reason).toBe('string');
    };
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (value) => reads(['Authorization', value])));
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (value) => reads(['Authorization', `Bearer ${value}`])));
    fc.assert(fc.property(fc.array(fc.string()), (rawHeaders) => reads(rawHeaders)));
  });
});

describe('the token', () => {
  it.each([1, 2, 4, 5, 6])('has three parts and not %d', (count) => {
    const token = Array.from({ length: count }, () => encode(HEADER)).join('.');
    expect(reasonAgainst(token)).toBe('the token has not three parts');
  });

  it.each([
    ['the header', `.${encode(PAYLOAD)}.${SIGNATURE}`, BAD_HEADER],
    ['the payload', `${encode(HEADER)}..${SIGNATURE}`, BAD_PAYLOAD],
    ['the signature', tokenOf({ signature: '' }), 'the signature is empty'],
    ['everything', '..', BAD_HEADER],
  ])('has no part that is empty: %s', (_, token, reason) => {
    expect(reasonAgainst(token)).toBe(reason);
  });

  it('has at most 4,096 characters', () => {
    expect(tokenOfLength(4096)).toHaveLength(4096);
    expect(reasonAgainst(tokenOfLength(4096))).toBe('none');
    expect(tokenOfLength(4097)).toHaveLength(4097);
    expect(reasonAgainst(tokenOfLength(4097))).toBe('the token is too long');
  });

  it.each([
    ['one = behind the header', `${encode(HEADER)}=.${encode(PAYLOAD)}.${SIGNATURE}`],
    ['two = behind the payload', `${encode(HEADER)}.${encode(PAYLOAD)}==.${SIGNATURE}`],
    ['= behind the signature', `${tokenOf()}=`],
    ['+ of the other alphabet', tokenOf({ signature: 'ab+d' })],
    ['/ of the other alphabet', tokenOf({ signature: 'ab/d' })],
    ['percent-encoding', tokenOf({ signature: 'ab%2Dd' })],
  ])('is written in the base64url of RFC 7515: no %s', (_, token) => {
    expect(reasonAgainst(token)).toBe(NO_TOKEN);
  });

  it('is canonical: a part of 4n + 1 characters says nothing', () => {
    const [header = '', payload = ''] = TOKEN.split('.');
    expect(reasonAgainst(tokenOf({ signature: 'abcde' }))).toBe(NOT_CANONICAL);
    expect(reasonAgainst(`${header.padEnd(37, 'A')}.${payload}.${SIGNATURE}`)).toBe(NOT_CANONICAL);
    expect(reasonAgainst(`${header}.${payload.padEnd(37, 'A')}.${SIGNATURE}`)).toBe(NOT_CANONICAL);
  });

  it('is canonical when Node would write the same for what it reads', () => {
    const letters = fc.string({ unit: fc.constantFrom(...Array.from(ALPHABET)), maxLength: 12 });
    fc.assert(
      fc.property(letters, (part) => {
        expect(isCanonical(part)).toBe(Buffer.from(part, 'base64url').toString('base64url') === part);
      }),
      { numRuns: 2000 },
    );
  });

  it('is canonical: bits behind the last byte are zero, in every part', () => {
    const spoilt = (part: string): string => {
      const last = part.length - 1;
      return part.slice(0, last) + ALPHABET.charAt(ALPHABET.indexOf(part.charAt(last)) + 1);
    };
    const ragged = fc.uint8Array({ minLength: 1, maxLength: 100 }).filter((bytes) => bytes.length % 3 !== 0);
    fc.assert(
      fc.property(ragged, fc.nat(2), (bytes, position) => {
        const good = encode(Buffer.from(bytes));
        const bad = spoilt(good);
        expect(Buffer.from(bad, 'base64url')).toEqual(Buffer.from(bytes));
        const parts = [encode(HEADER), encode(PAYLOAD), SIGNATURE];
        parts[position] = bad;
        expect(reasonAgainst(parts.join('.'))).toBe(NOT_CANONICAL);
        expect(reasonAgainst(tokenOf({ signature: good }))).toBe('none');
      }),
    );
  });
});

const part = (name: 'header' | 'payload', bytes: string | Buffer): string => {
  const parts = { header: encode(HEADER), payload: encode(PAYLOAD), [name]: encode(bytes) };
  return [parts.header, parts.payload, SIGNATURE].join('.');
};

const bytes = (hex: string): Buffer => Buffer.from(hex, 'hex');
const around = (odd: Buffer): Buffer => Buffer.concat([Buffer.from('{"kid":"web","alg":"'), odd, Buffer.from('"}')]);

describe.each([
  ['header', HEADER, BAD_HEADER, undefined],
  ['payload', PAYLOAD, BAD_PAYLOAD, 'web'],
] as const)('the %s', (name, good, reason, kid) => {
  const open = good.slice(0, -1);

  it.each<[string, string | Buffer]>([
    ['nothing', ' '],
    ['an array', '[]'],
    ['an array with the object', `[${good}]`],
    ['a text', '"text"'],
    ['a text with the object', JSON.stringify(good)],
    ['a number', '1'],
    ['null', 'null'],
    ['true', 'true'],
    ['cut short', open],
    ['two objects', `${good}${good}`],
    ['more behind', `${good}x`],
    ['a NUL behind', `${good}\0`],
    ['a trailing comma', `${open},}`],
    ['a comment', `/**/${good}`],
    ['a comment of a line', `${good}//`],
    ['single quotes', good.replaceAll('"', "'")],
    ['a bare name', `${open},a:1}`],
    ['NaN', `${open},"a":NaN}`],
    ['Infinity', `${open},"a":Infinity}`],
    ['a plus', `${open},"a":+1}`],
    ['a leading zero', `${open},"a":01}`],
    ['a hexadecimal', `${open},"a":0x1}`],
    ['no digit behind the point', `${open},"a":1.}`],
    ['undefined', `${open},"a":undefined}`],
    ['a control character in a text', `${open},"a":"\u0001"}`],
    ['a line feed in a text', `${open},"a":"\n"}`],
    ['an unknown escape', `${open},"a":"\\x41"}`],
    ['a broken escape', `${open},"a":"\\u12"}`],
    ['a no-break space around', `\u00a0${good}`],
    ['a BOM', `\ufeff${good}`],
    ['UTF-16', Buffer.from(good, 'utf16le')],
    ['Latin-1', around(bytes('e9'))],
    ['a byte that is never UTF-8', around(bytes('ff'))],
    ['a cut UTF-8 sequence', around(bytes('e282'))],
    ['an overlong NUL', around(bytes('c080'))],
    ['an overlong slash', around(bytes('c0af'))],
    ['a surrogate in UTF-8', around(bytes('eda080'))],
    ['beyond Unicode', around(bytes('f4908080'))],
  ])('is one JSON object in UTF-8 and not %s', (_, written) => {
    expect(refusalOf(() => readToken(part(name, written)))).toEqual({ reason, kid });
  });

  it.each([
    ['white space around', ` \t\r\n${good}\n`],
    ['escapes', good.replace('"HS256"', '"\\u0048S256"')],
    ['text beyond ASCII', `${open},"名":"令牌 😀"}`],
    ['members of the same name in other objects', `${open},"a":{"x":1},"b":{"x":1},"x":[{"x":1},{"x":1}]}`],
    ['names that differ in case', `${open},"a":1,"A":1}`],
  ])('may have %s', (_, written) => {
    expect(reasonAgainst(part(name, written))).toBe('none');
  });

  it.each([
    ['kid', `{"kid":"web","alg":"HS256","kid":"web"}`],
    ['aud', `{"aud":"wechat-token-hub","kid":"web","alg":"HS256","aud":"wechat-token-hub"}`],
    ['a name in escapes', `${open},"exp":1,"\\u0065xp":2}`],
    ['an escaped solidus', `${open},"a/b":1,"a\\/b":2}`],
    ['the empty name', `${open},"":1,"":2}`],
    ['__proto__', `${open},"__proto__":1,"__proto__":2}`],
    ['constructor', `${open},"constructor":1,"constructor":2}`],
    ['within a member', `${open},"a":{"x":1,"x":1}}`],
    ['within an array', `${open},"a":[0,[{"x":1,"x":1}]]}`],
    ['deep down in escapes', `${open},"a":{"b":[{"x":1,"\\u0078":1}]}}`],
    ['a name beyond ASCII', `${open},"名":1,"\\u540d":2}`],
  ])('has no duplicate member: %s', (_, written) => {
    expect(refusalOf(() => readToken(part(name, written)))).toEqual({ reason, kid });
  });

  it.each([
    ['arrays', '[', ']'],
    ['objects', '{"a":', '}'],
  ])('is at most 8 deep: %s', (_, opening, closing) => {
    const deep = (levels: number): string => `${open},"a":${opening.repeat(levels - 1)}1${closing.repeat(levels - 1)}}`;
    expect(reasonAgainst(part(name, deep(8)))).toBe('none');
    expect(refusalOf(() => readToken(part(name, deep(9))))).toEqual({ reason, kid });
    expect(refusalOf(() => readToken(part(name, deep(200))))).toEqual({ reason, kid });
  });

  it('may be any JSON object, and then it is read or refused', () => {
    const object = fc.dictionary(fc.string(), fc.jsonValue());
    const notAnObject = fc.uint8Array({ minLength: 1 }).filter((written) => !written.includes('{'.charCodeAt(0)));
    fc.assert(
      fc.property(object, (members) => {
        const written = JSON.stringify({ ...members, ...(JSON.parse(good) as object) });
        expect(['none', reason, 'the typ is no text']).toContain(reasonAgainst(part(name, written)));
      }),
    );
    fc.assert(
      fc.property(notAnObject, (written) => {
        expect(reasonAgainst(part(name, Buffer.from(written)))).toBe(reason);
      }),
    );
  });
});

describe('the members of the header', () => {
  it.each(['crit', 'b64', 'zip', 'jku', 'jwk', 'x5u', 'x5c', 'cty'])('%s is refused, whatever its value', (member) => {
    for (const value of ['null', 'false', '""', '[]', '["exp"]', '{}', '"https://evil.example/keys"']) {
      const token = tokenOf({ header: headerWith(`"${member}":${value}`) });
      expect(refusalOf(() => readToken(token))).toEqual({ reason: `the header has ${member}`, kid: 'web' });
    }
    const escaped = `\\u00${member.charCodeAt(0).toString(16)}${member.slice(1)}`;
    expect(reasonAgainst(tokenOf({ header: headerWith(`"${escaped}":1`) }))).toBe(`the header has ${member}`);
  });

  it.each(['x5t', 'x5t#S256', 'CRIT', 'crits', 'x-tenant', '__proto__', 'toString'])(
    '%s is none of our business',
    (member) => {
      expect(readToken(tokenOf({ header: headerWith(`"${member}":1`) }))).toMatchObject({ kid: 'web', alg: 'HS256' });
    },
  );

  it.each([
    ['missing', undefined],
    ['null', null],
    ['a number', 1],
    ['true', true],
    ['an array', ['web']],
    ['an object', { web: 'web' }],
    ['empty', ''],
    ['of 65 characters', 'a'.repeat(65)],
    ['a huge number', 1e300],
    ['with a space', 'web client'],
    ['with a space behind', 'web '],
    ['with a line feed behind', 'web\n'],
    ['with a NUL', 'web\0'],
    ['with an escape sequence', '\u001b[31mweb'],
    ['a path', '../../dev/null'],
    ['with a slash', 'a/b'],
    ['a query', "x' OR '1'='1"],
    ['beyond ASCII', 'wéb'],
    ['with a letter that looks the same', 'w\u0435b'],
    ['a lone surrogate', '\ud800'],
    ['beginning with a dot', '.web'],
  ])('a kid that is %s is none, and is not repeated', (_, kid) => {
    const token = tokenOf({ header: JSON.stringify({ alg: 'HS256', kid }) });
    expect(refusalOf(() => readToken(token))).toEqual({ reason: 'the kid is no kid', kid: undefined });
  });

  const hash = '-gN4yJqkVtTq0hSgSx1nyfN_s4ItvxsKGkDwSYoYUj8';
  it.each(['a', '0', 'A.b_c-d', 'constructor', 'a'.repeat(64), hash, '_', '__proto__'])('a kid may be %s', (kid) => {
    expect(readToken(tokenOf({ header: JSON.stringify({ alg: 'HS256', kid }) })).kid).toBe(kid);
  });

  it.each([
    ['missing', undefined],
    ['null', null],
    ['a number', 256],
    ['an array', ['HS256']],
    ['an object', { HS256: true }],
    ['true', true],
  ])('an alg that is %s is none', (_, alg) => {
    const token = tokenOf({ header: JSON.stringify({ alg, kid: 'web' }) });
    expect(refusalOf(() => readToken(token))).toEqual({ reason: 'the alg is no text', kid: 'web' });
  });

  it.each([null, 1, ['JWT'], {}, false])('a typ that is %j is none', (typ) => {
    const token = tokenOf({ header: headerWith(`"typ":${JSON.stringify(typ)}`) });
    expect(refusalOf(() => readToken(token))).toEqual({ reason: 'the typ is no text', kid: 'web' });
  });

  it.each(['JWT', 'jwt', 'at+jwt'])('a typ may be %s', (typ) => {
    expect(reasonAgainst(tokenOf({ header: headerWith(`"typ":"${typ}"`) }))).toBe('none');
  });
});

describe('what is remembered of headers', () => {
  /** As plainly as it can be said: letters, JSON, members. */
  function isHeader(part: string): boolean {
    const bytes = Buffer.from(part, 'base64url');
    const text = bytes.toString();
    if (bytes.toString('base64url') !== part || !Buffer.from(text).equals(bytes)) return false;
    try {
      const header = JSON.parse(text) as Record<string, unknown>;
      const { kid, alg, typ, ...others } = header;
      return (
        text.startsWith('{') &&
        text === JSON.stringify(header) &&
        typeof kid === 'string' &&
        /^[\w-][\w.-]{0,63}$/.test(kid) &&
        typeof alg === 'string' &&
        ['undefined', 'string'].includes(typeof typ) &&
        !['crit', 'b64', 'zip', 'jku', 'jwk', 'x5u', 'x5c', 'cty'].some((member) => member in others)
      );
    } catch {
      return false;
    }
  }

  it('lets nothing in that would not be let in at first', () => {
    const headers = fc
      .record(
        {
          alg: fc.constantFrom('HS256', 'none', 'hs256', 1, null),
          kid: fc.constantFrom('web', 'WEB', 'web ', '', 'w\u0435b', 1),
          typ: fc.constantFrom('JWT', 1, null),
          crit: fc.constantFrom([], ['exp']),
          x: fc.constantFrom('y', 'é'),
        },
        { requiredKeys: [] },
      )
      .map((header) => encode(JSON.stringify(header)));
    const known = fc.constantFrom(encode(HEADER), encode(headerWith('"typ":"JWT"')));
    const letters = fc.constantFrom(...Array.from(ALPHABET));
    const changed = fc.tuple(known, fc.nat(60), fc.constantFrom(0, 1), letters, fc.boolean()).map(
      // One letter is put in, or is another; and the end may be missing.
      ([part, at, left, letter, isCut]) =>
        (part.slice(0, at) + letter + part.slice(at + left)).slice(0, isCut ? -1 : undefined),
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(known, headers, changed), { minLength: 1, maxLength: 5 }), (parts) => {
        for (const part of parts.concat(parts)) {
          const token = `${part}.${encode(PAYLOAD)}.${SIGNATURE}`;
          const isRead = reasonAgainst(token) === 'none';
          expect([part, isRead]).toEqual([part, isHeader(part)]);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it.each([
    [
      'tokens are long whose headers are known',
      (i: number) => ({ header: headerWith(`"i":${i % 1001}`), payload: long(i) }),
    ],
    ['headers are long', (i: number) => ({ header: headerWith(long(i).slice(1, -1)) })],
  ])('costs next to no memory where %s', (_, partsOf) => {
    const before = heapInUse();
    for (let i = 0; i < 2002; i += 1) reasonAgainst(tokenOf(partsOf(i)));
    expect(heapInUse() - before).toBeLessThan(1_500_000);
  });
});

describe('the kid at a glance', () => {
  it.each([
    ['that of a good token', `Bearer ${TOKEN}`, 'web'],
    ['that of a token whose rest is anything', `bearer ${encode(HEADER)}.x`, 'web'],
    ['none without a dot', `Bearer ${encode(HEADER)}`, undefined],
    ['none in another scheme', `Basic ${TOKEN}`, undefined],
    ['none that is no text', `Bearer ${encode('{"kid":["web"]}')}.x`, undefined],
    ['none in what is no object', `Bearer ${encode('null')}.x`, undefined],
    ['none in what is no JSON', `Bearer ${encode('web')}.x`, undefined],
    [
      'none in a header that takes long to read',
      `Bearer ${encode(headerWith(`"x":"${'x'.repeat(200)}"`))}.x`,
      undefined,
    ],
    ['none in nothing', '', undefined],
  ])('is %s', (_, authorization, kid) => {
    expect(kidAtAGlance(authorization)).toBe(kid);
  });
});
