import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Environment } from '../src/config/secret-reader.js';

/** The built hub: these stories are about the very thing that is shipped. */
const MAIN = fileURLToPath(new URL('../dist/main.js', import.meta.url));
const START_PATIENCE_MS = 15_000;

/** How a process ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** The built hub as a process of its own, with nothing in its environment but what it is given. */
export class HubProcess {
  readonly exited: Promise<Exit>;
  private text = '';

  private constructor(private readonly child: ChildProcess) {
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (chunk: string) => (this.text += chunk));
    }
    this.exited = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        resolve({ code, signal });
      });
    });
  }

  /** Starts it without waiting for anything. `wrapper` is a command in front, as `['bash', '-c', …, '--']`. */
  static launch(environment: Environment, wrapper: readonly string[] = []): HubProcess {
    const args = [...wrapper, process.execPath, MAIN];
    const command = args.shift() ?? process.execPath;
    const env = { PATH: process.env['PATH'], ...environment };
    return new HubProcess(spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] }));
  }

  /** Starts it and waits until it listens. */
  static async start(environment: Environment, wrapper?: readonly string[]): Promise<HubProcess> {
    const hub = HubProcess.launch(environment, wrapper);
    await hub.says(/Listening on port \d+/, START_PATIENCE_MS);
    return hub;
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get url(): string {
    return `http://127.0.0.1:${/Listening on port (\d+)/.exec(this.text)?.[1] ?? '0'}`;
  }

  /** Everything it has printed so far. */
  get output(): string {
    return this.text;
  }

  /** Waits until it has printed something that matches. */
  async says(pattern: RegExp, patienceMs = 5000): Promise<void> {
    const patience = AbortSignal.timeout(patienceMs);
    while (!pattern.test(this.text)) {
      if (patience.aborted || this.child.exitCode !== null) {
        throw new Error(`the hub did not say ${String(pattern)}; it said:\n${this.text}`);
      }
      await Promise.race([once(this.child.stdout ?? this.child, 'data', { signal: patience }), this.exited]).catch(
        () => undefined,
      );
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Ends it at once, if it still runs. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.exited;
  }
}
