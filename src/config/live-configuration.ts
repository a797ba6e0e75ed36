import { createHash } from 'node:crypto';
import { type FSWatcher, watch } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { type Configuration, type PlatformSchema, readConfiguration } from './configuration.js';
import { ConfigurationError } from './faults.js';
import { type Environment, foldersOf } from './secret-reader.js';

/** Files come in bursts: an editor, or Kubernetes' swap of a link, touches a folder several times. */
const SETTLE_MS = 100;
/** A watch on a folder can be lost (the folder was replaced, a network file system is silent): look by ourselves too. */
const LOOK_AGAIN_MS = 30_000;

/** What happened to the configuration while the hub ran. */
export type ConfigurationChange = { readonly accepted: true } | { readonly refused: ConfigurationError };

/**
 * The configuration in force. Follows the configuration file and every secret file: a good new version takes effect at
 * once, a bad one is refused with one report and changes nothing.
 */
export class LiveConfiguration<A extends { readonly identity: string }> {
  /** The report on the newest version of the files, when it was refused. */
  refused: ConfigurationError | undefined;
  private readonly listeners: ((change: ConfigurationChange) => void)[] = [];
  private readonly watchers = new Map<string, FSWatcher>();
  private seen: string | undefined;
  private settling: NodeJS.Timeout | undefined;
  private looking: NodeJS.Timeout | undefined;
  private watched: ReadonlySet<string>;

  private constructor(
    public current: Configuration<A>,
    private readonly environment: Environment,
    private readonly platforms: readonly PlatformSchema<A>[],
  ) {
    this.watched = current.files;
  }

  /** @throws ConfigurationError when the hub must not start with what it was given. */
  static read<A extends { readonly identity: string }>(
    environment: Environment,
    platforms: readonly PlatformSchema<A>[],
  ): LiveConfiguration<A> {
    return new LiveConfiguration(readConfiguration(environment, platforms), environment, platforms);
  }

  onChange(listener: (change: ConfigurationChange) => void): void {
    this.listeners.push(listener);
  }

  /** Starts to follow the files; call {@link stop} to end it. */
  async follow(): Promise<void> {
    if (this.watched.size === 0) return;
    this.watchFolders();
    this.looking = setInterval(() => void this.look(), LOOK_AGAIN_MS);
    this.seen = await fingerprint(this.watched);
  }

  stop(): void {
    clearTimeout(this.settling);
    clearInterval(this.looking);
    for (const watcher of this.watchers.values()) watcher.close();
    this.watchers.clear();
  }

  private watchFolders(): void {
    for (const folder of foldersOf(this.watched)) {
      if (this.watchers.has(folder)) continue;
      try {
        const watcher = watch(folder, () => {
          clearTimeout(this.settling);
          this.settling = setTimeout(() => void this.look(), SETTLE_MS);
        });
        watcher.on('error', () => {
          watcher.close();
          this.watchers.delete(folder);
        });
        this.watchers.set(folder, watcher);
      } catch {
        // The folder is away for the moment; the next look tries again.
      }
    }
  }

  private async look(): Promise<void> {
    this.watchFolders();
    const now = await fingerprint(this.watched);
    if (now === this.seen) return;
    this.seen = now;
    try {
      this.current = readConfiguration(this.environment, this.platforms);
      this.refused = undefined;
      this.watched = this.current.files;
      this.watchFolders();
      this.seen = await fingerprint(this.watched);
      this.tell({ accepted: true });
    } catch (error) {
      if (!(error instanceof ConfigurationError)) throw error;
      this.refused = error;
      this.tell({ refused: error });
    }
  }

  private tell(change: ConfigurationChange): void {
    for (const listener of this.listeners) listener(change);
  }
}

async function fingerprint(files: Iterable<string>): Promise<string> {
  const hash = createHash('sha256');
  for (const file of files) {
    hash.update(`${file}\0`);
    hash.update(await readFile(file).catch(() => 'unreadable'));
  }
  return hash.digest('hex');
}
