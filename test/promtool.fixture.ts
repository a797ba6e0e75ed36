import { spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const WHAT_TO_DO = 'These tests need promtool: put it on the PATH (Debian, Ubuntu: apt-get install prometheus).';
const FOLDER = 'build/promtool';

/** What promtool said, all of it, and whether it was content. */
export interface Verdict {
  readonly ok: boolean;
  readonly text: string;
}

/** The promtool of the PATH, or of Debian's package, of which nothing is installed: its Prometheus would start. */
export class Promtool {
  private constructor(private readonly command: string) {}

  /** @throws when there is none and none can be had; the error says what to do. */
  static find(): Promtool {
    const unpacked = join(FOLDER, 'promtool');
    const command = ['promtool', unpacked].find(works) ?? (unpack(unpacked) ? unpacked : undefined);
    if (command === undefined) throw new Error(WHAT_TO_DO);
    return new Promtool(command);
  }

  run(...args: readonly string[]): Verdict {
    const { status, stdout, stderr } = run(this.command, args);
    return { ok: status === 0, text: stdout + stderr };
  }
}

/** Fetches the package, when the machine is one that has such, and takes the one program out of it. */
function unpack(target: string): boolean {
  if (!existsSync('/usr/bin/apt-get')) return false;
  mkdirSync(FOLDER, { recursive: true });
  // In a folder of its own until it is whole, because it may be ended at any time.
  const folder = mkdtempSync(join(FOLDER, 'package-'));
  try {
    // As root, apt would fetch as a user who may not write here.
    const download = ['-o', 'APT::Sandbox::User=root', 'download', 'prometheus'];
    if (run('apt-get', download, folder).status !== 0) {
      run('apt-get', ['update']);
      run('apt-get', download, folder);
    }
    const [file] = readdirSync(folder);
    if (file === undefined || run('dpkg-deb', ['-x', file, 'all'], folder).status !== 0) return false;
    renameSync(join(folder, 'all/usr/bin/promtool'), target);
    return works(target);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function works(command: string): boolean {
  return run(command, ['--version']).status === 0;
}

function run(command: string, args: readonly string[], cwd?: string): SpawnSyncReturns<string> {
  return spawnSync(command, args, { encoding: 'utf8', cwd });
}
