import { types } from 'node:util';

const FRAMES = 6;

/**
 * Where an error comes from, but not what it says: its message, and what libraries hang on it (axios: the whole request),
 * may quote anything. For errors that nobody foresaw; those of the domain have words of our own.
 */
export function originOf(error: unknown): string {
  if (!types.isNativeError(error)) return `something thrown that is no error (${typeof error})`;
  const { name, message, stack = '', code } = error as NodeJS.ErrnoException;
  // The message stands in front of the frames, and could look like some.
  const trace = stack.includes(message) ? stack.slice(stack.indexOf(message) + message.length) : '';
  const frames = trace.split('\n').filter((line) => /^\s+at .+:\d+:\d+\)?$/.test(line));
  const kind = /^\w{1,40}$/.test(name) ? name : 'Error';
  const coded = typeof code === 'string' && /^[A-Z][A-Z0-9_]{1,40}$/.test(code) ? ` ${code}` : '';
  return [kind + coded, ...frames.slice(0, FRAMES)].join('\n');
}
