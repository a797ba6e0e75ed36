import { createReadStream } from 'node:fs';
import { buffer } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import { parseKeys } from '../config/random-keys.js';
import { SecretReader, UnreadableSecret } from '../config/secret-reader.js';
import { AuditKeys } from './keys.js';
import { type Finding, Verifier } from './verifier.js';

const USAGE = `usage: node dist/audit/main.js verify [--last NUMBER] [--restarts] FILE…
       node dist/audit/main.js fingerprint < VALUE
  FILE        files of one audit, the oldest first; - is stdin
  --last      the number of the last record, as it is known from elsewhere
  --restarts  chains may begin anew, as they do on stdout
The key is AUDIT_KEY, or STORE_KEY, or in the file that AUDIT_KEY_FILE or STORE_KEY_FILE names.`;

/** EX_USAGE and EX_NOINPUT of sysexits.h: nothing was verified, which is neither good nor bad. */
const EX_USAGE = 64;
const EX_NOINPUT = 66;

class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** The same keys as the hub has: those of the audit, or else those of the store. */
function readKeys(): AuditKeys | undefined {
  const secrets = new SecretReader(process.env);
  const variable = ['AUDIT_KEY', 'STORE_KEY'].find((name) => secrets.isSet(name));
  if (variable === undefined) return undefined;
  try {
    const secret = secrets.fromVariable(variable);
    if (parseKeys(secret.reveal())) return new AuditKeys(secret);
    throw new UnreadableSecret('must be 32 random bytes in base64, or several such, newest first');
  } catch (error) {
    throw error instanceof UnreadableSecret ? new Refused(EX_USAGE, `${variable}: ${error.message}`) : error;
  }
}

async function verify(files: readonly string[], last: number, mayBeginAnew: boolean): Promise<number> {
  const keys = readKeys();
  let faults = 0;
  const tell = ({ file, line, text, isFault }: Finding): void => {
    if (isFault) faults += 1;
    process.stdout.write(`${file}:${line}: ${isFault ? '' : 'note: '}${text}\n`);
  };
  const verifier = new Verifier(tell, { ...(keys && { keys }), mayBeginAnew });
  for (const file of files) {
    try {
      await verifier.read(file, (file === '-' ? process.stdin : createReadStream(file)) as AsyncIterable<Buffer>);
    } catch (error) {
      throw new Refused(EX_NOINPUT, `${file} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`);
    }
  }
  verifier.end();
  if ((verifier.last ?? 0) < last) {
    faults += 1;
    process.stdout.write(`The end is missing: the last record is ${verifier.last ?? 0}, and ${last} is known.\n`);
  }
  const { records, first = 0 } = verifier;
  const from = records === 0 ? '' : `, ${first} to ${verifier.last ?? 0}`;
  const signed = keys ? '' : '; without a key it was not looked at who wrote them';
  process.stdout.write(`${records} record(s)${from}: ${faults === 0 ? 'in order' : `${faults} fault(s)`}${signed}.\n`);
  return faults === 0 ? 0 : 1;
}

async function fingerprint(): Promise<number> {
  const keys = readKeys();
  if (!keys) throw new Refused(EX_USAGE, 'AUDIT_KEY is not set, nor STORE_KEY: a fingerprint is made with the key.');
  const value = (await buffer(process.stdin)).toString().replace(/\r?\n$/, '');
  if (value === '') throw new Refused(EX_USAGE, 'There is no value on stdin.');
  process.stdout.write(`${keys.fingerprints(value).join('\n')}\n`);
  return 0;
}

function run(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { last: { type: 'string', default: '0' }, restarts: { type: 'boolean', default: false } },
  });
  const [command, ...files] = positionals;
  if (command === 'verify' && files.length > 0 && /^\d{1,15}$/.test(values.last)) {
    return verify(files, Number(values.last), values.restarts);
  }
  if (command === 'fingerprint' && files.length === 0) return fingerprint();
  throw new Refused(EX_USAGE, 'What is to be done?');
}

try {
  process.exitCode = await run();
} catch (error) {
  const isUsage = error instanceof TypeError && 'code' in error;
  if (!(error instanceof Refused) && !isUsage) throw error;
  process.stderr.write(`${error.message}\n${USAGE}\n`);
  process.exitCode = error instanceof Refused ? error.status : EX_USAGE;
}
