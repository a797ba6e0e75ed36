import { accessSync, constants, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { Kind } from '../hub-api.js';
import { jwtFile, readSecret } from '../node.js';
import { type Jwt, sharedKey } from '../shared-key.js';
import { APP_NAME, flawOfUrl } from '../wechat-hub.js';

/** What the sidecar is told. */
export interface Settings {
  readonly url: string;
  readonly jwt: Jwt;
  readonly app: string;
  readonly kind: Kind;
  /** The file to keep, as an absolute path. */
  readonly file: string;
}

/** The settings are such that nothing can be done with them. */
export class BadSettings extends Error {
  /** @param faults all of them; they name settings, never values. */
  constructor(readonly faults: readonly string[]) {
    const count = faults.length === 1 ? 'a fault' : `${faults.length} faults`;
    super(`The settings have ${count}:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`);
    this.name = 'BadSettings';
  }
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Notes a fault, where there is one. */
type Note = (setting: string, flaw: string | undefined) => void;

const OPTIONS = ['file', 'app', 'kind', 'type'] as const;

/**
 * Reads the command line and the environment.
 * @throws BadSettings with every fault at once.
 */
export function readSettings(args: readonly string[], environment: Environment): Settings {
  const faults: string[] = [];
  const note: Note = (setting, flaw) => {
    if (flaw !== undefined) faults.push(`${setting}: ${flaw}`);
  };
  const options = readOptions(args, note);
  const url = environment['WECHAT_HUB_URL'] ?? '';
  const file = resolve(options.file ?? '');
  const app = options.app ?? 'default';
  note('WECHAT_HUB_URL', flawOfUrl(url));
  note('--file', options.file ? flawOfFolder(dirname(file)) : 'the file to keep is wanted');
  note('--app', APP_NAME.test(app) ? undefined : `must be like ${APP_NAME.source}`);
  const kind = readKind(options, note);
  const jwt = readJwt(environment, note);
  if (faults.length > 0) throw new BadSettings(faults);
  return { url, jwt, app, kind, file };
}

type Options = Readonly<Partial<Record<(typeof OPTIONS)[number], string>>>;

function readOptions(args: readonly string[], note: Note): Options {
  const known = Object.fromEntries(OPTIONS.map((name) => [name, { type: 'string' } as const]));
  // Strict, it would tell the first fault only.
  const { values, tokens } = parseArgs({ args: [...args], options: known, strict: false, tokens: true });
  for (const token of tokens) {
    if (token.kind === 'positional') note('command line', 'only options are wanted, each with its value');
    if (token.kind !== 'option') continue;
    if (!(token.name in known)) note(token.rawName, 'there is no such option');
    else if (!token.value) note(token.rawName, 'a value is wanted');
  }
  return Object.fromEntries(Object.entries(values).filter(([, value]) => typeof value === 'string'));
}

function readKind({ kind = 'access-token', type }: Options, note: Note): Kind {
  if (kind === 'ticket') {
    note('--type', type ? undefined : 'the type of the ticket is wanted, as jsapi');
    return { kind, type: type ?? '' };
  }
  note('--kind', kind === 'access-token' ? undefined : 'must be access-token or ticket');
  note('--type', type === undefined ? undefined : 'is for --kind ticket');
  return { kind: 'access-token' };
}

function readJwt(environment: Environment, note: Note): Jwt {
  const read = (name: string): string | undefined => environment[`WECHAT_HUB_${name}`];
  const [tokenFile, kid, key, keyFile] = ['TOKEN_FILE', 'KID', 'KEY', 'KEY_FILE'].map(read);
  const hasKey = kid !== undefined || key !== undefined || keyFile !== undefined;
  if (tokenFile !== undefined) {
    note('WECHAT_HUB_TOKEN_FILE', hasKey ? 'is set, and a key, too: one of them is wanted' : flawOfFile(tokenFile));
    return jwtFile(tokenFile);
  }
  if (!hasKey) {
    note('WECHAT_HUB_TOKEN_FILE', 'is not set, nor are WECHAT_HUB_KID and WECHAT_HUB_KEY: who asks?');
    return nobody;
  }
  note('WECHAT_HUB_KID', kid?.trim() ? undefined : 'the name of the client is wanted');
  if (keyFile === undefined)
    note('WECHAT_HUB_KEY', key?.trim() ? undefined : 'the key is wanted, or WECHAT_HUB_KEY_FILE');
  else note('WECHAT_HUB_KEY_FILE', key === undefined ? flawOfFile(keyFile) : 'is set, and WECHAT_HUB_KEY, too');
  const secret = keyFile === undefined ? key?.trim() : () => readSecret(keyFile);
  return kid && secret ? sharedKey({ kid: kid.trim(), secret }) : nobody;
}

/** In the place of what cannot be, when its fault has been noted. */
const nobody: Jwt = () => '';

function flawOfFile(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim() === '' ? 'the file is blank' : undefined;
  } catch (error) {
    return `the file cannot be read (${codeOf(error)})`;
  }
}

function flawOfFolder(folder: string): string | undefined {
  try {
    accessSync(`${folder}/.`, constants.W_OK);
    return undefined;
  } catch (error) {
    return `its folder cannot be written to (${codeOf(error)})`;
  }
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'unknown error';
}
