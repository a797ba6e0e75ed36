// Writes dist/openapi.json, which the hub shows: the end of `npm run build`.
import { writeFileSync } from 'node:fs';
import { describeHub } from '../dist/describe.js';

writeFileSync(new URL('../dist/openapi.json', import.meta.url), JSON.stringify(await describeHub()));
