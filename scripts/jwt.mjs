// Prints a JWT for a try: npm run --silent jwt -- --kid web [--ttl 5m]
// It is signed with JWT_KEY_web, or with what the file named by JWT_KEY_web_FILE holds.
import jwt from 'jsonwebtoken';
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

const USAGE = 'usage: npm run --silent jwt -- --kid NAME [--ttl 5m]   (s, m, h or d; 1h unless told)';

/** Ends with what is wrong, on stderr, so that nothing but a token ever comes out of stdout. */
function refuse(reason) {
  process.stderr.write(`${reason}\n${USAGE}\n`);
  process.exit(64);
}

function readOptions() {
  try {
    return parseArgs({ options: { kid: { type: 'string' }, ttl: { type: 'string', default: '1h' } } }).values;
  } catch (error) {
    return refuse(error.message);
  }
}

function readKey(variable) {
  const file = process.env[`${variable}_FILE`];
  try {
    const key = file === undefined ? process.env[variable] : readFileSync(file, 'utf8').replace(/\r?\n$/, '');
    return key?.trim()
      ? key
      : refuse(`${variable} is not set: put the key of the client into it, or a file of it into ${variable}_FILE.`);
  } catch (error) {
    return refuse(`${variable}_FILE cannot be read (${error.code}).`);
  }
}

const { kid, ttl } = readOptions();
if (!kid) refuse('Which client? Name its kid.');
const [, amount, unit] =
  /^([1-9]\d{0,5})([smhd])$/.exec(ttl) ?? refuse('The ttl must be a number and one of s, m, h, d.');
const seconds = Number(amount) * { s: 1, m: 60, h: 3600, d: 86_400 }[unit];
const token = jwt.sign({ aud: 'wechat-token-hub' }, readKey(`JWT_KEY_${kid}`), { keyid: kid, expiresIn: seconds });
process.stdout.write(`${token}\n`);
