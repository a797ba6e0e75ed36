import { isUtf8 } from 'node:buffer';
import { readFileSync, statSync } from 'node:fs';
import { dirname, isAbsolute, resolve } from 'node:path';
import { Secret } from './secret.js';

/** The process environment, or a stand-in for it. */
export type Environment = Readonly<Record<string, string | undefined>>;

const MAX_SECRET_BYTES = 64 * 1024;

/** Tells what is wrong with a secret that cannot be read, in words that hold no value. */
export class UnreadableSecret extends Error {}

/**
 * Finds secrets where the operator put them: in a variable `X`, in the file that `X_FILE` names, or in a file named by
 * the configuration file. Remembers every file it looked at, because a change of any of them is a new configuration.
 */
export class SecretReader {
  readonly files = new Set<string>();

  constructor(private readonly environment: Environment) {}

  /** Whether the variable, or its `_FILE` form, is set at all. */
  isSet(variable: string): boolean {
    return this.environment[variable] !== undefined || this.environment[`${variable}_FILE`] !== undefined;
  }

  /**
   * The secret in a variable or in the file that its `_FILE` form names.
   * @throws UnreadableSecret when neither or both are set, when the file cannot be read, or when it is blank.
   */
  fromVariable(variable: string): Secret {
    const value = this.environment[variable];
    const path = this.environment[`${variable}_FILE`];
    if (value !== undefined && path !== undefined) {
      throw new UnreadableSecret(`set ${variable} or ${variable}_FILE, not both`);
    }
    if (path === '') throw new UnreadableSecret(`${variable}_FILE names no file`);
    if (path !== undefined) return this.fromFile(path);
    if (value === undefined) throw new UnreadableSecret(`the variable ${variable} is not set, nor ${variable}_FILE`);
    return notBlank(value);
  }

  /**
   * The secret in a file, one trailing newline removed. A relative path starts at `base`.
   * @throws UnreadableSecret when the file cannot be read or is blank.
   */
  fromFile(path: string, base = process.cwd()): Secret {
    const file = isAbsolute(path) ? path : resolve(base, path);
    this.files.add(file);
    return notBlank(readText(file).replace(/\r?\n$/, ''));
  }

  /**
   * The secret to which the configuration file, in the folder `base`, refers.
   * @throws UnreadableSecret as the others do.
   */
  referred(reference: { readonly env: string } | { readonly file: string }, base: string): Secret {
    return 'env' in reference ? this.fromVariable(reference.env) : this.fromFile(reference.file, base);
  }
}

/** The folders to watch for changes of these files: Kubernetes swaps a link beside the file, not the file. */
export function foldersOf(files: Iterable<string>): Set<string> {
  return new Set([...files].map((file) => dirname(file)));
}

function readText(file: string): string {
  try {
    if (statSync(file).size > MAX_SECRET_BYTES) throw new UnreadableSecret('the file is larger than 64 KiB');
    const bytes = readFileSync(file);
    // Raw bytes taken for text would quietly become another secret.
    if (!isUtf8(bytes)) throw new UnreadableSecret('the file is not UTF-8 text');
    return bytes.toString('utf8');
  } catch (error) {
    if (error instanceof UnreadableSecret) throw error;
    throw new UnreadableSecret(`the file cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`);
  }
}

function notBlank(value: string): Secret {
  if (value.trim() === '') throw new UnreadableSecret('is blank');
  return new Secret(value);
}
