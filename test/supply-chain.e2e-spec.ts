import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');

interface Locked {
  readonly version: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly dev?: boolean;
  readonly devOptional?: boolean;
  readonly hasInstallScript?: boolean;
  readonly link?: boolean;
}

const manifest = JSON.parse(read('package.json')) as {
  readonly allowScripts: Readonly<Record<string, boolean>>;
  readonly dependencies: Readonly<Record<string, string>>;
};
const { packages } = JSON.parse(read('package-lock.json')) as { readonly packages: Readonly<Record<string, Locked>> };
/** The client, which is ours, has a folder here and a link to it. */
const locked = Object.entries(packages).filter(([path, { link }]) => path.startsWith('node_modules/') && !link);
const nameOf = (path: string): string => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);

interface Sbom {
  readonly bomFormat: string;
  readonly components: readonly { readonly name: string; readonly version: string; readonly hashes: unknown[] }[];
}

const sbom = (...args: readonly string[]): Sbom => {
  const { stdout } = spawnSync('npm', ['run', '--silent', 'sbom', '--', ...args], { cwd: ROOT, encoding: 'utf8' });
  return JSON.parse(stdout) as Sbom;
};

describe('what comes from others', () => {
  it('is known by its hash, wherever it is fetched from', () => {
    expect(locked.filter(([, { integrity }]) => !integrity?.startsWith('sha512-')).map(([path]) => path)).toEqual([]);
    expect(locked.filter(([, { resolved }]) => resolved !== undefined).map(([path]) => path)).toEqual([]);
  });

  it('is told from what is ours, which nothing is fetched for', () => {
    const links = Object.values(packages).filter(({ link }) => link);
    expect(links).toEqual([{ resolved: 'client', link: true }]);
  });

  it('is a version and no range, where the hub runs on it', () => {
    const ranges = Object.entries(manifest.dependencies).filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version));
    expect(ranges).toEqual([]);
  });

  it('runs no program of its own when it is installed: whatever wants to is named, and denied', () => {
    const wanting = locked.filter(([, { hasInstallScript }]) => hasInstallScript).map(([path]) => nameOf(path));
    expect(manifest.allowScripts).toEqual(Object.fromEntries(wanting.map((name) => [name, false])));
    const installs = read('deploy/Dockerfile').match(/^RUN npm ci.*$/gm) ?? [];
    expect(installs).toHaveLength(2);
    expect(installs.filter((install) => !install.includes('--ignore-scripts'))).toEqual([]);
  });

  it.each([
    ['what the hub needs', [], ({ dev }: Locked) => !dev],
    ['what is in the image', ['--omit-optional'], ({ dev, devOptional }: Locked) => !dev && !devOptional],
  ] as const)('is told in a bill of materials: %s, all of it and no more', (_, args, isIn) => {
    const { bomFormat, components } = sbom(...args);
    const told = components.map(({ name, version }) => `${name}@${version}`);
    const installed = locked
      .filter(([, entry]) => isIn(entry))
      .map(([path, { version }]) => `${nameOf(path)}@${version}`);
    expect(bomFormat).toBe('CycloneDX');
    expect(new Set(told)).toEqual(new Set(installed));
    expect(told).toEqual(
      expect.arrayContaining([expect.stringMatching(/^express@/), expect.stringMatching(/^axios@/)]),
    );
    expect(components.filter(({ hashes }) => hashes.length === 0)).toEqual([]);
  });

  it('is in the image only if a hub that runs needs it: not what its API is described with', () => {
    const told = sbom('--omit-optional').components.map(({ name }) => name);
    expect(told.filter((name) => name.includes('swagger'))).toEqual([]);
  });

  it('is pinned where it builds and tests, and may do nothing there but read', () => {
    for (const file of readdirSync(new URL('../.github/workflows', import.meta.url))) {
      const text = read(`.github/workflows/${file}`);
      const workflow = parse(text) as { permissions: unknown; jobs: Record<string, { permissions?: unknown }> };
      expect(workflow.permissions).toEqual({ contents: 'read' });
      expect(Object.values(workflow.jobs).filter(({ permissions }) => permissions !== undefined)).toEqual([]);
      const actions = [...text.matchAll(/uses: (\S+)/g)].map(([, action = '']) => action);
      expect(actions.filter((action) => !/@[0-9a-f]{40}$/.test(action))).toEqual([]);
    }
  });
});
