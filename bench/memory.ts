import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ask, askAll, KEY, KID } from './client.js';
import { fromCheckout, Program } from './program.js';

/** What a hub with so many apps needs, in MB and milliseconds. */
export interface Footprint {
  readonly apps: number;
  /** Right after every credential was asked of WeChat. */
  readonly fetchedMb: number;
  /** Started again from the store, when the first token was served. */
  readonly bootedMb: number;
  /** Then every credential was served once. */
  readonly servedMb: number;
  /** The most it had since it was started again. */
  readonly peakMb: number;
  /** From the start of the process to the first token, from the store. */
  readonly firstTokenMs: number;
}

/** Measures a hub of so many official accounts, each with its access token and one ticket. */
export async function footprint(apps: number): Promise<Footprint> {
  const folder = mkdtempSync(fromCheckout('build/bench-'));
  const wechat = await Program.start('build/bench/stand-ins.js', ['wechat']);
  try {
    const names = Array.from({ length: apps }, (_, i) => `app-${String(i).padStart(5, '0')}`);
    const environment = { PORT: '0', WECHAT_API_ROOT: wechat.url, DATA_DIR: folder, [`JWT_KEY_${KID}`]: KEY, ...configure(names, folder) };
    const paths = names.flatMap((name) => [`/apps/${name}/access-token`, `/apps/${name}/ticket?type=jsapi`]);
    const first = await Program.start('dist/main.js', [], environment);
    console.error('first boot', first.startedInMs, first.residentMb(), first.residentMb('most'));
    const t0 = performance.now();
    await askAll(paths.map((path) => first.url + path));
    console.error('fetch', performance.now() - t0);
    const fetchedMb = first.residentMb();
    await first.stop();
    // From here on what is served comes from the store: there is nobody else to ask.
    await wechat.stop();
    const startedAt = performance.now();
    const second = await Program.start('dist/main.js', [], environment);
    await ask(`${second.url}/apps/${names.at(-1) ?? ''}/access-token`);
    const firstTokenMs = performance.now() - startedAt;
    const bootedMb = second.residentMb();
    const t1 = performance.now();
    await askAll(paths.map((path) => second.url + path));
    console.error('serve', performance.now() - t1);
    const servedMb = second.residentMb();
    const peakMb = second.residentMb('most');
    if (process.env['SETTLE']) { for (let i = 0; i < 12; i++) { await new Promise((r) => setTimeout(r, 5000)); console.error('settled', second.residentMb()); } }
    await second.stop();
    return { apps, fetchedMb, bootedMb, servedMb, peakMb, firstTokenMs };
  } finally {
    await wechat.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

function configure(names: readonly string[], folder: string): Record<string, string> {
  const mode = process.env['MODE'] ?? 'one';
  const secrets: Record<string, string> = { APP_SECRET: 'x'.repeat(32) };
  const apps = Object.fromEntries(names.map((name, i) => {
    const id = String(i).padStart(16, '0');
    if (mode === 'file') writeFileSync(join(folder, name), id + id);
    if (mode === 'env') secrets[`SECRET_${id}`] = id + id;
    const secret = mode === 'file' ? { file: join(folder, name) } : { env: mode === 'env' ? `SECRET_${id}` : 'APP_SECRET' };
    return [name, { platform: 'official-account', appid: `wx${id}`, secret }];
  }));
  const path = join(folder, 'hub.json');
  writeFileSync(path, JSON.stringify({ apps }, undefined, process.env['PRETTY'] ? 2 : undefined));
  return { HUB_CONFIG: path, ...secrets };
}
if (process.argv[1]?.endsWith('memory.js')) for (const n of (process.argv[2] ?? '1,100,1000').split(',')) console.log(await footprint(Number(n)));
