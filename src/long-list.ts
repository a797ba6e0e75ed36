import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** Stands in an answer where the members of its long list belong. */
export const MEMBERS = ['the members'];

/**
 * Answers in JSON with a list in it that may be very long: it is written in turns of the event loop, so that nobody waits for
 * it but who has asked.
 * @param answer with {@link MEMBERS} in it, once, for the list.
 * @param members some of them for each turn.
 */
export async function sendLongList(
  response: ServerResponse,
  status: number,
  answer: object,
  members: AsyncIterable<readonly object[]>,
): Promise<void> {
  const [head = '', tail = ''] = JSON.stringify(answer).split(JSON.stringify(MEMBERS));
  response.writeHead(status, { 'Content-Type': 'application/json; charset=utf-8' });
  // The status is out: whatever is wrong now can only end the connection, and the pipeline has done that.
  await pipeline(Readable.from(pages(head, members, tail)), response).catch(() => undefined);
}

async function* pages(
  head: string,
  members: AsyncIterable<readonly object[]>,
  tail: string,
): AsyncGenerator<string, void, undefined> {
  yield `${head}[`;
  let comma = '';
  for await (const some of members) {
    if (some.length === 0) continue;
    yield comma + some.map((member) => JSON.stringify(member)).join(',');
    comma = ',';
  }
  yield `]${tail}`;
}
