import { constants, setPriority } from 'node:os';
import { askAll } from './client.js';

// Asks a hub for a ticket of each of some apps. It gives way to the hub: where three programs share two cores, the longest
// that one was kept would else be how long the system let it wait for the others.
setPriority(constants.priority.PRIORITY_LOW);
const [url = '', first = '', count = ''] = process.argv.slice(2);
await askAll(
  Array.from({ length: Number(count) }, (_, i) => `${url}/apps/app-${Number(first) + i}/ticket?type=wx_card`),
);
