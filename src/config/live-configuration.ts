import { createHash } from 'node:crypto';
import { type FSWatcher, readFileSync, statSync, watch } from 'node:fs';
import { type Configuration, type PlatformSchema, readConfiguration, readConfigurationAside } from './configuration.js';
import { ConfigurationError } from './faults.js';
import { type Environment, foldersOf } from './secret-reader.js';

/** Files come in bursts: an editor, or Kubernetes' swap of a link, touches a folder several times. */
const SETTLE_MS = 100;
/** In a folder that is never at rest, as one with an audit in it, it is looked this often all the same. */
const RESTLESS_MS = 1000;
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
  private readonly watchers = new Map<string, { readonly watcher: FSWatcher; readonly inode: number | undefined }>();
  /** What the files held when they were read last, or just before. */
  private seen: ReadonlyMap<string, string>;
  private settling: NodeJS.Timeout | undefined;
  /** When something first happened since the last look, in milliseconds of the process. */
  private restlessSince: number | undefined;
  private looking: NodeJS.Timeout | undefined;
  /** One look after another, so that what was written last is what stays. */
  private looked: Promise<void> = Promise.resolve();
  private isStopped = false;
  private watched: ReadonlySet<string>;

  private constructor(
    public current: Configuration<A>,
    private readonly environment: Environment,
    private readonly platforms: readonly PlatformSchema<A>[],
  ) {
    this.watched = current.files;
    this.seen = contentOf(this.watched);
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
  follow(): void {
    if (this.watched.size === 0) return;
    this.looking = setInterval(() => this.look(), LOOK_AGAIN_MS);
    // Once right now, for what has changed since the start.
    this.look();
  }

  stop(): void {
    this.isStopped = true;
    clearTimeout(this.settling);
    clearInterval(this.looking);
    for (const { watcher } of this.watchers.values()) watcher.close();
    this.watchers.clear();
  }

  private watchFolders(): void {
    for (const folder of foldersOf(this.watched)) {
      const inode = inodeOf(folder);
      const known = this.watchers.get(folder);
      if (known && known.inode === inode) continue;
      // A watch stays with the folder that it was set on, wherever that was moved.
      known?.watcher.close();
      this.watchers.delete(folder);
      try {
        const watcher = watch(folder, () => this.settle());
        watcher.on('error', () => {
          watcher.close();
          this.watchers.delete(folder);
        });
        this.watchers.set(folder, { watcher, inode });
      } catch {
        // The folder is away for the moment; the next look tries again.
      }
    }
  }

  /** Looks when nothing has happened for a moment, or when too much has. */
  private settle(): void {
    const now = performance.now();
    this.restlessSince ??= now;
    clearTimeout(this.settling);
    const left = Math.max(0, this.restlessSince + RESTLESS_MS - now);
    this.settling = setTimeout(() => this.look(), Math.min(SETTLE_MS, left));
  }

  private look(): void {
    this.restlessSince = undefined;
    this.looked = this.looked.then(() => (this.isStopped ? undefined : this.lookNow()));
  }

  private async lookNow(): Promise<void> {
    this.watchFolders();
    const held = contentOf(this.watched);
    if (isSame(held, this.seen)) return;
    const read = await this.read();
    if (this.isStopped) return;
    if (read instanceof ConfigurationError) {
      this.refused = read;
      // What would make it good may be in a file that the version in force does not know.
      this.see(new Set([...this.current.files, ...read.files]), held);
      this.tell({ refused: read });
    } else {
      this.current = read;
      this.refused = undefined;
      this.see(read.files, held);
      this.tell({ accepted: true });
    }
  }

  private async read(): Promise<Configuration<A> | ConfigurationError> {
    try {
      return await readConfigurationAside(this.environment, this.platforms);
    } catch (error) {
      // Whatever it is, a file must not end a hub that runs.
      return error instanceof ConfigurationError ? error : new ConfigurationError(['it cannot be read']);
    }
  }

  /** @param held what was in those that were watched before they were read: what came after that is still to be read. */
  private see(files: ReadonlySet<string>, held: ReadonlyMap<string, string>): void {
    this.watched = files;
    this.watchFolders();
    this.seen = new Map([...files].map((file) => [file, held.get(file) ?? digestOf(file)]));
  }

  private tell(change: ConfigurationChange): void {
    for (const listener of this.listeners) listener(change);
  }
}

function inodeOf(folder: string): number | undefined {
  try {
    return statSync(folder).ino;
  } catch {
    return undefined;
  }
}

/** What files hold: the digest of each. */
function contentOf(files: Iterable<string>): Map<string, string> {
  return new Map([...files].map((file) => [file, digestOf(file)]));
}

function digestOf(file: string): string {
  try {
    return createHash('sha256').update(readFileSync(file)).digest('base64');
  } catch {
    return 'unreadable';
  }
}

/** Whether the same files hold the same. */
function isSame(one: ReadonlyMap<string, string>, other: ReadonlyMap<string, string>): boolean {
  return one.size === other.size && [...one].every(([file, digest]) => other.get(file) === digest);
}
