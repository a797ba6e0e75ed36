import { chmodSync, chownSync, readFileSync, realpathSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { SecretsFile, SecretsFileRefused } from './secrets-file.js';

const USAGE = `usage: npm run --silent secret -- issue  --client NAME --app NAME [--config FILE] [--print]
       npm run --silent secret -- revoke --client NAME --app NAME [--digest BEGINNING] [--config FILE]
       npm run --silent secret -- list [--config FILE]
  --config  the configuration file; HUB_CONFIG unless told
  --print   leaves the file alone, and says what to write into it
  --digest  which secret; the older one unless told
A hub that runs follows the file.`;

/** EX_USAGE and EX_CANTCREAT of sysexits.h. */
const EX_USAGE = 64;
const EX_CANTCREAT = 73;

try {
  process.exitCode = run(process.argv.slice(2));
} catch (error) {
  const { code, message } = error as NodeJS.ErrnoException;
  const isUsage = error instanceof SecretsFileRefused || code?.startsWith('ERR_PARSE_ARGS');
  process.stderr.write(isUsage ? `${message}\n` : `The file cannot be read or written (${code ?? message}).\n`);
  process.exitCode = isUsage ? EX_USAGE : EX_CANTCREAT;
}

function run(words: readonly string[]): number {
  const text = { type: 'string' } as const;
  const { values, positionals } = parseArgs({
    args: [...words],
    options: { client: text, app: text, digest: text, config: text, print: { type: 'boolean', default: false } },
    allowPositionals: true,
  });
  const { client, app, config: path = process.env['HUB_CONFIG'] } = values;
  const [command] = positionals;
  const isAboutOne = command === 'issue' || command === 'revoke';
  if (positionals.length !== 1 || !(isAboutOne || command === 'list') || (isAboutOne && !(client && app))) {
    process.stderr.write(`${USAGE}\n`);
    return EX_USAGE;
  }
  if (path === undefined) throw new SecretsFileRefused('There is no configuration file: set HUB_CONFIG, or --config.');
  const file = new SecretsFile(readFileSync(path, 'utf8'));
  if (command === 'list') {
    for (const { client, app, digests } of file.list()) process.stdout.write(`${client} ${app} ${digests.join(' ')}\n`);
    return 0;
  }
  if (command === 'issue') {
    const secret = file.issue(client ?? '', app ?? '');
    if (!values.print) replace(path, file.text);
    const digest =
      file
        .list()
        .find((one) => one.client === client && one.app === app)
        ?.digests.at(-1) ?? '';
    process.stderr.write(
      values.print
        ? `Add ${digest} to clients.${client}.secrets.${app}, which is a list.\n`
        : `${client} has one more secret for ${app}, kept as ${digest}. It is shown this once:\n`,
    );
    process.stdout.write(`${secret}\n`);
    return 0;
  }
  const revoked = file.revoke(client ?? '', app ?? '', values.digest);
  replace(path, file.text);
  process.stdout.write(`Revoked ${revoked}: it, and every virtual token given for it, is good for nothing any more.\n`);
  return 0;
}

/** Whoever reads meanwhile sees the old file or the new one, never half of one. */
function replace(path: string, text: string): void {
  const file = realpathSync(path);
  const fresh = `${file}.new`;
  const { mode, uid, gid } = statSync(file);
  writeFileSync(fresh, text, { mode: 0o600 });
  // Whoever may read the old one may read the new one: the hub, where it is root that issues.
  if (process.getuid?.() === 0) chownSync(fresh, uid, gid);
  chmodSync(fresh, mode);
  renameSync(fresh, file);
}
