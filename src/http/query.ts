import type { StandardSchemaV1 } from '@standard-schema/spec';

/** A request whose parameters or body are not as the path wants them. Its message quotes nothing of the request. */
export class MalformedRequest extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'MalformedRequest';
  }
}

/** Names that Nest drops on the way to the schema that has to refuse them. */
const DROPPED = new Set(['__proto__', 'constructor', 'prototype']);

/**
 * Reads a query into plain names and values; a repeated name becomes a list, which no schema of ours takes.
 * @throws MalformedRequest when the percent-encoding is broken, which other readers pass over in silence.
 */
export function readQuery(text: string | undefined | null): Record<string, string | string[]> {
  const query: Record<string, string | string[]> = {};
  if (!text) return query;
  try {
    decodeURIComponent(text);
  } catch {
    throw new MalformedRequest('The query is not properly percent-encoded.');
  }
  // It would take a question mark at the beginning for that of the address.
  for (const [name, value] of new URLSearchParams(`?${text}`)) {
    if (DROPPED.has(name)) throw new MalformedRequest('There is a parameter that this path does not know.');
    const before = Object.hasOwn(query, name) ? query[name] : undefined;
    query[name] = before === undefined ? value : [before, value].flat();
  }
  return query;
}

/** Says what a schema found, in names of ours alone: what a client wrote is not sent back. */
export function malformed(issues: readonly StandardSchemaV1.Issue[]): MalformedRequest {
  const details = issues.map((issue) => {
    const name = issue.path?.map((part) => String(typeof part === 'object' ? part.key : part)).join('.');
    if (issue.message.startsWith('Unrecognized key')) return 'There is a parameter that this path does not know.';
    return name ? `${name}: ${issue.message}.` : `The body ${issue.message}.`;
  });
  return new MalformedRequest([...new Set(details)].join(' '));
}
