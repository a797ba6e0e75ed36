import { Fleet, type Scenario, type Weather } from './fleet.js';

/** How many seeds for each kind of weather; more with SEEDS=20000, for who wants to. */
const SEEDS = Number(process.env['SEEDS'] ?? 20);

const WEATHERS: Readonly<Record<string, Weather>> = {
  'nothing wrong': {},
  'a slow WeChat': { slow: true },
  'lost answers': { lostAnswers: true },
  'refusals and nonsense': { refusals: true },
  outages: { outages: true },
  crashes: { crashes: true },
  'rotations by clients': { rotations: true },
  'somebody else who mints': { foreignMints: true },
};

const ALONE: Readonly<Record<string, Weather>> = {
  ...WEATHERS,
  'a full disk': { fullDisk: true },
  'everything at once': {
    slow: true,
    lostAnswers: true,
    refusals: true,
    outages: true,
    crashes: true,
    rotations: true,
    foreignMints: true,
  },
};

const TOGETHER: Readonly<Record<string, Weather>> = {
  ...WEATHERS,
  pauses: { pauses: true },
  'clocks that differ': { clocks: true },
  'a slow Redis': { slowRedis: true },
  'lost messages': { lostMessages: true },
  'outages of Redis': { redisOutages: true },
  'hubs that are cut off': { partitions: true },
  'a Redis that loses what it had': { redisLosses: true },
};

const one = { hubs: 1, clients: 3, hours: 2 } as const;
const three = { hubs: 3, clients: 12, hours: 6 } as const;

describe.each(['classic', 'stable'] as const)('hubs on the %s endpoint', (endpoint) => {
  it.each([
    ...Object.entries(ALONE).map(([name, weather]) => [`one hub keeps its promises under ${name}`, weather, one] as const),
    ...Object.entries(TOGETHER).map(([name, weather]) => [`three keep them under ${name}`, weather, three] as const),
  ])(
    '%s',
    async (_, weather, size) => {
      const broken: string[] = [];
      for (let seed = 1; seed <= SEEDS; seed += 1) {
        const findings = await new Fleet({ seed, endpoint, weather, ...size }).run();
        broken.push(...findings.broken.map((sentence) => `seed ${seed}: ${sentence}`));
      }
      expect(broken).toEqual([]);
    },
    20_000 + SEEDS * 3000,
  );
});
