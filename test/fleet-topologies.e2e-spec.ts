import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { Fleet, noteFigures, secondsOf, valueOf } from './process.fixture.js';
import { RedisServer, until } from './redis.fixture.js';

const START_MS = 60_000;
const APPS = { classic: 'classic', stable: 'stable' } as const;
const PATHS = ['classic/access-token', 'classic/ticket?type=jsapi', 'stable/access-token'];
const CLIENTS = 30;

/** All at once, from hubs that have nothing yet: what each credential is. */
async function expectOneCallEach(fleet: Fleet): Promise<string[]> {
  const crowd = Array.from({ length: CLIENTS }, (_, i) =>
    fleet.read(PATHS[i % PATHS.length] ?? '', fleet.at(i + (i % 2))),
  );
  expect(new Set((await Promise.all(crowd)).map(valueOf)).size).toBe(PATHS.length);
  expect(fleet.calls()).toBe(PATHS.length);
  return Promise.all(PATHS.map((path) => fleet.allServeOneLiveValue(path)));
}

/** Stands between hubs and a Sentinel, and can keep them waiting for who is master until there is another one. */
class Delay {
  isOn = false;
  private readonly held: (() => void)[] = [];

  private constructor(
    private readonly server: Server,
    private readonly sentinel: RedisServer,
  ) {
    server.on('connection', (hub) => this.pass(hub));
  }

  static async before(sentinel: RedisServer): Promise<Delay> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new Delay(server, sentinel);
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  stop(): void {
    this.server.close();
  }

  private pass(hub: Socket): void {
    const behind = connect(this.sentinel.port, '127.0.0.1');
    hub.on('error', () => behind.destroy()).on('close', () => behind.end());
    behind.on('error', () => hub.destroy()).on('close', () => hub.end());
    hub.on('data', (asked) => {
      const send = (): boolean => behind.write(asked);
      if (this.isOn && asked.includes('get-master-addr')) this.held.push(send);
      else send();
    });
    behind.on('data', (said) => {
      hub.write(said);
      if (said.includes('message') && said.includes('+switch-master')) this.end();
    });
  }

  private end(): void {
    this.isOn = false;
    for (const send of this.held.splice(0)) send();
  }
}

describe('three hubs on a Redis behind a Sentinel', () => {
  const servers: RedisServer[] = [];
  let delay: Delay;
  let fleet: Fleet;
  beforeAll(async () => {
    const master = await RedisServer.start();
    servers.push(master);
    const replica = await RedisServer.start('--replicaof', '127.0.0.1', String(master.port));
    servers.push(replica);
    await until(async () => String(await master.ask('INFO', 'replication')).includes('state=online'));
    const sentinel = await RedisServer.startSentinel(master, 'hubs');
    servers.push(sentinel);
    await until(async () => ((await sentinel.ask('SENTINEL', 'REPLICAS', 'hubs')) as unknown[]).length === 1);
    delay = await Delay.before(sentinel);
    fleet = await Fleet.start(APPS, 3, master, `redis+sentinel://127.0.0.1:${delay.port}/hubs/0`);
  }, START_MS);
  afterAll(async () => {
    delay.stop();
    await Promise.all(servers.map((server) => server.stop()));
    await fleet.stop();
  });

  it('are one, and nobody notices when the master dies and its replica takes over, though the Sentinel is slow to say so', async () => {
    const values = await expectOneCallEach(fleet);
    const readers = fleet.follow(...PATHS);
    delay.isOn = true;
    await fleet.redis.kill();
    const seconds = await secondsOf(fleet.rotated('classic/access-token', values[0] ?? ''));
    expect(await Promise.all(PATHS.slice(1).map((path) => fleet.allServeOneLiveValue(path)))).toEqual(values.slice(1));
    await readers.stop();
    expect(readers.complaints).toEqual([]);
    expect(fleet.calls()).toBe(PATHS.length + 1);
    noteFigures('master killed, a Sentinel lets its replica take over', {
      rotates_again_after_s: seconds,
      reads: readers.reads,
      failed_reads: readers.complaints.length,
      calls: fleet.calls() - PATHS.length,
    });
  }, 60_000);
});

describe('three hubs on a Redis Cluster', () => {
  let nodes: RedisServer[];
  let fleet: Fleet;
  beforeAll(async () => {
    nodes = await RedisServer.startCluster();
    const addresses = nodes.map(({ port }) => `127.0.0.1:${port}`).join(',');
    fleet = await Fleet.start(APPS, 3, nodes[0], `redis+cluster://${addresses}`);
  }, START_MS);
  afterAll(async () => {
    await Promise.all(nodes.map((node) => node.stop()));
    await fleet.stop();
  });

  it('are one: they ask once for each credential, and each hears what the others got', async () => {
    const [old = ''] = await expectOneCallEach(fleet);
    const value = valueOf(await fleet.rotate('classic/access-token', old, fleet.at(1)));
    const seconds = await secondsOf(fleet.allServeOneLiveValue('classic/access-token', old));
    expect(await fleet.allServeOneLiveValue('classic/access-token')).toBe(value);
    expect(fleet.calls()).toBe(PATHS.length + 1);
    noteFigures('what one hub got, all serve, on a cluster', { worst_s: seconds });
  });
});
