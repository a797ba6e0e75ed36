import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { promisify } from 'node:util';
import { ask, BEARER, KEY, KID } from './client.js';
import { type Spread, spread } from './figures.js';
import { fromCheckout, Program } from './program.js';

/** As many connections as clients that ask at once. */
const CONNECTIONS = 64;

/** What a request for a token costs one server. */
export interface Cost {
  readonly server: string;
  /** Processor time of the server per request, by the operating system's account. */
  readonly cpuMicroseconds: Spread;
  /** The same as a multiple of bare node:http's in the same round. */
  readonly timesBare: Spread;
  readonly requestsPerSecond: Spread;
}

/** What one round of requests came to. */
export interface Round {
  readonly cpuMicroseconds: number;
  readonly requestsPerSecond: number;
}

/**
 * Measures what it costs to hand a token out, against a server that does nothing else and knows nobody. Rounds take
 * turns, so that whatever else the machine does strikes all alike.
 */
export async function handOut(rounds: number, seconds: number): Promise<Cost[]> {
  const folder = mkdtempSync(fromCheckout('build/bench-'));
  const running: Program[] = [];
  const start = async (...program: Parameters<typeof Program.start>): Promise<Program> => {
    const started = await Program.start(...program);
    running.push(started);
    return started;
  };
  try {
    const bare = await start('build/bench/stand-ins.js', ['bare']);
    const express = await start('build/bench/stand-ins.js', ['express']);
    const wechat = await start('build/bench/stand-ins.js', ['wechat']);
    const hub = await start('dist/main.js', [], {
      PORT: '0',
      WECHAT_API_ROOT: wechat.url,
      DATA_DIR: folder,
      APPID: 'wx0000000000000001',
      APPSECRET: 'no secret of anybody',
      [`JWT_KEY_${KID}`]: KEY,
    });
    const targets = [
      { server: 'bare node:http, a constant', program: bare, path: '/access-token' },
      { server: 'plain Express 5, a constant', program: express, path: '/access-token' },
      { server: 'hub, token as text', program: hub, path: '/access-token' },
      { server: 'hub, token as JSON', program: hub, path: '/apps/default/access-token' },
    ];
    const results = targets.map((): Round[] => []);
    for (const { program, path } of targets) {
      await ask(program.url + path);
      await load(program, path, seconds);
    }
    for (let round = 0; round < rounds; round += 1) {
      for (const [i, { program, path }] of targets.entries()) results[i]?.push(await load(program, path, seconds));
    }
    return targets.map(({ server }, i) => ({
      server,
      cpuMicroseconds: spread(results[i]?.map((round) => round.cpuMicroseconds) ?? []),
      timesBare: spread(
        results[i]?.map((round, turn) => round.cpuMicroseconds / (results[0]?.[turn]?.cpuMicroseconds ?? NaN)) ?? [],
      ),
      requestsPerSecond: spread(results[i]?.map((round) => round.requestsPerSecond) ?? []),
    }));
  } finally {
    await Promise.all(running.map((program) => program.stop()));
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Asks for a path as fast as it is answered, over as many connections as clients that ask at once. */
export async function load(program: Program, path: string, seconds: number): Promise<Round> {
  const cpuBefore = program.cpuMs;
  const cannon = [fromCheckout('node_modules/autocannon/autocannon.js'), '--json', '--no-progress'];
  const burst = ['-c', String(CONNECTIONS), '-d', String(seconds), '-H', `Authorization=${BEARER}`];
  const { stdout } = await promisify(execFile)(process.execPath, [...cannon, ...burst, program.url + path], {
    timeout: (seconds + 20) * 1000,
  });
  const cpuMs = program.cpuMs - cpuBefore;
  const outcome = JSON.parse(stdout) as Record<'2xx' | 'non2xx' | 'errors' | 'duration', number>;
  if (outcome['2xx'] === 0 || outcome.non2xx + outcome.errors > 0) {
    throw new Error(`${path}: ${outcome.non2xx} answers that are not 2xx, ${outcome.errors} errors`);
  }
  return { cpuMicroseconds: (cpuMs * 1000) / outcome['2xx'], requestsPerSecond: outcome['2xx'] / outcome.duration };
}
