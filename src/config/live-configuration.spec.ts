import {
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import type { PlatformSchema } from './configuration.js';
import { type ConfigurationChange, LiveConfiguration } from './live-configuration.js';

/** Far more than a change takes to be seen, and far less than the 30 s after which the hub looks by itself. */
const PATIENCE_MS = 5000;

interface App {
  readonly identity: string;
  readonly secret: string;
}

/** Told of every app when it is read. */
let whenRead: (appid: string) => void = () => undefined;

const PLATFORMS: readonly PlatformSchema<App>[] = [
  {
    name: 'official-account',
    schema: (secret) =>
      z.strictObject({ appid: z.string(), secret }).transform((app) => {
        whenRead(app.appid);
        return { identity: app.appid, secret: app.secret.reveal() };
      }),
  },
];

/** A configuration file with these apps; each has its AppSecret in a file beside it. */
function text(...apps: readonly string[]): string {
  const written = apps.map((name) => [
    name,
    { platform: 'official-account', appid: `wx-${name}`, secret: { file: `${name}.secret` } },
  ]);
  return JSON.stringify({ apps: Object.fromEntries(written) as unknown });
}

/** The changes that a configuration told of, to be awaited one by one. */
class Changes {
  private readonly told: ConfigurationChange[] = [];
  private wake: () => void = () => undefined;

  constructor(live: LiveConfiguration<App>) {
    live.onChange((change) => {
      this.told.push(change);
      this.wake();
    });
  }

  get count(): number {
    return this.told.length;
  }

  async next(): Promise<ConfigurationChange> {
    const patience = AbortSignal.timeout(PATIENCE_MS);
    while (this.told.length === 0) {
      patience.throwIfAborted();
      await new Promise<void>((resolve) => {
        this.wake = resolve;
        patience.addEventListener('abort', () => resolve(), { once: true });
      });
    }
    const [change] = this.told.splice(0, 1);
    if (!change) throw new Error('nothing was told');
    return change;
  }
}

let folder: string;
let live: LiveConfiguration<App>;
let changes: Changes;

function write(name: string, content: string): void {
  writeFileSync(join(folder, name), content);
}

/** Writes a file the way careful programs do: beside its place, then into it. */
function swap(name: string, content: string): void {
  write(`.${name}.new`, content);
  renameSync(join(folder, `.${name}.new`), join(folder, name));
}

function read(): void {
  live = LiveConfiguration.read({ HUB_CONFIG: join(folder, 'hub.json'), JWT_KEY_web: 'k'.repeat(32) }, PLATFORMS);
  changes = new Changes(live);
}

function secrets(): Record<string, string> {
  return Object.fromEntries([...live.current.apps].map(([name, { secret }]) => [name, secret]));
}

/** Ends when whatever was written before this has been looked at: a change made now is the next that is told. */
async function expectNothingBefore(change: () => void, expected: Record<string, string>): Promise<void> {
  change();
  expect(await changes.next()).toEqual({ accepted: true });
  expect(secrets()).toEqual(expected);
  expect(changes.count).toBe(0);
}

beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'live-configuration-')));
});
afterEach(() => {
  whenRead = () => undefined;
  live.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe('the configuration in force', () => {
  beforeEach(() => {
    write('hub.json', text('shop'));
    write('shop.secret', 'old\n');
    read();
    live.follow();
  });

  it.each([
    ['written in place', write],
    ['put in its place', swap],
  ])('changes with its file, %s', async (_, put) => {
    write('crm.secret', 'crm');
    put('hub.json', text('shop', 'crm'));
    expect(await changes.next()).toEqual({ accepted: true });
    expect(secrets()).toEqual({ shop: 'old', crm: 'crm' });
    put('hub.json', text('crm'));
    expect(await changes.next()).toEqual({ accepted: true });
    expect(secrets()).toEqual({ crm: 'crm' });
  });

  it('changes with its file in a folder that is never at rest', async () => {
    const restless = setInterval(() => write('audit.jsonl', String(performance.now())), 20);
    try {
      write('shop.secret', 'new\n');
      expect(await changes.next()).toEqual({ accepted: true });
      expect(secrets()).toEqual({ shop: 'new' });
    } finally {
      clearInterval(restless);
    }
  });

  it.each([
    ['written in place', write],
    ['put in its place', swap],
  ])('changes with the file of a secret, %s', async (_, put) => {
    put('shop.secret', 'new\n');
    expect(await changes.next()).toEqual({ accepted: true });
    expect(secrets()).toEqual({ shop: 'new' });
  });

  it('changes with the file of a secret that it named only later, in another folder', async () => {
    mkdirSync(join(folder, 'more'));
    write('more/shop.secret', 'more');
    write('hub.json', text('shop').replace('"shop.secret"', '"more/shop.secret"'));
    expect(await changes.next()).toEqual({ accepted: true });
    write('more/shop.secret', 'even more');
    expect(await changes.next()).toEqual({ accepted: true });
    expect(secrets()).toEqual({ shop: 'even more' });
  });

  it('stays when a new version is bad, of which one report is given, until a good one comes', async () => {
    const before = live.current;
    write('hub.json', '{"apps": {"shop": canary-7f3a');
    const refused = await changes.next();
    expect(refused).toEqual({ refused: live.refused });
    expect(live.refused?.faults).toEqual([expect.stringMatching(/^HUB_CONFIG: is not valid YAML or JSON/)]);
    expect(live.refused?.message).not.toContain('7f3a');
    expect(live.current).toBe(before);

    // What is bad already is not told once more when something else stirs in the folder.
    write('unrelated', 'x');
    await expectNothingBefore(() => swap('hub.json', text('shop')), { shop: 'old' });
    expect(live.refused).toBeUndefined();
  });

  it('has each new bad version reported, for the operator who tries again', async () => {
    write('shop.secret', ' ');
    expect(await changes.next()).toHaveProperty('refused.faults', ['HUB_CONFIG.apps.shop.secret: is blank']);
    rmSync(join(folder, 'shop.secret'));
    expect(await changes.next()).toHaveProperty('refused.faults', [
      'HUB_CONFIG.apps.shop.secret: the file cannot be read (ENOENT)',
    ]);
    expect(secrets()).toEqual({ shop: 'old' });
    await expectNothingBefore(() => write('shop.secret', 'new'), { shop: 'new' });
  });

  it('becomes the version that was refused for want of a secret, as soon as the secret is there', async () => {
    write('hub.json', text('shop', 'crm'));
    expect(await changes.next()).toHaveProperty('refused');
    write('crm.secret', 'crm');
    expect(await changes.next()).toEqual({ accepted: true });
    expect(secrets()).toEqual({ shop: 'old', crm: 'crm' });
  });

  it('goes back to the version before a bad one without a fuss', async () => {
    write('hub.json', 'bad: [');
    expect(await changes.next()).toHaveProperty('refused');
    write('hub.json', text('shop'));
    expect(await changes.next()).toEqual({ accepted: true });
    expect(live.refused).toBeUndefined();
  });

  it('is not told of when a file is touched, or written again as it was', async () => {
    utimesSync(join(folder, 'hub.json'), new Date(), new Date());
    swap('hub.json', text('shop'));
    write('shop.secret', 'old\n');
    await expectNothingBefore(() => write('shop.secret', 'new'), { shop: 'new' });
  });

  it('takes a burst of writes for one change', async () => {
    write('hub.json', 'half of i');
    write('shop.secret', 'newer');
    write('hub.json', text('shop'));
    await expectNothingBefore(() => write('shop.secret', 'newest'), { shop: 'newest' });
  });

  it('moves with a folder that is replaced as a whole', async () => {
    const next = `${folder}.next`;
    mkdirSync(next);
    writeFileSync(join(next, 'hub.json'), text('crm'));
    writeFileSync(join(next, 'crm.secret'), 'crm');
    renameSync(folder, `${folder}.before`);
    renameSync(next, folder);
    rmSync(`${folder}.before`, { recursive: true });
    expect(await changes.next()).toEqual({ accepted: true });
    write('crm.secret', 'newer');
    expect(await changes.next()).toEqual({ accepted: true });
    expect(secrets()).toEqual({ crm: 'newer' });
  });
});

describe('a configuration of many apps', () => {
  const names = Array.from({ length: 1000 }, (_, i) => `app-${i}`);
  const many = text(...names).replaceAll(/app-\d+\.secret/g, 'shop.secret');

  beforeEach(() => {
    write('hub.json', text('shop'));
    write('shop.secret', 'secret');
    read();
    live.follow();
  });

  it('is read while others have their turns, and nothing of it is in force before all is', async () => {
    const before = live.current;
    const readInTurn = new Map<number, number>();
    let turn = 0;
    const count = (): void => {
      turn += 1;
      turns = setImmediate(count);
    };
    let turns = setImmediate(count);
    whenRead = () => {
      readInTurn.set(turn, (readInTurn.get(turn) ?? 0) + 1);
      expect(live.current).toBe(before);
    };
    write('hub.json', many);
    expect(await changes.next()).toEqual({ accepted: true });
    clearImmediate(turns);
    expect(live.current.apps.size).toBe(1000);
    expect(Math.max(...readInTurn.values())).toBeLessThanOrEqual(100);
  });

  it('is read again if it has changed meanwhile: what was written last stays', async () => {
    whenRead = (appid) => {
      if (appid === 'wx-app-500') write('hub.json', text('shop'));
    };
    write('hub.json', many);
    expect(await changes.next()).toEqual({ accepted: true });
    expect(await changes.next()).toEqual({ accepted: true });
    expect(secrets()).toEqual({ shop: 'secret' });
  });

  it('has every app that is wrong told in one report', async () => {
    write('hub.json', many.replaceAll('"appid"', '"other":1,"appid"'));
    expect(await changes.next()).toHaveProperty('refused.faults.length', 1000);
    expect(live.current.apps.size).toBe(1);
    await expectNothingBefore(() => write('hub.json', text('shop')), { shop: 'secret' });
  });

  it('changes nothing any more once the hub goes', async () => {
    const before = live.current;
    const read = new Promise<void>((resolve) => {
      whenRead = (appid) => {
        if (appid === 'wx-app-500') live.stop();
        if (appid === 'wx-app-999') setImmediate(resolve);
      };
    });
    write('hub.json', many);
    await read;
    expect(live.current).toBe(before);
    expect(changes.count).toBe(0);
  });
});

describe('a configuration that changes while the hub starts', () => {
  it('is not missed', async () => {
    write('hub.json', text('shop'));
    write('shop.secret', 'old');
    read();
    write('shop.secret', 'new');
    live.follow();
    expect(await changes.next()).toEqual({ accepted: true });
    expect(secrets()).toEqual({ shop: 'new' });
  });
});

describe('a configuration that Kubernetes projects into a folder', () => {
  /** What the kubelet does: a new folder with all files, and a link that is put in the place of the one before. */
  function project(version: string, files: Readonly<Record<string, string>>): void {
    mkdirSync(join(folder, version));
    for (const [name, content] of Object.entries(files)) write(`${version}/${name}`, content);
    symlinkSync(version, join(folder, '..data_tmp'));
    renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
  }

  beforeEach(() => {
    project('..2026_11_22_09_00_00.1', { 'hub.json': text('shop'), 'shop.secret': 'old' });
    for (const name of ['hub.json', 'shop.secret']) symlinkSync(`..data/${name}`, join(folder, name));
    read();
    live.follow();
  });

  it('changes when the link is swapped, as often as that is', async () => {
    for (const version of ['2', '3', '4']) {
      project(`..2026_11_22_09_00_00.${version}`, { 'hub.json': text('shop'), 'shop.secret': version });
      rmSync(join(folder, `..2026_11_22_09_00_00.${Number(version) - 1}`), { recursive: true });
      expect(await changes.next()).toEqual({ accepted: true });
      expect(secrets()).toEqual({ shop: version });
    }
  });

  it('stays when what is swapped in is bad, until something good is', async () => {
    project('..2', { 'hub.json': text('shop', 'crm'), 'shop.secret': 'new' });
    expect(await changes.next()).toHaveProperty('refused.faults', [
      'HUB_CONFIG.apps.crm.secret: the file cannot be read (ENOENT)',
    ]);
    expect(secrets()).toEqual({ shop: 'old' });
    project('..3', { 'hub.json': text('shop'), 'shop.secret': 'newer' });
    expect(await changes.next()).toEqual({ accepted: true });
    expect(secrets()).toEqual({ shop: 'newer' });
  });
});

describe('a configuration of the environment alone', () => {
  it('has no files to follow, and does not keep the process', () => {
    live = LiveConfiguration.read({ APPID: 'wx1', APPSECRET: 's', JWT_KEY_web: 'k' }, [
      {
        name: 'official-account',
        schema: (secret) =>
          z
            .strictObject({ appid: z.string(), secret, endpoint: z.string() })
            .transform((app) => ({ identity: app.appid, secret: app.secret.reveal() })),
      },
    ]);
    live.follow();
    expect(live.current.files.size).toBe(0);
  });
});
