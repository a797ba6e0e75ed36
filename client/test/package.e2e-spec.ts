import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const CLIENT = fileURLToPath(new URL('..', import.meta.url));
const BIN = fileURLToPath(new URL('../../node_modules/.bin/', import.meta.url));

interface Ran {
  readonly status: number | null;
  readonly output: string;
}

const run = (command: string, args: readonly string[], cwd: string): Ran => {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8' });
  return { status, output: stdout + stderr };
};

describe('the package, as it is published', () => {
  let folder: string;
  let tarball: string;
  let files: readonly string[];
  let installed: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'package-'));
    const { stdout } = spawnSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], {
      cwd: CLIENT,
      encoding: 'utf8',
    });
    const [packed] = Object.values(
      JSON.parse(stdout) as Record<string, { filename: string; files: { path: string }[] }>,
    );
    tarball = join(folder, packed?.filename ?? '');
    files = packed?.files.map(({ path }) => path) ?? [];
    installed = join(folder, 'node_modules', 'wechat-token-hub-client');
    mkdirSync(installed, { recursive: true });
    run('tar', ['xzf', tarball, '--strip-components=1', '-C', installed], folder);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('holds what is built, how to use it, and the licence, and nothing else', () => {
    expect(files.filter((path) => !path.startsWith('dist/')).sort()).toEqual(['LICENSE', 'README.md', 'package.json']);
    expect(files.filter((path) => !/^dist\/.*\.(js|d\.ts)$|^dist\/cjs\/package\.json$/.test(path)).sort()).toEqual([
      'LICENSE',
      'README.md',
      'package.json',
    ]);
  });

  it('depends on nothing, and runs nothing when it is installed', () => {
    const manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as Record<string, unknown>;
    expect(manifest).not.toHaveProperty('dependencies');
    expect(manifest).not.toHaveProperty('peerDependencies');
    const { scripts } = manifest as { scripts?: Record<string, string> };
    expect(Object.keys(scripts ?? {}).filter((name) => name.includes('install'))).toEqual([]);
  });

  it('is flawless to publint', () => {
    const { status, output } = run(join(BIN, 'publint'), ['run', tarball, '--strict'], folder);
    expect(output).toContain('All good!');
    expect(status).toBe(0);
  });

  it('has types that are not wrong, for every module system that knows of exports', () => {
    const { status, output } = run(join(BIN, 'attw'), [tarball, '--profile', 'node16', '--format', 'json'], folder);
    const { analysis } = JSON.parse(output) as {
      analysis: {
        entrypoints: Record<string, { resolutions: Record<string, { resolution?: object }> }>;
        problems: { resolutionKind?: string }[];
      };
    };
    const found = Object.entries(analysis.entrypoints).flatMap(([entry, { resolutions }]) =>
      Object.keys(resolutions)
        .filter((system) => system !== 'node10' && resolutions[system]?.resolution !== undefined)
        .map((system) => `${entry} ${system}`),
    );
    expect(found.sort()).toEqual(
      ['.', './node', './package.json'].flatMap((entry) =>
        ['bundler', 'node16-cjs', 'node16-esm'].map((system) => `${entry} ${system}`),
      ),
    );
    expect(analysis.problems.filter(({ resolutionKind }) => resolutionKind !== 'node10')).toEqual([]);
    expect(status).toBe(0);
  });

  it.each([
    [
      'imported',
      [
        '--input-type=module',
        '-e',
        'import * as hub from "wechat-token-hub-client"; import { jwtFile } from "wechat-token-hub-client/node"; console.log(Object.keys(hub).join(), typeof jwtFile)',
      ],
    ],
    [
      'required',
      [
        '-e',
        'const hub = require("wechat-token-hub-client"); const { jwtFile } = require("wechat-token-hub-client/node"); console.log(Object.keys(hub).sort().join(), typeof jwtFile)',
      ],
    ],
  ])('can be %s', (_, args) => {
    const { output } = run(process.execPath, args, folder);
    expect(output.trim()).toBe('HubError,WechatHub,feedCoWechatApi,feedEasywechat,sharedKey function');
  });

  it('asks for nothing of Node’s, but in its entry for Node', () => {
    const reached = new Set<string>();
    const foreign: string[] = [];
    const follow = (path: string): void => {
      if (reached.has(path)) return;
      reached.add(path);
      const text = readFileSync(path, 'utf8');
      if (/\bprocess\.\w|\bBuffer\b|\brequire\(/.test(text)) foreign.push(path);
      for (const [, target = ''] of text.matchAll(/(?:from|import)\s*\(?['"]([^'"]+)['"]/g)) {
        if (target.startsWith('.')) follow(resolve(dirname(path), target));
        else foreign.push(target);
      }
    };
    follow(join(installed, 'dist/esm/index.js'));
    expect(reached.size).toBeGreaterThan(5);
    expect(foreign).toEqual([]);
  });

  it('brings the sidecar as a command', () => {
    const { bin } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as {
      bin: Record<string, string>;
    };
    const { status, output } = run(join(installed, bin['wechat-token-file'] ?? ''), ['--help'], folder);
    expect(output).toContain('usage: ');
    expect(status).toBe(0);
  });
});
