// Runs the worst weathers of the simulation over many seeds, on all cores: 20,000 unless told otherwise.
//   npm run simulate -- [--seeds 20000] [--from 1] [--endpoint classic|stable] [--weather 'everything at once']
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const SIMULATION = fileURLToPath(new URL('../build/simulation/test/simulation/main.js', import.meta.url));
/** Small enough that it is seen to go on, and that a red seed is told soon. */
const SEEDS_AT_ONCE = 50;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '20000' },
    from: { type: 'string', default: '1' },
    endpoint: { type: 'string', multiple: true, default: ['classic', 'stable'] },
    weather: { type: 'string', multiple: true, default: ['everything but losses at once', 'everything at once'] },
  },
});
const seeds = Number(values.seeds);
const from = Number(values.from);
if (!(seeds > 0 && from > 0)) throw new Error('--seeds and --from: whole numbers from 1 on are wanted');

const portions = [];
for (let seed = from; seed < from + seeds; seed += SEEDS_AT_ONCE) {
  const count = Math.min(SEEDS_AT_ONCE, from + seeds - seed);
  for (const endpoint of values.endpoint)
    for (const weather of values.weather) portions.push({ seed, count, endpoint, weather });
}

await Promise.all(
  Array.from({ length: availableParallelism() }, async () => {
    for (let portion = portions.shift(); portion; portion = portions.shift()) {
      const { seed, count, endpoint, weather } = portion;
      const options = ['--endpoint', endpoint, '--weather', weather, '--from', String(seed), '--seeds', String(count)];
      const run = spawn(process.execPath, [SIMULATION, ...options], { stdio: 'inherit' });
      const [status] = await once(run, 'exit');
      if (status !== 0) process.exitCode = 1;
    }
  }),
);
