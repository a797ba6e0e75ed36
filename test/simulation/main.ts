import { parseArgs } from 'node:util';
import { type Findings, Fleet, type Scenario } from './fleet.js';
import { ALONE, SIZES, TOGETHER } from './weathers.js';

const { values } = parseArgs({
  options: {
    endpoint: { type: 'string', default: 'classic' },
    size: { type: 'string', default: 'together' },
    weather: { type: 'string', multiple: true },
    from: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '20' },
    history: { type: 'boolean', default: false },
  },
});

/** Of a run that goes wrong the beginning says most. */
const BROKEN_TOLD = 3;

const { endpoint, size } = values;
if (endpoint !== 'classic' && endpoint !== 'stable') throw new Error('--endpoint: classic or stable is wanted');
if (size !== 'alone' && size !== 'together') throw new Error('--size: alone or together is wanted');
const weathers = size === 'alone' ? ALONE : TOGETHER;
const [from, seeds] = [Number(values.from), Number(values.seeds)];

for (const name of values.weather ?? Object.keys(weathers)) {
  const weather = weathers[name];
  if (!weather) throw new Error(`--weather: one of ${Object.keys(weathers).join(', ')} is wanted`);
  const startedAt = performance.now();
  const total = { mints: 0, reads: 0, failedReads: 0, crashes: 0 };
  let longestDeadMs = 0;
  for (let seed = from; seed < from + seeds; seed += 1) {
    const scenario: Scenario = { seed, endpoint, weather, ...SIZES[size] };
    const findings: Findings = await new Fleet(scenario).run();
    for (const figure of Object.keys(total) as (keyof typeof total)[]) total[figure] += findings[figure];
    longestDeadMs = Math.max(longestDeadMs, findings.longestDeadMs);
    for (const sentence of findings.broken.slice(0, BROKEN_TOLD))
      say(`BROKEN under ${name}, seed ${seed}: ${sentence}`);
    if (findings.broken.length > 0) process.exitCode = 1;
    if (values.history) for (const line of findings.history) say(line);
    // Now and then, so that a long run shows that it goes on.
    if (seed % 500 === 0) say(`… ${name}: ${seed - from + 1} of ${seeds}`);
  }
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  const { mints, reads, failedReads, crashes } = total;
  const counts = `${mints} mints, ${reads} reads of which ${failedReads} failed, ${crashes} crashes`;
  say(
    `${endpoint}, ${name}: ${seeds} runs in ${seconds} s; ${counts}; a dead value for ${(longestDeadMs / 1000).toFixed(1)} s at most`,
  );
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
