import { readFile } from 'node:fs/promises';
import type { Jwt } from './shared-key.js';

/**
 * Reads the JWT from a file that somebody else keeps fresh, as Kubernetes does with the tokens that it projects into pods.
 * It is read for each request to the hub, which are few.
 */
export function jwtFile(path: string): Jwt {
  return () => readSecret(path);
}

/** A secret that a file holds, without the newline at its end. */
export async function readSecret(path: string): Promise<string> {
  const secret = (await readFile(path, 'utf8').catch(unreadable)).trim();
  if (secret === '') throw new Error('its file is blank');
  return secret;
}

function unreadable(error: NodeJS.ErrnoException): never {
  throw new Error(`its file cannot be read (${error.code ?? 'unknown error'})`);
}
