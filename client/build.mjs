// Builds the client twice: as ES modules, and as CommonJS for those who require it.
import { spawnSync } from 'node:child_process';
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');

rmSync(here('dist'), { recursive: true, force: true });
for (const project of ['tsconfig.esm.json', 'tsconfig.cjs.json']) {
  const { status } = spawnSync(process.execPath, [tsc, '-p', here(project)], { stdio: 'inherit' });
  if (status !== 0) process.exit(1);
}
// The nearest package.json says what a .js file is.
writeFileSync(here('dist/cjs/package.json'), '{ "type": "commonjs" }\n');
chmodSync(here('dist/esm/sidecar/main.js'), 0o755);
