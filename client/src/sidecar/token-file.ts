import { randomBytes } from 'node:crypto';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** A file that is there whole or not at all, and for its owner alone. */
export class TokenFile {
  constructor(private readonly path: string) {}

  /** Puts new content in the place of the old: whoever reads gets one or the other, also when the machine dies. */
  async write(content: string): Promise<void> {
    const folder = dirname(this.path);
    const draft = join(folder, `.${basename(this.path)}.${randomBytes(6).toString('hex')}`);
    try {
      // Not over anything that is there: it could be a link of somebody else's.
      await synced(draft, 'wx', (file) => file.writeFile(content));
      await rename(draft, this.path);
    } catch (error) {
      await rm(draft, { force: true });
      throw error;
    }
    await synced(folder, 'r');
  }

  /** What is in it; nothing, if it is not there or cannot be read. */
  async read(): Promise<string | undefined> {
    return readFile(this.path, 'utf8').catch(() => undefined);
  }

  /** Takes it away, if it is there. */
  async remove(): Promise<void> {
    await rm(this.path, { force: true });
  }
}

type Opened = Awaited<ReturnType<typeof open>>;

async function synced(path: string, flags: string, act?: (file: Opened) => Promise<void>): Promise<void> {
  const file = await open(path, flags, 0o600);
  try {
    await act?.(file);
    await file.sync();
  } finally {
    await file.close();
  }
}
