import { createSecretKey } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readBearer, Unauthenticated } from '../src/auth/bearer.js';
import { isSignedWith } from '../src/auth/signature.js';

const BESIDE = join(fileURLToPath(new URL('..', import.meta.url)), '..', 'shared', 'wycheproof');
/** The HMAC groups of C2SP/wycheproof, testvectors_v1: they lie beside the project, or where this says that they do. */
const { WYCHEPROOF_DIR: FOLDER = existsSync(BESIDE) ? BESIDE : '' } = process.env;
const WHAT_TO_DO =
  'put the HMAC groups of the test vectors of C2SP/wycheproof into ../shared/wycheproof, or name their folder in WYCHEPROOF_DIR';

interface Key {
  readonly kty: string;
  readonly kid: string;
  readonly use: 'sig' | 'enc';
  readonly k?: string;
}

interface Vector {
  readonly id: string;
  readonly comment: string;
  /** A token as it is sent; those that are written as JSON are that text. */
  readonly token: string;
  readonly keys: readonly Key[];
  readonly valid: boolean;
}

interface Group {
  readonly private: Key | { readonly keys: readonly Key[] };
  readonly tests: readonly {
    readonly tcId: number;
    readonly comment: string;
    readonly result: string;
    readonly jws?: unknown;
    readonly jwe?: unknown;
  }[];
}

const SIGNATURES = 'json_web_signature_test.hs256.json';
const CRYPTO = 'json_web_crypto_test.hmac.json';

/** Labels that are wrong: the first two are, byte for byte, the valid token of 357; the others have a `?` in them. */
const MISLABELLED = new Set([367, 370, 372, 373].map((id) => `${SIGNATURES} ${id}`));
/** A set of a shared and a public key, which is refused as a set: by the reader of keys, not by the verifier. */
const MIXED_SET = `${CRYPTO} 47`;

function vectorsOf(file: string): Vector[] {
  const path = join(FOLDER, file);
  if (!existsSync(path)) throw new Error(`There is no ${path}: ${WHAT_TO_DO}.`);
  const { testGroups } = JSON.parse(readFileSync(path, 'utf8')) as { readonly testGroups: readonly Group[] };
  return testGroups.flatMap(({ private: written, tests }) => {
    const keys = 'keys' in written ? written.keys : [written];
    return tests.map(({ tcId, comment, result, jws, jwe }) => {
      const [id, token] = [`${file} ${tcId}`, jws ?? jwe];
      const valid = (result === 'valid') !== MISLABELLED.has(id);
      return { id, comment, token: typeof token === 'string' ? token : JSON.stringify(token), keys, valid };
    });
  });
}

/**
 * Whether the signature holds, for a verifier that knows these keys: as a hub reads a token and verifies it, but for what
 * is in the payload, which in these vectors is no JWT's.
 */
function holds({ token, keys }: Vector): boolean {
  try {
    readBearer(`Bearer ${token}`);
  } catch (error) {
    if (!(error instanceof Unauthenticated)) throw error;
    if (error.reason !== 'the payload is not a plain JSON object') return false;
  }
  const header = Buffer.from(token.split('.')[0] ?? '', 'base64url').toString();
  const { kid, alg } = JSON.parse(header) as { kid: string; alg: string };
  const key = keys.find((each) => each.kid === kid && each.use === 'sig');
  return isSignedWith(createSecretKey(key?.k ?? '', 'base64url'), { alg, token });
}

// Without them, one line says so; where somebody said that they are, they have to be.
if (FOLDER === '') process.stderr.write(`Not tried: the vectors of Wycheproof. To try them, ${WHAT_TO_DO}.\n`);
const where = FOLDER === '' ? describe.skip : describe;

where('the vectors of Wycheproof for HS256', () => {
  const all =
    FOLDER === '' ? [] : [...vectorsOf(SIGNATURES), ...vectorsOf(CRYPTO)].filter(({ id }) => id !== MIXED_SET);
  const isEncrypted = ({ keys }: Vector): boolean => keys.some(({ use }) => use === 'enc');
  const signed = all.filter((vector) => !isEncrypted(vector));

  it('are all there', () => {
    expect([all.length, signed.length, signed.filter(({ valid }) => valid).length]).toEqual([76, 59, 12]);
  });

  it.each(['valid', 'invalid'])('are judged as they should be: those that are %s', (label) => {
    const labelled = signed.filter(({ valid }) => valid === (label === 'valid'));
    expect(labelled.filter((vector) => holds(vector) !== vector.valid)).toEqual([]);
  });

  it('are refused one and all where they are encrypted instead of signed', () => {
    expect(all.filter(isEncrypted).filter(holds)).toEqual([]);
  });
});
