import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { RealClock } from './clock.js';
import { addAccount } from './control.js';
import { Simulator } from './server.js';
import { World } from './world.js';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    'wecom-port': { type: 'string', default: '0' },
    life: { type: 'string', default: '7200' },
    overlap: { type: 'string', default: '300' },
    accounts: { type: 'string' },
    seed: { type: 'string' },
  },
});

const life = number('life', values.life);
const overlap = number('overlap', values.overlap);
// A simulator that is started again must not issue once more what it issued before.
const seed = values.seed === undefined ? Date.now() : number('seed', values.seed);
const world = new World({ clock: new RealClock(), seed });
for (const account of values.accounts === undefined ? demoAccounts() : accountsFrom(values.accounts)) {
  // What a file says about an account goes before what the command line says about all.
  const lives = 'corpid' in account ? { life, ticketLife: life } : { life, ticketLife: life, overlap };
  addAccount(world, { ...lives, ...account });
}

const simulator = await Simulator.start({
  world,
  port: number('port', values.port),
  wecomPort: number('wecom-port', values['wecom-port']),
});
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => {
    // Stopped on purpose: that is no failure, whatever else is still open.
    void simulator.stop().then(() => process.exit(0));
  });
}
process.stdout.write(`simulator listening on ${simulator.url}\n`);

function demoAccounts(): Readonly<Record<string, unknown>>[] {
  const secret = process.env['SIMULATOR_SECRET'] ?? 'not-a-real-secret-0123456789abcd';
  return [
    { appid: 'wx0000000000000001', secret, kind: 'official-account' },
    { appid: 'wx0000000000000002', secret, kind: 'mini-program' },
    {
      corpid: 'ww0000000000000001',
      agents: [
        { agentid: 1000001, secret: `${secret}-1` },
        { agentid: 1000002, secret: `${secret}-2` },
      ],
    },
  ];
}

function accountsFrom(file: string): Readonly<Record<string, unknown>>[] {
  const list: unknown = JSON.parse(readFileSync(file, 'utf8'));
  if (!Array.isArray(list)) throw new Error(`${file}: a list of accounts and corps is wanted`);
  return list.map((account: unknown) => ({ ...(account as Readonly<Record<string, unknown>>) }));
}

function number(name: string, text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value < 0) throw new Error(`--${name}: a number is wanted`);
  return value;
}
