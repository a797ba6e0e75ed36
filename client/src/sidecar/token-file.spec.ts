import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TokenFile } from './token-file.js';

describe('a token file', () => {
  let folder: string;
  let path: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'token-file-'));
    path = join(folder, 'token.json');
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('is never seen half, however often it is read', async () => {
    const file = new TokenFile(path);
    // So long that a write takes its time.
    const contentOf = (version: number): string =>
      JSON.stringify({ version, access_token: String(version).repeat(200_000) });
    await file.write(contentOf(1));
    let isOver = false;
    const seen = new Set<number>();
    const reader = async (): Promise<void> => {
      while (!isOver) seen.add((JSON.parse(await readFile(path, 'utf8')) as { version: number }).version);
    };
    const readers = [reader(), reader()];
    for (let version = 2; version < 60; version++) await file.write(contentOf(version));
    isOver = true;
    await Promise.all(readers);
    expect(seen.size).toBeGreaterThan(1);
  });

  it('belongs to its owner alone, also where another was before', async () => {
    writeFileSync(path, 'old', { mode: 0o644 });
    await new TokenFile(path).write('new');
    expect(readFileSync(path, 'utf8')).toBe('new');
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('leaves nothing behind when it cannot be put in place', async () => {
    await mkdir(join(path, 'in the way'), { recursive: true });
    await expect(new TokenFile(path).write('new')).rejects.toThrow(/EISDIR|ENOTEMPTY|EEXIST/);
    expect(readdirSync(folder)).toEqual(['token.json']);
  });

  it('may be taken away twice', async () => {
    const file = new TokenFile(path);
    await file.write('x');
    await file.remove();
    await file.remove();
    expect(existsSync(path)).toBe(false);
  });
});
