import type { Scenario, Weather } from './fleet.js';

const ALIKE: Readonly<Record<string, Weather>> = {
  'nothing wrong': {},
  'a slow WeChat': { slow: true },
  'lost answers': { lostAnswers: true },
  'refusals and nonsense': { refusals: true },
  outages: { outages: true },
  crashes: { crashes: true },
  'rotations by clients': { rotations: true },
  'somebody else who mints': { foreignMints: true },
};

const WECHAT_AT_ITS_WORST: Weather = { slow: true, lostAnswers: true, refusals: true, outages: true, crashes: true };

/** What may go wrong for one hub with a disk of its own. */
export const ALONE: Readonly<Record<string, Weather>> = {
  ...ALIKE,
  'a full disk': { fullDisk: true },
  'everything at once': { ...WECHAT_AT_ITS_WORST, rotations: true, foreignMints: true },
};

const SHARED_AT_ITS_WORST: Weather = {
  ...WECHAT_AT_ITS_WORST,
  pauses: true,
  clocks: true,
  slowRedis: true,
  lostMessages: true,
  redisOutages: true,
  partitions: true,
};

/** What may go wrong for several on one Redis. What clients or others end is excused, so it would hide the rest. */
export const TOGETHER: Readonly<Record<string, Weather>> = {
  ...ALIKE,
  pauses: { pauses: true },
  'clocks that differ': { clocks: true },
  'a slow Redis': { slowRedis: true },
  'lost messages': { lostMessages: true },
  'outages of Redis': { redisOutages: true },
  'hubs that are cut off': { partitions: true },
  'a Redis that loses what it had': { redisLosses: true },
  'everything but losses at once': SHARED_AT_ITS_WORST,
  'everything at once': { ...SHARED_AT_ITS_WORST, redisLosses: true },
  'everything, and rotations': { ...SHARED_AT_ITS_WORST, redisLosses: true, rotations: true },
};

/** How large a run is. */
export const SIZES = {
  alone: { hubs: 1, clients: 3, hours: 2 },
  together: { hubs: 3, clients: 12, hours: 6 },
} as const satisfies Readonly<Record<string, Pick<Scenario, 'hubs' | 'clients' | 'hours'>>>;
