import { jest } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { APPID, APPSECRET, ask, environmentFor, type Reply, Stage, tokenFor, WEB_KEY } from './hub.fixture.js';
import { HubProcess, SmallDisk } from './process.fixture.js';
import { Simulator } from './simulator/server.js';
import { flood } from './wire.fixture.js';

const COMMAND = fileURLToPath(new URL('../dist/audit/main.js', import.meta.url));
const AUDIT_KEY = randomBytes(32).toString('base64');

type AuditLine = Readonly<Record<string, unknown>> & { readonly event: string };

/** What is written in the file of an audit. */
function linesIn(path: string): AuditLine[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as AuditLine);
}

function isJson(line: string): boolean {
  try {
    JSON.parse(line);
    return true;
  } catch {
    return false;
  }
}

/** Runs the command that operators have for audits. */
function audit(args: readonly string[], input = '', key = AUDIT_KEY): [status: number, text: string] {
  const env = { PATH: process.env['PATH'], AUDIT_KEY: key };
  const { status, stdout } = spawnSync(process.execPath, [COMMAND, ...args], { input, env, encoding: 'utf8' });
  return [status ?? -1, stdout.trim()];
}

const fingerprintOf = (value: string): string => audit(['fingerprint'], value)[1];

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'audit-'));
  path = join(folder, 'audit.jsonl');
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('the audit', () => {
  const SHOP = { appid: 'wxshop0123456789', secret: 'shop-secret-3f9a1c7e5b2d8046' };
  const CLIENT_KEY = 'client-key-1c9e7a5b3d8f2046e1c3a5b7d9f0e2c4';
  let stage: Stage;
  let hubFile: string;

  function configure(apps: Readonly<Record<string, object>>, clients: Readonly<Record<string, object>>): void {
    writeFileSync(hubFile, JSON.stringify({ apps, clients }));
  }

  const shop = { platform: 'official-account', appid: SHOP.appid, secret: { env: 'SHOP_SECRET' } };
  const key = { env: 'CLIENT_KEY' };

  beforeEach(async () => {
    hubFile = join(folder, 'hub.json');
    configure({ shop }, { reader: { key, apps: ['shop'], may: ['read'] } });
    stage = await Stage.set({
      AUDIT_FILE: path,
      AUDIT_KEY,
      HUB_CONFIG: hubFile,
      SHOP_SECRET: SHOP.secret,
      CLIENT_KEY,
      ROTATION_BURST: '1',
    });
    stage.simulator.world.account({ ...SHOP, kind: 'official-account' });
  });
  afterEach(() => stage.strike());

  const last = (event: string): AuditLine | undefined => linesIn(path).findLast((line) => line.event === event);

  it('has a record of a hand-out when the answer is there: who, whence, what, and by which replica', async () => {
    const { text, headers } = await stage.ask('/access-token', { headers: { 'X-Request-Id': 'our-request-1' } });
    expect(linesIn(path)).toEqual([
      expect.objectContaining({ seq: 1, event: 'start', outcome: 'started', apps: 2, clients: 2 }),
      expect.objectContaining({ seq: 2, event: 'mint', outcome: 'minted', app: 'default', kind: 'access-token' }),
      {
        audit: 1,
        seq: 3,
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/) as string,
        event: 'hand-out',
        outcome: 'given',
        client: 'web',
        app: 'default',
        source: '127.0.0.1',
        request: 'our-request-1',
        kind: 'access-token',
        version: Number(headers.get('etag')?.slice(1, -1)),
        fingerprint: fingerprintOf(text),
        replica: hostname(),
        prev: expect.any(String) as string,
        mac: expect.any(String) as string,
        hash: expect.any(String) as string,
      },
    ]);
    expect(last('mint')?.['fingerprint']).toBe(fingerprintOf(text));
  });

  it('says who got a value that has leaked, from every hub that has the key', async () => {
    const { text } = await stage.ask('/apps/shop/ticket?type=jsapi', {
      token: tokenFor('reader', CLIENT_KEY),
      headers: { Accept: 'text/plain' },
    });
    await stage.ask('/ticket?type=jsapi');
    const found = linesIn(path).filter((line) => line['fingerprint'] === fingerprintOf(text));
    expect(found.map(({ event, client, app, kind }) => [event, client, app, kind])).toEqual([
      ['mint', undefined, 'shop', 'ticket/jsapi'],
      ['hand-out', 'reader', 'shop', 'ticket/jsapi'],
    ]);
  });

  it('has who got which value, where several ask for one, before and after it was replaced', async () => {
    const token = tokenFor('reader', CLIENT_KEY);
    const read = async (): Promise<unknown[][]> => {
      const before = linesIn(path).length;
      const { json: own } = await stage.ask('/apps/shop/access-token', { token });
      const { json: others } = await stage.ask('/apps/shop/access-token');
      await stage.ask('/apps/shop/access-token', {
        token,
        headers: { 'If-None-Match': `"${String(own['version'])}"` },
      });
      expect(others['access_token']).toBe(own['access_token']);
      const value = fingerprintOf(own['access_token'] as string);
      const found = linesIn(path)
        .slice(before)
        .filter(({ event }) => event === 'hand-out');
      return found.map(({ client, outcome, fingerprint }) => [client, outcome, fingerprint === value]);
    };
    const expected = [
      ['reader', 'given', true],
      ['web', 'given', true],
      ['reader', 'not-modified', true],
    ];
    expect(await read()).toEqual(expected);
    const { text } = await stage.ask('/apps/shop/access-token', { headers: { Accept: 'text/plain' } });
    await stage.ask(`/apps/shop/access-token?rotate_token=${text}`);
    expect(await read()).toEqual(expected);
  });

  it('has it as such when the client had the version already', async () => {
    const { headers } = await stage.ask('/access-token');
    await stage.ask('/access-token', { headers: { 'If-None-Match': headers.get('etag') ?? '' } });
    expect(last('hand-out')).toMatchObject({ outcome: 'not-modified', app: 'default' });
  });

  it('has what was shown with a rotation and a report, and what was given for it', async () => {
    const { text: old } = await stage.ask('/access-token');
    const { text } = await stage.ask(`/access-token?rotate_token=${old}`);
    expect(last('rotation')).toMatchObject({
      outcome: 'given',
      client: 'web',
      app: 'default',
      shown: fingerprintOf(old),
      fingerprint: fingerprintOf(text),
    });
    stage.simulator.world.kill(text);
    const { json } = await stage.post('/apps/default/access-token/report', { token: text, errcode: 40001 });
    expect(linesIn(path).slice(-3)).toMatchObject([
      { event: 'foreign-mint', app: 'default', kind: 'access-token' },
      { event: 'mint', outcome: 'minted', reason: 'refused' },
      {
        event: 'report',
        outcome: 'replaced',
        errcode: 40001,
        shown: fingerprintOf(text),
        fingerprint: fingerprintOf(json['access_token'] as string),
        version: json['version'],
      },
    ]);
  });

  it('has for which site was signed', async () => {
    await stage.post('/apps/shop/jssdk-config', { url: 'https://shop.example:8443/cart?ticket=secret-of-the-page' });
    expect(last('signing')).toMatchObject({ outcome: 'signed', client: 'web', app: 'shop', site: 'shop.example:8443' });
  });

  it('has who was refused, and of a stranger what it claimed, told apart from who a client is', async () => {
    const reader = tokenFor('reader', CLIENT_KEY);
    await stage.ask('/access-token', { token: null });
    expect(last('refusal')).toMatchObject({ outcome: 'unauthenticated', status: 401, source: '127.0.0.1' });
    await stage.ask('/access-token', { token: tokenFor('web', 'another-key-2f6d8e1a4b7c9d0e3f5a8b1c4') });
    expect(last('refusal')).toMatchObject({ claimed: 'web', reason: 'invalid signature' });
    expect(last('refusal')).not.toHaveProperty('client');
    await stage.ask('/apps/shop/access-token?rotate_token=x', { token: reader });
    expect(last('refusal')).toMatchObject({
      outcome: 'forbidden',
      status: 403,
      client: 'reader',
      app: 'shop',
      action: 'rotate',
    });
    await stage.ask('/apps/default/access-token', { token: reader });
    expect(last('refusal')).toMatchObject({ outcome: 'not-found', status: 404, client: 'reader', app: 'default' });
    for (let i = 0; i < 2; i += 1) {
      const { text } = await stage.ask('/access-token');
      await stage.ask(`/access-token?rotate_token=${text}`);
    }
    expect(last('refusal')).toMatchObject({ outcome: 'rotation-budget', status: 429, action: 'rotate' });
    stage.simulator.world.faults.add({ kind: 'errcode', errcode: 40164 });
    await stage.ask('/apps/shop/access-token', { token: reader });
    expect(last('mint')).toMatchObject({ outcome: '40164', app: 'shop', reason: 'missing' });
    expect(last('refusal')).toMatchObject({ outcome: 'wechat-refused', status: 502, app: 'shop', action: 'read' });
  });

  it('has of a stranger who comes again and again the first times, and how many more there were', async () => {
    const now = performance.now();
    // Nothing of the budget of failures comes back meanwhile.
    jest.spyOn(performance, 'now').mockReturnValue(now);
    await flood(stage.url, '', 2700, () => 'the.same.again');
    await stage.restart();
    const refusals = linesIn(path).filter(({ event }) => event.startsWith('refusal'));
    expect(refusals.map(({ event }) => event)).toEqual([...Array<string>(100).fill('refusal'), 'refusals']);
    const [sum] = refusals.slice(-1);
    // One more for each connection, which it ends with.
    const count = 2700 + 27 - 100;
    expect(sum).toMatchObject({ outcome: 'counted', source: '127.0.0.1', count });
    // Looked at were half of the budget, and those that were on their way when it ran out.
    expect(count - Number(sum?.['shed'])).toBeGreaterThanOrEqual(2400);
    expect(count - Number(sum?.['shed'])).toBeLessThan(2600);
    expect(linesIn(path).map(({ event }) => event)).toEqual([
      'start',
      ...refusals.map(({ event }) => event),
      'stop',
      'start',
    ]);
    expect(audit(['verify', path])[0]).toBe(0);
  });

  it('has none of a request that asked for nothing', async () => {
    const before = linesIn(path).length;
    await stage.ask('/access-token?x=1');
    await stage.ask('/apps');
    await stage.ask('/no-such-path');
    expect(linesIn(path)).toHaveLength(before);
  });

  it('has what a new configuration changed, by name, and that one was refused', async () => {
    configure(
      { mall: { ...shop, appid: 'wxmall' } },
      { reader: { key, apps: '*', may: ['read'] }, crm: { key, apps: '*' } },
    );
    await untilThere('client-added');
    const changes = linesIn(path).slice(1);
    expect(changes.map(({ event, outcome, client, app }) => [event, outcome, client ?? app])).toEqual([
      ['configuration', 'accepted', undefined],
      ['app-removed', 'in-force', 'shop'],
      ['app-added', 'in-force', 'mall'],
      ['client-changed', 'in-force', 'reader'],
      ['client-added', 'in-force', 'crm'],
    ]);
    writeFileSync(hubFile, '{"apps": 1}');
    await untilThere('configuration', (line) => line['outcome'] === 'refused');
    expect(last('configuration')?.['faults']).toEqual([expect.stringMatching(/^HUB_CONFIG/)]);
  });

  it('has that a secret or a key is another one, once for each, and nothing of it', async () => {
    const secrets = { APPSECRET, JWT_KEY_web: WEB_KEY, SHOP_SECRET: SHOP.secret, CLIENT_KEY };
    const environment: Record<string, string | undefined> = {};
    for (const [name, value] of Object.entries(secrets)) {
      writeFileSync(join(folder, name), value);
      Object.assign(environment, { [name]: undefined, [`${name}_FILE`]: join(folder, name) });
    }
    await stage.restart(environment);
    const changed = async (name: string, value: string): Promise<AuditLine[]> => {
      const before = linesIn(path).length;
      writeFileSync(join(folder, name), value);
      await untilThere('configuration', (line) => Number(line['seq']) > before);
      // Behind it, whatever there is to be told of this change is told.
      await stage.ask('/access-token', { token: null });
      return linesIn(path).slice(before);
    };
    const other = 'another-value-6d8e1a4b7c9d0e3f5a8b1c4d7e0f3a2f';
    for (const [name, record] of [
      ['SHOP_SECRET', { event: 'secret-changed', app: 'shop' }],
      ['APPSECRET', { event: 'secret-changed', app: 'default' }],
      ['CLIENT_KEY', { event: 'key-changed', client: 'reader' }],
      ['JWT_KEY_web', { event: 'key-changed', client: 'web' }],
    ] as const) {
      const lines = await changed(name, other);
      expect(lines).toMatchObject([
        { event: 'configuration' },
        { ...record, outcome: 'in-force' },
        { event: 'refusal' },
      ]);
      // Of records that are written together, only the last is signed.
      const members = Object.keys(lines[1] ?? {}).filter((member) => member !== 'mac');
      expect(members.sort()).toEqual(
        [...Object.keys(record), ...['audit', 'seq', 'time', 'outcome', 'replica', 'prev', 'hash']].sort(),
      );
    }
    // The same value, written differently, is no change.
    expect(await changed('SHOP_SECRET', `${other}\n`)).toMatchObject([
      { event: 'configuration' },
      { event: 'refusal' },
    ]);
  });

  async function untilThere(event: string, is: (line: AuditLine) => boolean = () => true): Promise<void> {
    const patience = AbortSignal.timeout(10_000);
    while (!linesIn(path).some((line) => line.event === event && is(line)))
      await delay(20, undefined, { signal: patience });
  }

  it('holds no secret, whatever was asked', async () => {
    const { text: token } = await stage.ask('/access-token');
    const { text: ticket } = await stage.ask('/ticket?type=jsapi');
    const jwt = tokenFor();
    await stage.ask(`/ticket?type=jsapi&rotate_ticket=${ticket}`, { token: jwt });
    await stage.post('/apps/default/access-token/report', { token });
    await stage.ask('/apps/default/access-token', { token: tokenFor('web', 'x'.repeat(32)) });
    await stage.ask(`/apps/${token.toLowerCase()}/access-token`);
    await stage.restart();
    const text = readFileSync(path, 'utf8');
    for (const secret of [token, ticket, jwt, APPSECRET, SHOP.secret, WEB_KEY, CLIENT_KEY, AUDIT_KEY]) {
      for (const part of [secret, secret.slice(0, 16), secret.slice(-16)]) {
        expect(text.toLowerCase()).not.toContain(part.toLowerCase());
      }
    }
  });

  it('goes on over a restart, and is in order', async () => {
    await stage.ask('/access-token');
    await stage.restart();
    await stage.ask('/access-token');
    expect(linesIn(path).map(({ event }) => event)).toEqual(['start', 'mint', 'hand-out', 'stop', 'start', 'hand-out']);
    expect(audit(['verify', path])).toEqual([0, '6 record(s), 1 to 6: in order.']);
    expect(audit(['verify', '--last', '7', path])[0]).toBe(1);
    const changed = readFileSync(path, 'utf8').replace('"web"', '"wed"');
    expect(audit(['verify', '-'], changed)).toEqual([
      1,
      '-:3: was changed: its hash is of something else\n5 record(s), 1 to 6: 1 fault(s).',
    ]);
    expect(audit(['verify', path], '', randomBytes(32).toString('base64'))[0]).toBe(1);
    expect(audit(['verify', join(folder, 'none')])[0]).toBe(66);
  });

  it('is seen in readiness and metrics', async () => {
    await stage.ask('/access-token');
    expect((await stage.ask('/health/ready', { token: null })).json).toMatchObject({
      details: { audit: { status: 'up' } },
    });
    const { text } = await stage.ask('/metrics', { token: null });
    expect(text).toMatch(/^wechat_token_hub_audit_up 1$/m);
    expect(text).toMatch(/^wechat_token_hub_audit_sequence 3$/m);
    expect(text).toMatch(/^wechat_token_hub_audit_failures_total 0$/m);
  });
});

describe('without an audit', () => {
  it('there is nothing of it in readiness and metrics', async () => {
    const stage = await Stage.set();
    try {
      expect((await stage.ask('/health/ready', { token: null })).json['details']).not.toHaveProperty('audit');
      expect((await stage.ask('/metrics', { token: null })).text).not.toContain('audit');
    } finally {
      await stage.strike();
    }
  });
});

describe('a hub as a process', () => {
  let simulator: Simulator;
  let environment: Record<string, string>;
  const hubs: HubProcess[] = [];
  beforeEach(async () => {
    simulator = await Simulator.start();
    simulator.world.account({ appid: APPID, secret: APPSECRET, kind: 'official-account' });
    environment = { ...environmentFor(simulator, join(folder, 'data')), AUDIT_FILE: path, AUDIT_KEY };
  });
  afterEach(async () => {
    for (const hub of hubs.splice(0)) await hub.kill();
    await simulator.stop();
  });

  async function start(more: Readonly<Record<string, string>> = {}, wrapper?: readonly string[]): Promise<HubProcess> {
    const hub = await HubProcess.start({ ...environment, ...more }, wrapper);
    hubs.push(hub);
    return hub;
  }

  const read = (hub: HubProcess): Promise<Reply> => ask(`${hub.url}/access-token`);
  const ready = (hub: HubProcess): Promise<Reply> => ask(`${hub.url}/health/ready`, { token: null });
  const seen = (): number => linesIn(path).filter(({ event }) => event === 'hand-out').length;

  it('that is killed has recorded all that it has answered, and the next closes off what it left', async () => {
    const first = await start();
    let answered = 0;
    const clients = Array.from({ length: 8 }, async () => {
      for (;;) {
        const reply = await read(first).catch(() => undefined);
        if (reply?.status !== 200) return;
        answered += 1;
        if (answered === 50) first.signal('SIGKILL');
      }
    });
    await Promise.all(clients);
    await first.exited;
    expect(seen()).toBeGreaterThanOrEqual(answered);
    // What a kernel leaves of a line when it has less luck.
    truncateSync(path, statSync(path).size - 40);
    const second = await start();
    await read(second);
    await second.kill();
    const [status, text] = audit(['verify', path]);
    expect([status, text]).toEqual([
      0,
      expect.stringMatching(/note: was not written to its end; the next start says so\n\d+ record/),
    ]);
  });

  it('goes on in a new file when the old one is renamed and it gets a SIGHUP, while clients read', async () => {
    const hub = await start();
    const older = `${path}.1`;
    let isOver = false;
    const clients = Array.from({ length: 4 }, async () => {
      while (!isOver) expect((await read(hub)).status).toBe(200);
    });
    await delay(200);
    renameSync(path, older);
    hub.signal('SIGHUP');
    const patience = AbortSignal.timeout(10_000);
    while (!statSync(path, { throwIfNoEntry: false })?.size) await delay(20, undefined, { signal: patience });
    await delay(100);
    isOver = true;
    await Promise.all(clients);
    hub.signal('SIGTERM');
    expect(await hub.exited).toMatchObject({ code: 0 });
    expect(audit(['verify', older, path])[0]).toBe(0);
    expect(audit(['verify', path, older])[0]).toBe(1);
    expect(linesIn(path).at(-1)).toMatchObject({ event: 'stop', outcome: 'stopped' });
  });

  it('may write its audit to stdout, among the lines of the log, beginning anew with each start', async () => {
    let text = '';
    for (let i = 0; i < 2; i += 1) {
      const hub = await start({ AUDIT_FILE: '-' });
      expect((await read(hub)).status).toBe(200);
      hub.signal('SIGTERM');
      await hub.exited;
      text += hub.output;
    }
    const lines = text.split('\n').filter((line) => line.startsWith('{"audit":1,'));
    expect(lines.map((line) => (JSON.parse(line) as AuditLine).event)).toEqual([
      ...['start', 'mint', 'hand-out', 'stop'],
      ...['start', 'hand-out', 'stop'],
    ]);
    expect(audit(['verify', '--restarts', '-'], `${lines.join('\n')}\n`)[0]).toBe(0);
    expect(audit(['verify', '-'], `${lines.join('\n')}\n`)[0]).toBe(1);
  });

  it('keeps serving while nobody takes what it prints, and tears no line of the audit or the log by that', async () => {
    // A pipe, as containers have, is filled to the last byte; what Node puts between processes is not.
    const hub = await start({ AUDIT_FILE: '-' }, ['bash', '-c', 'exec "$@" > >(cat)', '--']);
    hub.stopListening();
    const readers = Array.from({ length: 50 }, async () => {
      for (let i = 0; i < 30; i += 1) expect((await read(hub)).status).toBe(200);
    });
    await Promise.all(readers);
    expect((await ready(hub)).json['details']).toMatchObject({ audit: { status: 'degraded' } });
    for (let i = 0; i < 30; i += 1) {
      expect((await ask(`${hub.url}/access-token`, { token: 'of.nobody.here' })).status).toBe(401);
    }
    hub.listenAgain();
    await hub.says(/"event":"gap"/);
    const lines = hub.output.split('\n').slice(0, -1);
    expect(lines.filter((line) => !isJson(line))).toEqual([]);
    const records = lines.filter((line) => line.startsWith('{"audit":1,'));
    expect(audit(['verify', '-'], `${records.join('\n')}\n`)).toEqual([0, expect.stringContaining('in order')]);
  });

  it('does not start on what is no audit', async () => {
    writeFileSync(path, 'notes of somebody\n');
    const hub = HubProcess.launch(environment);
    hubs.push(hub);
    expect(await hub.exited).toEqual({ code: 78, signal: null });
    expect(hub.output).toMatch(/cannot start\.\nAUDIT_FILE ends with something that is no record/);
    expect(readFileSync(path, 'utf8')).toBe('notes of somebody\n');
  });

  const describeWithDisk = SmallDisk.isToBeHad() ? describe : describe.skip;

  describeWithDisk('whose audit has a disk of its own (which takes the right to mount one)', () => {
    let disk: SmallDisk;
    beforeEach(() => {
      const place = join(folder, 'disk');
      mkdirSync(place);
      disk = new SmallDisk(place);
      disk.mount('size=64k');
      path = join(place, 'audit.jsonl');
      environment = { ...environment, AUDIT_FILE: path };
    });
    afterEach(async () => {
      for (const hub of hubs.splice(0)) await hub.kill();
      disk.unmount();
    });

    /** Reads until the room that is left in the last block is used up. */
    async function readUntilFull(hub: HubProcess): Promise<Reply> {
      const patience = AbortSignal.timeout(10_000);
      for (;;) {
        const reply = await read(hub);
        if ((await ready(hub)).json['status'] !== 'ok') return reply;
        patience.throwIfAborted();
      }
    }

    it('serves on when that is full, says so everywhere, and tells in the audit what is missing', async () => {
      const hub = await start();
      const { text: token } = await read(hub);
      disk.fill();
      expect(await readUntilFull(hub)).toMatchObject({ status: 200, text: token });
      const { status, json } = await ready(hub);
      expect([status, json]).toEqual([
        200,
        expect.objectContaining({
          status: 'degraded',
          details: expect.objectContaining({
            audit: {
              status: 'degraded',
              message: 'The audit cannot be written: ENOSPC.',
              seconds: expect.any(Number) as number,
            },
          }) as unknown,
        }),
      ]);
      expect((await ask(`${hub.url}/metrics`, { token: null })).text).toMatch(/^wechat_token_hub_audit_up 0$/m);
      await hub.says(/The audit cannot be written \(ENOSPC\)\. Credentials are handed out without records/);

      disk.clear();
      await hub.says(/The audit can be written again/);
      expect((await read(hub)).text).toBe(token);
      expect((await ready(hub)).json).toMatchObject({ status: 'ok' });
      await hub.kill();
      const [verified, text] = audit(['verify', path]);
      expect([verified, text]).toEqual([
        0,
        expect.stringMatching(/note: says that \d+ record\(s\) could not be written/),
      ]);
    });

    it('hands out nothing when that is full and it has to be recorded, and is out of service until it can', async () => {
      const hub = await start({ AUDIT_REQUIRED: 'true' });
      const { text: token } = await read(hub);
      disk.fill();
      const refused = await readUntilFull(hub);
      expect([refused.status, refused.json['type'], refused.headers.get('retry-after')]).toEqual([
        503,
        '/problems/audit-unavailable',
        '1',
      ]);
      expect(refused.text).not.toContain(token);
      expect(await ready(hub)).toMatchObject({ status: 503, json: { error: { audit: { status: 'down' } } } });
      // What would be done on its word is not even begun.
      const calls = simulator.world.calls.length;
      expect((await ask(`${hub.url}/access-token?rotate_token=${token}`)).status).toBe(503);
      expect(simulator.world.calls).toHaveLength(calls);

      disk.clear();
      await hub.says(/The audit can be written again/);
      expect(await ready(hub)).toMatchObject({ status: 200, json: { status: 'ok' } });
      expect(await read(hub)).toMatchObject({ status: 200, text: token });
      await hub.kill();
      expect(audit(['verify', path])[0]).toBe(0);
    });
  });
});
