import { writeFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';

// Loaded into a hub before itself. How long its event loop was kept at most since it was asked last only the hub can say: who
// asks from outside waits for itself and for the machine, too. With SIGUSR2 it writes that down, in milliseconds.
const delays = monitorEventLoopDelay({ resolution: 1 });
delays.enable();
process.on('SIGUSR2', () => {
  writeFileSync(process.env['WATCH_FILE'] ?? '', String(delays.max / 1e6));
  delays.reset();
});
