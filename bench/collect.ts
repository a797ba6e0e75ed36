import { writeFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

// Loaded into a hub before itself: how much of its memory is in use shows only once V8 has cleared away the rest, which
// it does when it pleases. With SIGUSR2 it does so now, and what its heap has in use is written down, in bytes.
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
process.on('SIGUSR2', () => {
  collect();
  collect();
  writeFileSync(process.env['WATCH_FILE'] ?? '', String(process.memoryUsage().heapUsed));
});
