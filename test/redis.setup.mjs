import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

const WHAT_TO_DO =
  'The tests need a Redis server: put redis-server or valkey-server on the PATH (Debian, Ubuntu: apt-get install redis-server).';

/** Sees to it, before any test runs, that there is a Redis server to start: found, or installed where that may be done. */
export default function setup() {
  if (isThere()) return;
  if (existsSync('/usr/bin/apt-get') && process.getuid?.() === 0) {
    process.stdout.write('No redis-server on the PATH; installing it with apt-get.\n');
    // It is started by the tests, each with a port of its own, and not as a service of the machine.
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
    const apt = (...args) => spawnSync('apt-get', args, { env, stdio: ['ignore', 'ignore', 'inherit'] });
    const install = ['install', '-y', '--no-install-recommends', 'redis-server'];
    if (apt(...install).status !== 0) {
      apt('update');
      apt(...install);
    }
  }
  if (!isThere()) throw new Error(WHAT_TO_DO);
}

function isThere() {
  return ['redis-server', 'valkey-server'].some((name) => spawnSync(name, ['--version']).status === 0);
}
