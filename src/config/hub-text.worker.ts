import { parentPort, workerData } from 'node:worker_threads';
import { packed, readHubText } from './hub-text.js';

// A thread of its own for a configuration file that takes long to read: its path comes in, what it says goes out.
parentPort?.postMessage(packed(readHubText(workerData as string)));
