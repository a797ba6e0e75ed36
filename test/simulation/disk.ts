import type { Clock } from '../../src/credentials/clock.js';
import { MemoryStore } from '../../src/credentials/store/memory.store.js';
import type { Entry, Granted, Written } from '../../src/credentials/store/store.js';

/** What a crash leaves. */
export class Disk {
  readonly entries = new Map<string, Entry>();
  isFull = false;
}

/** A store of one process on a disk: what is written is there a moment later, or not, if the process dies before. */
export class DiskStore extends MemoryStore {
  constructor(
    clock: Clock,
    private readonly disk: Disk,
    private readonly latency: () => Promise<void>,
  ) {
    super(clock);
    for (const [name, entry] of disk.entries) this.restore(name, entry);
  }

  override async grant(...asked: Parameters<MemoryStore['grant']>): Promise<Granted> {
    const granted = await super.grant(...asked);
    return asked[2] ? this.persisted(asked[0], granted) : granted;
  }

  override async commit(...asked: Parameters<MemoryStore['commit']>): Promise<Written> {
    return this.persisted(asked[0].name, await super.commit(...asked));
  }

  override async put(...asked: Parameters<MemoryStore['put']>): Promise<Written> {
    return this.persisted(asked[0], await super.put(...asked));
  }

  private async persisted<W extends Written>(name: string, written: W): Promise<W> {
    if (!written.kept) return written;
    await this.latency();
    if (this.disk.isFull) return { ...written, fault: new Error('ENOSPC') };
    this.disk.entries.set(name, written.stored.entry);
    return written;
  }
}
