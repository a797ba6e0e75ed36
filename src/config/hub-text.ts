import { readFileSync, statSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { YAMLParseError, parse } from 'yaml';
import { parseStrictJson } from './strict-json.js';

/** Names, each with what it is. */
export type Mapping = Readonly<Record<string, unknown>>;

/** What the configuration file says, as far as it is YAML or JSON, or why it says nothing. */
export type HubText =
  | { readonly fault: string }
  | {
      /** All but the apps, unless these are something else than a mapping. */
      readonly rest: unknown;
      /** A few at a time: there may be very many. */
      readonly apps: Iterable<Mapping>;
    };

/** The same on its way from one thread to another: each part of the apps as JSON, which is quickly read one by one. */
export type PackedText = { readonly fault: string } | { readonly rest: unknown; readonly apps: readonly string[] };

/** What is larger takes more than a few milliseconds to read as JSON, and a hundred times that as YAML. */
const LARGE_BYTES = 256 * 1024;
const APPS_IN_A_PART = 200;

/** Reads the configuration file here and now. */
export function readHubText(path: string): HubText {
  if (path === '') return { fault: 'names no file' };
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    return { fault: `the file cannot be read (${reason})` };
  }
  // Somebody is just writing it, or a disk was full: were it taken for a file without apps, all of them would stop.
  if (text.trim() === '') return { fault: 'is empty; write {} if there is nothing to say' };
  try {
    const value = parseText(text) ?? {};
    if (!isMapping(value) || !isMapping(value['apps'])) return { rest: value, apps: [] };
    const { apps, ...rest } = value;
    return { rest, apps: [apps] };
  } catch (error) {
    const line = error instanceof YAMLParseError ? error.linePos?.[0].line : undefined;
    const code = error instanceof YAMLParseError ? ` (${error.code.toLowerCase().replaceAll('_', ' ')})` : '';
    return { fault: `is not valid YAML or JSON${line ? `, line ${line}` : ''}${code}` };
  }
}

/** Reads the configuration file while clients are served: a large one in another thread. */
export async function readHubTextAside(path: string): Promise<HubText> {
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) <= LARGE_BYTES) return readHubText(path);
  const packed = await new Promise<PackedText>((resolve, reject) => {
    const reader = new Worker(new URL('hub-text.worker.js', import.meta.url), { workerData: path });
    reader.once('message', resolve);
    reader.once('error', reject);
    // Who has said it all ends, too; then there is nothing left to refuse.
    reader.once('exit', () => reject(new Error('the reader ended before it was done')));
  });
  return unpacked(packed);
}

/** Makes what was read ready to be sent to another thread. */
export function packed(text: HubText): PackedText {
  if ('fault' in text) return text;
  const entries = [...text.apps].flatMap((apps) => Object.entries(apps));
  const parts: string[] = [];
  for (let from = 0; from < entries.length; from += APPS_IN_A_PART) {
    parts.push(JSON.stringify(Object.fromEntries(entries.slice(from, from + APPS_IN_A_PART))));
  }
  return { rest: text.rest, apps: parts };
}

/** What was packed, each part of it as it is asked for. */
export function unpacked(text: PackedText): HubText {
  return 'fault' in text ? text : { rest: text.rest, apps: eachOf(text.apps) };
}

function* eachOf(parts: readonly string[]): Generator<Mapping> {
  for (const part of parts) yield JSON.parse(part) as Mapping;
}

function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** JSON is YAML, but ten thousand apps are read a hundred times faster as JSON. What is wrong, the YAML reader tells. */
function parseText(text: string): unknown {
  if (text.startsWith('{')) {
    try {
      return parseStrictJson(text);
    } catch {
      // Flow style YAML begins so, too.
    }
  }
  // Errors are told by place alone: the reader's own pretty text would quote the lines around.
  return parse(text, { prettyErrors: true, logLevel: 'error' });
}
