import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { APPID, APPSECRET, environmentFor, tokenFor, WEB_KEY } from '../../test/hub.fixture.js';
import { HubProcess, SmallDisk } from '../../test/process.fixture.js';
import { until } from '../../test/redis.fixture.js';
import { Simulator } from '../../test/simulator/server.js';
import { Sidecar } from './sidecar.fixture.js';
import { problem, StandIn, token } from './stand-in.fixture.js';

const describeWithDisk = SmallDisk.isToBeHad() ? describe : describe.skip;

describe('the sidecar', () => {
  let folder: string;
  let file: string;
  let hub: StandIn;
  let url: string;
  const sidecars: Sidecar[] = [];
  const key = { WECHAT_HUB_KID: 'web', WECHAT_HUB_KEY: WEB_KEY };
  const start = (args: readonly string[] = [], environment: object = key): Sidecar => {
    const sidecar = new Sidecar(['--file', file, ...args], { WECHAT_HUB_URL: url, ...environment });
    sidecars.push(sidecar);
    return sidecar;
  };
  const content = (): Record<string, unknown> => JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sidecar-'));
    file = join(folder, 'token.json');
    hub = new StandIn();
    url = await hub.listen();
  });
  afterEach(async () => {
    await Promise.all(sidecars.splice(0).map((sidecar) => sidecar.stop('SIGKILL')));
    await hub.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('keeps a token in a file, as SDKs know it, for its owner alone', async () => {
    const before = Math.floor(Date.now() / 1000);
    await start().tells('written');
    expect(content()).toEqual({
      access_token: 'TOKEN-1',
      got_token_at: expect.any(Number) as number,
      token_expires_in: 7200,
    });
    expect(content()['got_token_at']).toBeGreaterThanOrEqual(before);
    expect(content()['got_token_at']).toBeLessThanOrEqual(Date.now() / 1000);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder)).toEqual(['token.json']);
  });

  it('keeps a ticket of another app', async () => {
    hub.reply = ({ path }) => token(1, { ticket: `TICKET of ${path}` });
    await start(['--app', 'shop', '--kind', 'ticket', '--type', 'wx_card']).tells('written');
    expect(content()).toEqual({
      ticket: 'TICKET of /apps/shop/ticket?type=wx_card',
      got_ticket_at: expect.any(Number) as number,
      ticket_expires_in: 7200,
    });
  });

  it('renews it when a newer one is to be had', async () => {
    let version = 0;
    hub.reply = () => token(++version, { refresh_after: 1 });
    await start().tells('written', 3);
    expect(content()).toMatchObject({ access_token: 'TOKEN-3' });
  });

  it('goes by the life of the newer one, though the older would be at its end and the hub is out', async () => {
    hub.reply = () => token(1, { expires_in: 3, refresh_after: 1 });
    const sidecar = start();
    await sidecar.tells('written');
    const end = Date.now() + 3000;
    hub.reply = () => token(2, { refresh_after: 1 });
    await sidecar.tells('written', 2);
    hub.reply = () => problem(503);
    await sidecar.tells('failing');
    await until(() => Promise.resolve(Date.now() > end + 500));
    expect(sidecar.told('removed')).toEqual([]);
    expect(content()).toEqual({
      access_token: 'TOKEN-2',
      got_token_at: expect.any(Number) as number,
      token_expires_in: 7200,
    });
    expect(content()['got_token_at']).toBeGreaterThanOrEqual(Math.floor(end / 1000) - 3);
  });

  it('does not call it trouble that the hub has nothing newer yet', async () => {
    hub.reply = ({ headers }) =>
      headers.has('if-none-match') ? new Response(null, { status: 304 }) : token(1, { refresh_after: 1 });
    const sidecar = start();
    await sidecar.tells('written');
    await until(() => Promise.resolve(hub.asked.length > 2));
    await sidecar.stop();
    expect(sidecar.told('failing')).toEqual([]);
    expect(sidecar.told('written')).toHaveLength(1);
  });

  it('lets the file be while its value lives and the hub is in trouble, tells of it once, and takes it away at its end', async () => {
    hub.reply = () => token(1, { expires_in: 4, refresh_after: 1 });
    const sidecar = start();
    await sidecar.tells('written');
    const { mtimeMs } = statSync(file);
    hub.reply = () => problem(503);
    await sidecar.tells('failing');
    expect(content()).toMatchObject({ access_token: 'TOKEN-1' });
    await sidecar.tells('removed');
    expect(Date.now() - mtimeMs).toBeGreaterThanOrEqual(3500);
    expect(existsSync(file)).toBe(false);
    expect(sidecar.told('failing')).toMatchObject([{ level: 'warn', reason: 'Some trouble (503)' }]);
    hub.reply = () => token(2);
    await sidecar.tells('recovered');
    expect(content()).toMatchObject({ access_token: 'TOKEN-2' });
  });

  it('waits for a hub that is not there yet', async () => {
    await hub.close();
    const sidecar = start();
    await sidecar.tells('failing');
    await hub.listen(Number(new URL(url).port));
    await sidecar.tells('written');
    expect(sidecar.told('failing')).toMatchObject([{ reason: 'The hub cannot be reached: ECONNREFUSED' }]);
  });

  it('knows the file of the one before it: it takes it away at its end, though the hub was never there', async () => {
    const gotAt = Math.floor(Date.now() / 1000);
    writeFileSync(file, JSON.stringify({ access_token: 'OLD', got_token_at: gotAt - 7197, token_expires_in: 7200 }));
    await hub.close();
    const sidecar = start();
    await sidecar.tells('failing');
    expect(content()).toMatchObject({ access_token: 'OLD' });
    await sidecar.tells('removed');
    expect(Date.now() / 1000).toBeGreaterThanOrEqual(gotAt + 3);
    expect(existsSync(file)).toBe(false);
    await hub.listen(Number(new URL(url).port));
    await sidecar.tells('recovered');
    expect(content()).toMatchObject({ access_token: 'TOKEN-1' });
  });

  it.each(['', 'not JSON', '[]', '{"access_token":1}', '{"got_token_at":"1","token_expires_in":1}'])(
    'lets a file be that is none of its own, until the hub is there: %j',
    async (text) => {
      writeFileSync(file, text);
      await hub.close();
      const sidecar = start();
      await sidecar.tells('failing');
      expect(readFileSync(file, 'utf8')).toBe(text);
      await hub.listen(Number(new URL(url).port));
      await sidecar.tells('recovered');
      expect(content()).toMatchObject({ access_token: 'TOKEN-1' });
    },
  );

  it('shows the JWT that is in its file at the time', async () => {
    const jwt = join(folder, 'jwt');
    writeFileSync(jwt, 'FIRST\n');
    hub.reply = () => token(hub.asked.length, { refresh_after: 1 });
    const sidecar = start([], { WECHAT_HUB_TOKEN_FILE: jwt });
    await sidecar.tells('written');
    writeFileSync(jwt, 'SECOND\n');
    await sidecar.tells('written', 3);
    const shown = hub.asked.map(({ headers }) => headers.get('authorization'));
    expect(shown[0]).toBe('Bearer FIRST');
    expect(shown.at(-1)).toBe('Bearer SECOND');
  });

  it('tells when it cannot write, and writes when it can again', async () => {
    let version = 0;
    hub.reply = () => token(++version, { refresh_after: 1 });
    const sidecar = start();
    await sidecar.tells('written');
    renameSync(folder, `${folder}-away`);
    await sidecar.tells('failing');
    expect(sidecar.told('failing')).toMatchObject([{ reason: 'the file cannot be written (ENOENT)' }]);
    renameSync(`${folder}-away`, folder);
    await sidecar.tells('recovered');
  });

  describeWithDisk('on a disk of its own (which takes the right to mount one)', () => {
    let disk: SmallDisk;
    const place = (): string => join(folder, 'run');
    beforeEach(() => {
      mkdirSync(place());
      file = join(place(), 'token.json');
      disk = new SmallDisk(place());
    });
    afterEach(() => disk.unmount());

    it('leaves the file whole when the disk is full, and writes when there is room again', async () => {
      disk.mount('size=64k');
      hub.reply = () => token(1, { refresh_after: 1 });
      const sidecar = start();
      await sidecar.tells('written');
      disk.fill();
      hub.reply = () => token(2, { refresh_after: 1 });
      await sidecar.tells('failing');
      expect(sidecar.told('failing')).toMatchObject([{ reason: 'the file cannot be written (ENOSPC)' }]);
      expect(content()).toMatchObject({ access_token: 'TOKEN-1' });
      expect(readdirSync(place()).sort()).toEqual(['filler', 'token.json']);
      disk.clear();
      await sidecar.tells('recovered');
      expect(content()).toMatchObject({ access_token: 'TOKEN-2' });
    });

    it('goes on when it may not even take away what is at its end, and says so', async () => {
      disk.mount('size=64k');
      hub.reply = () => token(1, { expires_in: 3, refresh_after: 1 });
      const sidecar = start();
      await sidecar.tells('written');
      disk.mount('remount', 'ro');
      hub.reply = () => problem(503);
      const reasons = (): unknown[] => sidecar.told('failing').map(({ reason }) => reason);
      await sidecar.tells('failing', 2);
      expect(reasons()).toEqual(['Some trouble (503)', 'the file cannot be taken away (EROFS)']);
      disk.mount('remount', 'rw');
      await sidecar.tells('removed');
      expect(existsSync(file)).toBe(false);
      hub.reply = () => token(2);
      await sidecar.tells('recovered');
      expect(content()).toMatchObject({ access_token: 'TOKEN-2' });
    });

    it('does not start where it can write nothing, and says why', async () => {
      disk.mount('ro');
      const sidecar = start();
      expect(await sidecar.exited).toBe(78);
      expect(sidecar.output).toContain('  - --file: its folder cannot be written to (EROFS)');
    });
  });

  it.each(['SIGTERM', 'SIGINT'] as const)('ends with 0 after %s, and leaves the file', async (signal) => {
    const sidecar = start();
    await sidecar.tells('written');
    expect(await sidecar.stop(signal)).toBe(0);
    expect(sidecar.told('stopped')).toHaveLength(1);
    expect(content()).toMatchObject({ access_token: 'TOKEN-1' });
  });

  it('ends at once, though the hub does not answer', async () => {
    hub.reply = () => new Promise(() => undefined);
    const sidecar = start();
    await sidecar.tells('started');
    const asked = Date.now();
    expect(await sidecar.stop()).toBe(0);
    expect(Date.now() - asked).toBeLessThan(10_000);
  });

  it('ends with 78 when it is told nothing that would do, and names every fault', async () => {
    const sidecar = new Sidecar(['--kind', 'tickets', '--colour', 'red'], {
      WECHAT_HUB_KEY: WEB_KEY,
      WECHAT_HUB_URL: 'hub',
    });
    expect(await sidecar.exited).toBe(78);
    for (const setting of ['--file', '--kind', '--colour', 'WECHAT_HUB_URL', 'WECHAT_HUB_KID']) {
      expect(sidecar.output).toContain(`  - ${setting}: `);
    }
    expect(sidecar.output).not.toContain(WEB_KEY);
  });

  it('keeps what a hub gives, and says no token', async () => {
    const simulator = await Simulator.start();
    simulator.world.account({ appid: APPID, secret: APPSECRET, kind: 'official-account' });
    const hubProcess = await HubProcess.start(environmentFor(simulator, folder));
    url = hubProcess.url;
    const jwt = join(folder, 'jwt');
    writeFileSync(jwt, tokenFor());
    const sidecar = start([], { WECHAT_HUB_TOKEN_FILE: jwt });
    await sidecar.tells('written');
    const { access_token: value } = content();
    expect(simulator.world.verdict(String(value))).toMatchObject({ accepted: true, current: true });
    expect(sidecar.output).not.toContain(value);
    expect(sidecar.output).not.toContain(tokenFor().slice(0, 20));
    expect(await sidecar.stop()).toBe(0);
    await hubProcess.kill();
    await simulator.stop();
  });
});
