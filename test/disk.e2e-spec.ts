import { createHash } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { APPID, APPSECRET, ask, environmentFor, type Reply, WEB_KEY } from './hub.fixture.js';
import { HubProcess, SmallDisk } from './process.fixture.js';
import { Simulator } from './simulator/server.js';

const EX_CONFIG = 78;
const NOBODY = 65_534;

let simulator: Simulator;
let folder: string;
let environment: Record<string, string>;
const hubs: HubProcess[] = [];

beforeEach(async () => {
  simulator = await Simulator.start();
  simulator.world.account({ appid: APPID, secret: APPSECRET, kind: 'official-account' });
  folder = mkdtempSync(join(tmpdir(), 'disk-'));
  environment = environmentFor(simulator, join(folder, 'data'));
});
afterEach(async () => {
  for (const hub of hubs.splice(0)) await hub.kill();
  await simulator.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function start(wrapper: readonly string[] = []): Promise<HubProcess> {
  const hub = await HubProcess.start(environment, wrapper);
  hubs.push(hub);
  return hub;
}

/** Starts a hub that has to refuse; what it says. */
async function refusal(
  changes: Readonly<Record<string, string>> = {},
  wrapper: readonly string[] = [],
): Promise<string> {
  const hub = HubProcess.launch({ ...environment, ...changes }, wrapper);
  hubs.push(hub);
  expect(await hub.exited).toEqual({ code: EX_CONFIG, signal: null });
  expect(hub.output).toMatch(/^wechat-token-hub cannot start\.\n/m);
  expect(hub.output).not.toContain(APPSECRET);
  expect(hub.output).not.toContain(WEB_KEY);
  return hub.output;
}

async function served(hub: HubProcess, path = '/access-token'): Promise<string> {
  const { status, text } = await ask(hub.url + path);
  expect(status).toBe(200);
  return text;
}

function ready(hub: HubProcess): Promise<Reply> {
  return ask(`${hub.url}/health/ready`, { token: null });
}

/** The bytes of everything in a folder, by name, in a form that is compared at a glance. */
function contents(path: string): Record<string, string> {
  const hashed = (name: string): string =>
    createHash('sha256')
      .update(readFileSync(join(path, name)))
      .digest('hex');
  return Object.fromEntries(readdirSync(path).map((name) => [name, hashed(name)]));
}

describe('a hub with a bad configuration', () => {
  it('ends with 78 and one report of every fault on stderr, and no value', async () => {
    const output = await refusal({
      PORT: 'canary-port-7f3a',
      WECHAT_API_ROOT: 'canary-root-7f3a',
      APPSECRET_FILE: 'canary-file-7f3a',
      JWT_KEY_web: '-----BEGIN canary-7f3a',
    });
    expect(output.split('\n')).toEqual([
      'wechat-token-hub cannot start.',
      'The configuration has 4 faults:',
      '  - PORT: must be a whole number from 0 to 65535',
      '  - WECHAT_API_ROOT: must be an http or https address without credentials, query and fragment',
      '  - APPSECRET: set APPSECRET or APPSECRET_FILE, not both',
      '  - JWT_KEY_web: looks like a PEM key or certificate; an HS256 key is a random shared secret',
      '',
    ]);
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('the folder of a hub', () => {
  it('is refused when the store in it is damaged, with a way out; nothing in it is touched', async () => {
    const hub = await start();
    await served(hub);
    await hub.kill();
    const database = openSync(join(folder, 'data', 'credentials.db'), 'r+');
    writeSync(database, 'garbage '.repeat(64), 4096);
    closeSync(database);
    const before = contents(join(folder, 'data'));
    expect(await refusal()).toMatch(
      /Restore the folder from a copy, or move the folder away.*Nothing was changed\.\n$/,
    );
    expect(contents(join(folder, 'data'))).toEqual(before);
  });

  it('is refused to a second hub, and the first does not notice', async () => {
    const first = await start();
    const token = await served(first);
    const output = await refusal();
    expect(output).toMatch(/another hub is using DATA_DIR .+: stop the other one, or give this one a folder/);
    expect(await served(first)).toBe(token);
    expect(await served(first, '/ticket?type=jsapi')).not.toBe('');
    expect((await ready(first)).json).toMatchObject({ status: 'ok' });
    expect(simulator.world.mints(APPID, 'classic')).toBe(1);
  });

  it('is refused when it is none', async () => {
    writeFileSync(join(folder, 'data'), '');
    expect(await refusal()).toMatch(/DATA_DIR cannot be used: ENOTDIR\. Give the hub a folder that it may write to/);
  });
});

describe('a hub that is killed', () => {
  it('at once after it has handed out a token, hands out that token again, without asking WeChat', async () => {
    const first = await start();
    const token = await served(first);
    await first.kill();
    const second = await start();
    simulator.world.clearCalls();
    expect(await served(second)).toBe(token);
    expect(simulator.world.calls).toEqual([]);
  });

  it('and starts again while WeChat is down, serves what it has', async () => {
    const first = await start();
    const [token, ticket] = [await served(first), await served(first, '/ticket?type=jsapi')];
    await first.kill();
    simulator.world.outage('127.0.0.1', true);
    simulator.world.clearCalls();
    const second = await start();
    expect([await served(second), await served(second, '/ticket?type=jsapi')]).toEqual([token, ticket]);
    expect((await ready(second)).status).toBe(200);
    expect(simulator.world.calls).toEqual([]);
  });
});

const describeWithDisk = SmallDisk.isToBeHad() ? describe : describe.skip;

describeWithDisk('a hub on a disk of its own (which takes the right to mount one)', () => {
  let disk: SmallDisk;
  beforeEach(() => {
    mkdirSync(join(folder, 'data'));
    disk = new SmallDisk(join(folder, 'data'));
  });
  afterEach(async () => {
    for (const hub of hubs.splice(0)) await hub.kill();
    disk.unmount();
  });

  it('serves on when the disk is full, says so, and stores again by itself when there is room', async () => {
    disk.mount('size=256k');
    const hub = await start();
    disk.fill();
    const token = await served(hub);
    expect(await served(hub)).toBe(token);
    const { status, json } = await ready(hub);
    expect([status, json['status']]).toEqual([200, 'degraded']);
    expect(JSON.stringify(json)).toContain('"stored":false');
    await hub.says(/access-token: the value is served but not stored \(.*(disk is full|ENOSPC).*\)/);

    disk.clear();
    await hub.says(/access-token: stored again/, 10_000);
    expect((await ready(hub)).json).toMatchObject({ status: 'ok' });
    await hub.kill();
    const second = await start();
    expect(await served(second)).toBe(token);
    expect(simulator.world.count('/cgi-bin/token')).toBe(1);
    expect(hub.output).not.toContain(token);
  });

  it('starts with what it has when the disk is full, and serves it', async () => {
    disk.mount('size=256k');
    const first = await start();
    const token = await served(first);
    await first.kill();
    disk.fill();
    const second = await start();
    expect(await served(second)).toBe(token);
    expect(await served(second, '/ticket?type=jsapi')).not.toBe('');
    expect(simulator.world.count('/cgi-bin/token')).toBe(1);
  });

  it('refuses to begin on a full disk, and begins as if nothing had been when there is room', async () => {
    disk.mount('size=256k');
    disk.fill();
    expect(await refusal()).toMatch(
      /DATA_DIR cannot be used: .+\. Give the hub a folder that it may write to, with room in it/,
    );
    disk.clear();
    expect(await served(await start())).not.toBe('');
  });

  it('refuses a disk that cannot be written', async () => {
    disk.mount('ro');
    expect(await refusal()).toMatch(/DATA_DIR cannot be used: .+\. Give the hub a folder that it may write to/);
  });

  it('refuses a folder that its user may not write to', async () => {
    disk.mount('mode=755');
    chmodSync(folder, 0o755);
    const asNobody = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];
    expect(await refusal({}, asNobody)).toMatch(
      /DATA_DIR cannot be used: .+\. Give the hub a folder that it may write to/,
    );
  });

  it('takes a volume that belongs to others and that its group may write to, as Kubernetes makes them', async () => {
    disk.mount('mode=2770', `gid=${NOBODY}`);
    chmodSync(folder, 0o755);
    const asNobody = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];
    const first = await start(asNobody);
    const token = await served(first);
    await first.kill();
    expect(await served(await start(asNobody))).toBe(token);
  });
});
