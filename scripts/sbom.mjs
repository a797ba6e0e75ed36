// Prints the bill of materials of what runs, as CycloneDX: npm run --silent sbom [-- --omit-optional]
// npm makes it, but left to itself it would leave out, with what is for developers, all that the hub needs as well (express,
// for one). So it is shown a package that has nothing for developers.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const omitsOptional = process.argv.includes('--omit-optional');
// What is ours, as the client is, runs elsewhere.
const isOurs = (path, { link }) => link || !path.startsWith('node_modules/');
const isLeftOut = ({ dev, optional, devOptional }) => dev || (omitsOptional && (optional || devOptional));

const read = (name) => JSON.parse(readFileSync(new URL(`../${name}`, import.meta.url), 'utf8'));
const withoutWorkshop = ({ devDependencies: _, workspaces: __, ...rest }) => rest;
const manifest = withoutWorkshop(read('package.json'));
const lock = read('package-lock.json');
const root = withoutWorkshop(lock.packages['']);
const needed = Object.entries(lock.packages).filter(([path, entry]) => !isOurs(path, entry) && !isLeftOut(entry));

const workshop = mkdtempSync(join(tmpdir(), 'sbom-'));
// npm names the whole after its folder.
const folder = join(workshop, manifest.name);
const write = (name, content) => writeFileSync(join(folder, name), JSON.stringify(content));
try {
  mkdirSync(folder);
  write('package.json', manifest);
  write('package-lock.json', { ...lock, packages: { '': root, ...Object.fromEntries(needed) } });
  const args = ['sbom', '--package-lock-only', '--sbom-format', 'cyclonedx', '--sbom-type', 'application'];
  const { status, stdout, stderr } = spawnSync('npm', args, { cwd: folder, encoding: 'utf8' });
  if (status !== 0) process.stderr.write(stderr);
  else process.stdout.write(stdout);
  process.exitCode = status ?? 1;
} finally {
  rmSync(workshop, { recursive: true });
}
