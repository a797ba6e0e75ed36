// Prints a JWT for a try: npm run --silent jwt -- --kid web [--ttl 5m] [--key private.pem [--alg PS256]]
// It is signed with JWT_KEY_web, or with what the file named by JWT_KEY_web_FILE holds, or with the private key.
import { SignJWT } from 'jose';
import { createPrivateKey, createSecretKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

const USAGE =
  'usage: npm run --silent jwt -- --kid NAME [--ttl 5m] [--key private.pem [--alg ALG]]   (s, m, h or d; 1h unless told)';

/** What a private key of a kind signs with, unless told otherwise. */
const ALGORITHMS = { rsa: ['RS256', 'PS256'], ec: ['ES256'], ed25519: ['EdDSA'] };

/** Of sysexits.h: the command was used wrongly. */
const EX_USAGE = 64;

/** Ends with what is wrong, on stderr, so that nothing but a token ever comes out of stdout. */
function refuse(reason) {
  process.stderr.write(`${reason}\n${USAGE}\n`);
  // At once: what comes after it would go on without what was refused.
  process.exit(EX_USAGE);
}

function readOptions() {
  const text = { type: 'string' };
  try {
    return parseArgs({ options: { kid: text, ttl: { ...text, default: '1h' }, key: text, alg: text } }).values;
  } catch (error) {
    return refuse(error.message);
  }
}

function readText(file, name) {
  try {
    return readFileSync(file, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    return refuse(`${name} cannot be read (${error.code}).`);
  }
}

function sharedKey(variable) {
  const file = process.env[`${variable}_FILE`];
  const key = file === undefined ? process.env[variable] : readText(file, `${variable}_FILE`);
  return key?.trim()
    ? createSecretKey(Buffer.from(key))
    : refuse(`${variable} is not set: put the key of the client into it, or a file of it into ${variable}_FILE.`);
}

function privateKey(file) {
  const text = readText(file, 'The private key');
  try {
    return createPrivateKey(text);
  } catch {
    return refuse('The private key is none in PEM.');
  }
}

const { kid, ttl, key: file, alg: wanted } = readOptions();
if (!kid) refuse('Which client? Name its kid.');
const [, amount, unit] =
  /^([1-9]\d{0,5})([smhd])$/.exec(ttl) ?? refuse('The ttl must be a number and one of s, m, h, d.');
const seconds = Number(amount) * { s: 1, m: 60, h: 3600, d: 86_400 }[unit];

const key = file === undefined ? sharedKey(`JWT_KEY_${kid}`) : privateKey(file);
const able = key.type === 'secret' ? ['HS256'] : (ALGORITHMS[key.asymmetricKeyType] ?? []);
const alg = wanted ?? able[0];
if (!able.includes(alg)) refuse(`The key signs with ${able.join(' or ') || 'nothing that the hub knows'}.`);
const now = Math.floor(Date.now() / 1000);
const token = await new SignJWT({ aud: 'wechat-token-hub', iat: now, exp: now + seconds })
  .setProtectedHeader({ alg, typ: 'JWT', kid })
  .sign(key)
  .catch(() => refuse(`The key cannot sign with ${alg}.`));
process.stdout.write(`${token}\n`);
