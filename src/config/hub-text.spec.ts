import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type HubText, packed, readHubText, unpacked } from './hub-text.js';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'hub-text-'))));
afterEach(() => rmSync(folder, { recursive: true }));

function read(text: string): HubText {
  const path = join(folder, 'hub.yaml');
  writeFileSync(path, text);
  return readHubText(path);
}

/** A text with its apps put together, as the other thread is sent it, or as it is. */
function whole(text: HubText): unknown {
  if ('fault' in text) return text;
  return { rest: text.rest, apps: [...text.apps].flatMap((some) => Object.entries(some)) };
}

describe('what a configuration file says', () => {
  it.each([
    [
      'many apps',
      JSON.stringify({ apps: Object.fromEntries(Array.from({ length: 1001 }, (_, i) => [`app-${i}`, { i }])) }),
    ],
    [
      'names that are numbers, or of the language itself',
      '{"apps":{"b":{},"2":{},"1":{},"__proto__":{"a":1},"constructor":{}}}',
    ],
    ['apps that are none', 'apps: { a: 1, b: [], c: , d: text }'],
    ['a list in the place of apps', 'apps: [a]\nclients: {}'],
    ['no apps, and a number that JSON has not', 'clients: { web: { rate: .inf } }'],
    ['a list', '[]'],
    ['a text', 'text'],
    ['next to nothing', '# nothing yet'],
    ['nothing', ' '],
    ['what is no YAML', 'a: ['],
  ])('is the same when it was sent from thread to thread: %s', (_, written) => {
    const text = read(written);
    const sent = unpacked(structuredClone(packed(text)));
    expect(whole(sent)).toEqual(whole(read(written)));
  });
});
