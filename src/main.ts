import 'reflect-metadata';
import { setFlagsFromString } from 'node:v8';
import { originOf } from './http/origin.js';

/** EX_CONFIG of sysexits.h: starting again will not help, somebody has to change something. */
const EX_CONFIG = 78;

// What the hub writes, its journals included, is for its own user alone.
process.umask(0o077);

// Before anything else is loaded, and for good: a signal that comes early still ends in order, and a second one, as npm
// forwards it, does not end the process before its work is done.
const asked = new Promise<void>((resolve) => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      resolve();
    });
  }
});

// Left to Node, this one opens a debugger, from which whoever is on the machine reads every secret.
process.on('SIGUSR1', () => undefined);

// Left to Node, what nobody foresaw would be printed with all that hangs on it, the request of a failed call included.
process.on('uncaughtException', (error) => {
  process.stderr.write(`wechat-token-hub fails in a way that nobody foresaw, and ends: ${originOf(error)}\n`);
  // What it left half done nobody knows. The store is as it was after the last write, so a new start is safe.
  process.exit(1);
});

// Nobody reads the log any more: no reason to end. The audit hears of its own lines.
process.stdout.on('error', () => undefined);

// What a start throws away at once would make V8 double its young generation, to 20 MB that it keeps. Until the hub listens
// it does not grow; from then on it does as usual, should there be need.
setFlagsFromString('--semi-space-growth-factor=1');
const growAsUsual = (): void => setFlagsFromString('--semi-space-growth-factor=2');

// Libraries would print what they send, secrets included.
delete process.env['DEBUG'];

const { AuditRefused } = await import('./audit/file.sink.js');
const { ConfigurationError } = await import('./config/faults.js');
const { StoreRefused, StoreUnreachable } = await import('./credentials/store/store.js');

const command = process.argv[2] === 'rekey' ? 'rekey' : 'start';

try {
  if (command === 'rekey') {
    const { rekey } = await import('./rekey.js');
    process.stdout.write(`${await rekey(process.env)}\n`);
  } else {
    const { Hub } = await import('./hub.js');
    const hub = await Hub.start(process.env);
    growAsUsual();
    // From whoever has renamed the file of the audit. A hub without one ends, as programs do.
    if (hub.audit.isInFile) process.on('SIGHUP', () => hub.audit.reopen());
    await asked;
    await hub.stop();
  }
  // All that was promised is done; a timer or socket of some library must not keep the process, and a supervisor waiting.
  process.exit(0);
} catch (error) {
  const what = `wechat-token-hub cannot ${command}`;
  if ([ConfigurationError, StoreRefused, AuditRefused].some((kind) => error instanceof kind)) {
    process.stderr.write(`${what}.\n${(error as Error).message}\n`);
    // A start that failed half way leaves things open that would keep the process.
    process.exit(EX_CONFIG);
  }
  const { code, syscall, port } = error as NodeJS.ErrnoException & { readonly port?: number };
  const reason =
    syscall === 'listen'
      ? `it cannot listen on port ${port} (${code})`
      : error instanceof StoreUnreachable
        ? error.message
        : originOf(error);
  process.stderr.write(`${what}: ${reason}.\n`);
  // As above; another start may help here.
  process.exit(1);
}
