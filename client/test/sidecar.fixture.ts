import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Environment } from '../../src/config/secret-reader.js';

/** The built sidecar: these stories are about the very thing that is shipped. */
const MAIN = fileURLToPath(new URL('../dist/esm/sidecar/main.js', import.meta.url));
const PATIENCE_MS = 20_000;

/** The sidecar as a process of its own, with nothing in its environment but what it is given. */
export class Sidecar {
  readonly exited: Promise<number | null>;
  /** Everything that it printed. */
  output = '';
  private readonly child: ChildProcess;

  constructor(args: readonly string[], environment: Environment) {
    const env = { PATH: process.env['PATH'], ...environment };
    this.child = spawn(process.execPath, [MAIN, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding('utf8').on('data', (chunk: string) => (this.output += chunk));
    }
    this.exited = once(this.child, 'close').then(([code]) => code as number | null);
  }

  /** What it logged of the kind. */
  told(event: string): Record<string, unknown>[] {
    const lines = this.output.split('\n').filter((line) => line.startsWith('{'));
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>).filter((line) => line['event'] === event);
  }

  /** Waits until it has logged so many of the kind. */
  async tells(event: string, times = 1): Promise<void> {
    const patience = AbortSignal.timeout(PATIENCE_MS);
    while (this.told(event).length < times) {
      if (patience.aborted) throw new Error(`the sidecar did not tell that it is ${event}; it said:\n${this.output}`);
      await once(this.child.stdout ?? this.child, 'data', { signal: patience }).catch(() => undefined);
    }
  }

  /** Asks it to end, and waits until it has. */
  stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.child.kill(signal);
    return this.exited;
  }
}
