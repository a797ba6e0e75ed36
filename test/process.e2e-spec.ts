import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { APPID, APPSECRET, ask, environmentFor, tokenFor, WEB_KEY } from './hub.fixture.js';
import { HubProcess } from './process.fixture.js';
import { Simulator } from './simulator/server.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

describe('the process', () => {
  let simulator: Simulator;
  let dataDir: string;
  let environment: Record<string, string>;
  const hubs: HubProcess[] = [];
  const start = async (more: object = {}, wrapper?: readonly string[]): Promise<HubProcess> => {
    const hub = await HubProcess.start({ ...environment, ...more }, wrapper);
    hubs.push(hub);
    return hub;
  };

  beforeEach(async () => {
    simulator = await Simulator.start();
    simulator.world.account({ appid: APPID, secret: APPSECRET, kind: 'official-account' });
    dataDir = mkdtempSync(join(tmpdir(), 'hub-'));
    environment = environmentFor(simulator, dataDir);
  });
  afterEach(async () => {
    await Promise.all(hubs.splice(0).map((hub) => hub.kill()));
    await simulator.stop();
    rmSync(dataDir, { recursive: true, force: true });
  });

  const opened = async (hub: HubProcess, text: string): Promise<Socket> => {
    const socket = connect(Number(new URL(hub.url).port), '127.0.0.1');
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    socket.write(text);
    return socket;
  };

  describe('that is told to stop', () => {
    it.each(['SIGTERM', 'SIGINT'] as const)(
      'ends with 0 after %s, with idle connections and half a request open',
      async (signal) => {
        const hub = await start();
        expect((await ask(`${hub.url}/access-token`)).status).toBe(200);
        await opened(hub, '');
        const half = await opened(hub, 'GET /access-token HTTP/1.1\r\nHost: hub\r\nAuth');
        hub.signal(signal);
        hub.signal(signal);
        expect(await hub.exited).toEqual({ code: 0, signal: null });
        half.destroy();
      },
    );

    it('answers what came in, says that it is not ready, stores what is minted, and asks nothing more', async () => {
      simulator.world.faults.add({ kind: 'slow', milliseconds: 2000, path: '/cgi-bin/token' });
      const hub = await start();
      const reads = Promise.all(Array.from({ length: 20 }, () => ask(`${hub.url}/access-token`)));
      await simulatorIsAsked(simulator);
      hub.signal('SIGTERM');
      await hub.says(/Shutting down/);
      const ready = await ask(`${hub.url}/health/ready`, { token: null });
      expect([ready.status, ready.headers.get('connection')]).toEqual([503, 'close']);
      expect(ready.json).toMatchObject({ details: { hub: { status: 'down' }, credentials: { credentials: [] } } });
      expect(ready.json['info']).not.toHaveProperty('credentials.credentials');
      expect((await ask(`${hub.url}/health/live`, { token: null })).status).toBe(200);
      const ticket = await ask(`${hub.url}/ticket?type=jsapi`);
      expect([ticket.status, ticket.headers.get('retry-after')]).toEqual([503, '1']);
      const values = new Set((await reads).map(({ status, text }) => `${status} ${text}`));
      expect(await hub.exited).toEqual({ code: 0, signal: null });
      const next = await start();
      expect(values).toEqual(new Set([`200 ${(await ask(`${next.url}/access-token`)).text}`]));
      expect(simulator.world.count('/cgi-bin/token')).toBe(1);
    });

    it('fails no request of clients that keep their connections', async () => {
      const hub = await start();
      await ask(`${hub.url}/access-token`);
      const failures: unknown[] = [];
      let answers = 0;
      const client = async (): Promise<void> => {
        for (;;) {
          try {
            const { status, headers } = await ask(`${hub.url}/access-token`);
            if (status === 200) answers += 1;
            else failures.push(status);
            // As a load balancer would: who was told that the hub closes goes elsewhere.
            if (headers.get('connection') === 'close') return;
          } catch (error) {
            failures.push(error);
            return;
          }
        }
      };
      const clients = Promise.all(Array.from({ length: 8 }, client));
      while (answers < 50) await new Promise((resolve) => setImmediate(resolve));
      hub.signal('SIGTERM');
      await clients;
      expect(failures).toEqual([]);
      expect(await hub.exited).toEqual({ code: 0, signal: null });
    });

    it('ends with 0 as the first process of a container', async () => {
      const unprivileged = process.getuid?.() === 0 ? [] : ['--map-root-user'];
      const hub = await start({}, ['unshare', ...unprivileged, '--fork', '--pid', '--kill-child']);
      expect((await ask(`${hub.url}/access-token`)).status).toBe(200);
      await opened(hub, '');
      // The signal has to come from outside of the namespace, to the hub itself and not to the program that made it.
      const [child = ''] = spawnSync('ps', ['-o', 'pid=', '--ppid', String(hub.pid)])
        .stdout.toString()
        .trim()
        .split('\n');
      process.kill(Number(child), 'SIGTERM');
      expect(await hub.exited).toEqual({ code: 0, signal: null });
    });

    it('ends with 0 when npm, which started it, is told to stop', async () => {
      const npm = spawn('npm', ['start'], { cwd: ROOT, env: { PATH: process.env['PATH'], ...environment } });
      let said = '';
      npm.stdout.setEncoding('utf8').on('data', (chunk: string) => (said += chunk));
      while (!said.includes('Listening')) await once(npm.stdout, 'data');
      npm.kill('SIGTERM');
      expect(await once(npm, 'exit')).toEqual([0, null]);
      expect(said).toContain('Shutting down');
    });

    it('ends with 0 though the signal came before it listened', async () => {
      const preload = join(dataDir, 'impatient.cjs');
      writeFileSync(
        preload,
        `process.on('newListener', (name) => {
           if (name === 'SIGTERM') setImmediate(() => process.kill(process.pid, 'SIGTERM'));
         });`,
      );
      const hub = HubProcess.launch({ ...environment, NODE_OPTIONS: `--require ${preload}` });
      hubs.push(hub);
      expect(await hub.exited).toEqual({ code: 0, signal: null });
    });
  });

  describe('that is killed', () => {
    it('starts again with what it had, without asking WeChat', async () => {
      const first = await start();
      const token = (await ask(`${first.url}/access-token`)).text;
      const ticket = (await ask(`${first.url}/ticket?type=jsapi`)).text;
      await first.kill();
      simulator.world.outage('127.0.0.1', true);
      const second = await start();
      expect((await ask(`${second.url}/access-token`)).text).toBe(token);
      expect((await ask(`${second.url}/ticket?type=jsapi`)).text).toBe(ticket);
      expect(simulator.world.calls).toHaveLength(2);
    });

    it('in the middle of a rotation, trusts the old value for five minutes and gets a new one', async () => {
      const first = await start();
      const old = (await ask(`${first.url}/access-token`)).text;
      simulator.world.faults.add({ kind: 'hang', executed: true, path: '/cgi-bin/token', times: 1 });
      const rotation = ask(`${first.url}/access-token?rotate_token=${old}`).catch(() => undefined);
      await simulatorIsAsked(simulator, 2);
      await first.kill();
      await rotation;
      simulator.world.faults.add({ kind: 'slow', milliseconds: 1000, path: '/cgi-bin/token' });
      const second = await start();
      const doubted = (await ask(`${second.url}/apps/default/access-token`)).json;
      expect(doubted['access_token']).toBe(old);
      expect(doubted['expires_in']).toBeLessThanOrEqual(300);
      // The call that was cut off may be on its way for a while yet; a token that came before it would not last.
      await second.says(/new value/, 25_000);
      expect((await ask(`${second.url}/access-token`)).text).not.toBe(old);
    }, 60_000);
  });

  it.each([3600, -3600])('lives through a system clock that is moved by %d s', async (seconds) => {
    const preload = join(dataDir, 'clock.cjs');
    writeFileSync(
      preload,
      `const real = Date.now; let ahead = 0;
       Date.now = () => real() + ahead;
       process.on('SIGUSR2', () => { ahead = ${seconds * 1000}; });`,
    );
    const hub = await start({ NODE_OPTIONS: `--require ${preload}` });
    const before = (await ask(`${hub.url}/apps/default/access-token`)).json;
    hub.signal('SIGUSR2');
    await hub.says(/clock was moved/);
    // The client's JWT is by its own clock, which was moved alike.
    const after = (
      await ask(`${hub.url}/apps/default/access-token`, {
        token: tokenFor('web', WEB_KEY, { iat: Math.floor(Date.now() / 1000) + seconds }),
      })
    ).json;
    expect(after['access_token']).toBe(before['access_token']);
    expect(Math.abs(Number(after['expires_in']) - Number(before['expires_in']))).toBeLessThan(30);
    const expiresAt = Date.parse(String(after['expires_at'])) - Date.parse(String(before['expires_at']));
    expect(Math.abs(expiresAt - seconds * 1000)).toBeLessThan(3000);
    await hub.kill();
    expect(simulator.world.calls).toHaveLength(1);
  });

  it.each([
    ['JSON', JSON.stringify],
    ['YAML', stringify],
  ])('follows a large configuration file in %s, and refuses a bad one', async (_, written) => {
    const file = join(dataDir, 'large');
    const apps = Object.fromEntries(
      Array.from({ length: 4000 }, (_, i) => [
        `app-${i}`,
        { platform: 'official-account', appid: `wx${String(i).padStart(16, '0')}`, secret: { env: 'APPSECRET' } },
      ]),
    );
    writeFileSync(file, '{}');
    const hub = await start({ HUB_CONFIG: file });
    const configured = async (): Promise<unknown[]> => (await ask(`${hub.url}/apps`)).json['apps'] as unknown[];
    const before = await configured();
    writeFileSync(file, written({ apps }));
    await hub.says(/"The new configuration is in force/, 10_000);
    expect(await configured()).toHaveLength(before.length + 4000);
    writeFileSync(file, written({ apps: { ...apps, 'app-4000': { platform: 'nonsense' } } }));
    await hub.says(/The new configuration is refused.*HUB_CONFIG\.apps\.app-4000: the platform must be one of/, 10_000);
    writeFileSync(file, `${written({ apps })}\n]`);
    await hub.says(/The new configuration is refused.*HUB_CONFIG: is not valid YAML or JSON, line \d+/, 10_000);
    expect(await configured()).toHaveLength(before.length + 4000);
  });

  it('opens no debugger when it is sent the signal that Node has for that, and goes on', async () => {
    const hub = await start();
    const old = (await ask(`${hub.url}/access-token`)).text;
    hub.signal('SIGUSR1');
    await delay(1000);
    expect(socketsOf(hub.pid)).toEqual([Number(new URL(hub.url).port)]);
    expect(hub.output).not.toMatch(/debugger/i);
    expect((await ask(`${hub.url}/access-token`)).text).toBe(old);
  });

  it('writes a line of JSON for every event: what happened to what, for whom, and what it means', async () => {
    const hub = await start();
    simulator.world.faults.add({ kind: 'errcode', errcode: 40164, path: '/cgi-bin/ticket/getticket' });
    await ask(`${hub.url}/ticket?type=jsapi`, { headers: { 'X-Request-Id': 'try-1' } });
    await hub.says(/try-1/);
    const lines = hub.output
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.find(({ event }) => event === 'minted')).toMatchObject({
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/) as unknown,
      app: 'default',
      kind: 'access-token',
      flaw: 'missing',
      msg: expect.stringContaining('new value') as unknown,
    });
    expect(lines.find(({ event }) => event === 'failed')).toMatchObject({
      level: 'error',
      app: 'default',
      kind: 'ticket/jsapi',
      errcode: 40164,
      msg: expect.stringContaining('whitelist') as unknown,
    });
    expect(lines.find(({ event }) => event === 'refused')).toMatchObject({
      level: 'warn',
      requestId: 'try-1',
      client: 'web',
      app: 'default',
      status: 502,
    });
    expect(lines.filter(({ event }) => event === 'minted')).toHaveLength(1);
  });

  it('prints a JWT that the hub takes', async () => {
    const hub = await start();
    const printed = spawnSync('npm', ['run', '--silent', 'jwt', '--', '--kid', 'web', '--ttl', '5m'], {
      cwd: ROOT,
      env: { PATH: process.env['PATH'], JWT_KEY_web: WEB_KEY },
    });
    expect((await ask(`${hub.url}/access-token`, { token: printed.stdout.toString().trim() })).status).toBe(200);
  });

  it('shows itself in the demo, whose lines can be copied', async () => {
    const demo = spawn(process.execPath, ['scripts/demo.mjs'], {
      cwd: ROOT,
      env: { PATH: process.env['PATH'], PORT: '0' },
    });
    let said = '';
    demo.stdout.setEncoding('utf8').on('data', (chunk: string) => (said += chunk));
    while (!said.includes('Ctrl-C')) await once(demo.stdout, 'data');
    const lines = [...said.matchAll(/^ {2}(curl -H 'Authorization: Bearer .*)$/gm)].map(([, line = '']) => line);
    const answers = lines.map((line) => spawnSync('bash', ['-c', `${line} -s --fail`]));
    expect(answers.map(({ status }) => status)).toEqual([0, 0, 0, 0, 0]);
    expect(answers[1]?.stdout.toString()).toContain(`"access_token":"${answers[0]?.stdout.toString() ?? ''}"`);
    const [asSdk = ''] = /^ {2}SDK_TOKEN=.*\n {2}curl .*$/m.exec(said) ?? [];
    expect(spawnSync('bash', ['-c', `${asSdk} -s --fail`]).stdout.toString()).toBe(answers[4]?.stdout.toString());
    expect(answers[4]?.stdout.toString()).toContain('"next_openid"');
    demo.kill('SIGINT');
    expect(await once(demo, 'exit')).toEqual([0, null]);
  });
});

/** The ports on which a process listens, by TCP. */
function socketsOf(pid: number): number[] {
  const inodes = new Set(
    readdirSync(`/proc/${pid}/fd`).map((fd) => /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${fd}`))?.[1]),
  );
  const LISTEN = '0A';
  return ['tcp', 'tcp6'].flatMap((file) =>
    readFileSync(`/proc/${pid}/net/${file}`, 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter(([, , , state, , , , , , inode]) => state === LISTEN && inodes.has(inode))
      .map(([, local = '']) => parseInt(local.replace(/^.*:/, ''), 16)),
  );
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    // Closed meanwhile.
    return '';
  }
}

/** Waits until a call has reached WeChat. */
async function simulatorIsAsked(simulator: Simulator, calls = 1): Promise<void> {
  while (simulator.world.calls.length < calls) await new Promise((resolve) => setImmediate(resolve));
}
