import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { constants, setPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** The clock ticks of Linux' accounts, USER_HZ: 100 a second on every machine that runs Node. */
const TICK_MS = 10;
const START_PATIENCE_MS = 60_000;
const LOOK_MS = 20;
/** Plenty for giving back some hundred MB that were collected. */
const COLLECTION_MS = 1500;

/** What the environment of a program needs so that its memory can be told from its garbage. */
export const COLLECTABLE = { NODE_OPTIONS: `--import=${new URL('collect.js', import.meta.url).href}` } as const;

/** What the environment of a program needs so that it can tell how long its event loop was kept. */
export const WATCHED = { NODE_OPTIONS: `--import=${new URL('watch.js', import.meta.url).href}` } as const;

/** What the environment of a hub needs so that it lets everybody in. */
export const OPEN = { NODE_OPTIONS: `--import=${new URL('open-door.js', import.meta.url).href}` } as const;

/** A server in a process of its own, so that the operating system counts what it costs apart from everything else. */
export class Program {
  private constructor(
    private readonly child: ChildProcess,
    /** Where it listens, on the loopback interface. */
    readonly url: string,
    private readonly watchFile: string,
  ) {}

  /**
   * Starts a script and waits until it says on which port it listens.
   * @param script relative to the checkout.
   * @throws Error with what it said instead.
   */
  static async start(
    script: string,
    args: readonly string[] = [],
    environment: Readonly<Record<string, string>> = {},
  ): Promise<Program> {
    const watchFile = join(tmpdir(), `bench-${randomUUID()}`);
    const child = spawn(process.execPath, [fromCheckout(script), ...args], {
      env: { ...environment, WATCH_FILE: watchFile },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    try {
      const port = await new Promise<string>((resolve, reject) => {
        const hear = (chunk: string): void => {
          said += chunk;
          const [, port] = /Listening on port (\d+)/.exec(said) ?? [];
          if (port === undefined) return;
          for (const stream of [child.stdout, child.stderr]) stream.off('data', hear).resume();
          resolve(port);
        };
        for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', hear);
        child.once('exit', () => reject(new Error('it ended')));
        AbortSignal.timeout(START_PATIENCE_MS).addEventListener('abort', () => reject(new Error('it took too long')));
      });
      return new Program(child, `http://127.0.0.1:${port}`, watchFile);
    } catch (error) {
      child.kill('SIGKILL');
      throw new Error(`${script} did not start:\n${said}`, { cause: error });
    }
  }

  /** The processor time that it has used so far, in milliseconds, all its threads together. */
  get cpuMs(): number {
    // The name of the program, in parentheses, may hold anything; user and system time are fields 14 and 15 (proc(5)).
    const fields = this.proc('stat')
      .replace(/^.*\) /s, '')
      .split(' ');
    return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
  }

  /** Its resident memory, in MB of a million bytes: now, or the most it ever had. */
  residentMb(when: 'now' | 'most' = 'now'): number {
    const field = when === 'now' ? 'VmRSS' : 'VmHWM';
    const [, kibibytes] = new RegExp(`^${field}:\\s*(\\d+) kB$`, 'm').exec(this.proc('status')) ?? [];
    return (Number(kibibytes) * 1024) / 1e6;
  }

  /**
   * Its resident memory, in MB, once V8 has cleared away what is not in use.
   * The program has to have been started with {@link COLLECTABLE} in its environment.
   */
  async collectedMb(): Promise<number> {
    await this.heapMb();
    await delay(COLLECTION_MS);
    return this.residentMb();
  }

  /** What its heap has in use, in MB. The program has to have been started with {@link COLLECTABLE} in its environment. */
  async heapMb(): Promise<number> {
    return (await this.told()) / 1e6;
  }

  /**
   * How long its event loop was kept at most, in milliseconds, since this was asked before.
   * The program has to have been started with {@link WATCHED} in its environment.
   */
  longestStallMs(): Promise<number> {
    return this.told();
  }

  /** Has it run only when nobody else wants to. */
  giveWay(): void {
    setPriority(this.child.pid ?? 0, constants.priority.PRIORITY_LOW);
  }

  /** Its open files and connections. */
  get handles(): number {
    return readdirSync(`/proc/${String(this.child.pid)}/fd`).length;
  }

  /** Ends it in order. */
  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.kill('SIGTERM');
    await once(this.child, 'exit');
  }

  /** What a script says that was loaded into it before itself. */
  private async told(): Promise<number> {
    this.child.kill('SIGUSR2');
    while (!existsSync(this.watchFile) || readFileSync(this.watchFile, 'utf8') === '') await delay(LOOK_MS);
    const told = Number(readFileSync(this.watchFile, 'utf8'));
    rmSync(this.watchFile);
    return told;
  }

  private proc(file: string): string {
    return readFileSync(`/proc/${String(this.child.pid)}/${file}`, 'utf8');
  }
}

/** The checkout: this file runs from `build/bench/`, and in tests from `bench/`. */
const CHECKOUT = [new URL('../', import.meta.url), new URL('../../', import.meta.url)].find((folder) =>
  existsSync(new URL('package.json', folder)),
);

/** The place of a file of the checkout. */
export function fromCheckout(path: string): string {
  return fileURLToPath(new URL(path, CHECKOUT));
}
