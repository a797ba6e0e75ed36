import { randomBytes, randomUUID } from 'node:crypto';
import type { HubRequest } from './messages.js';

/** What an id of a request may look like. */
export const REQUEST_ID = /^[A-Za-z0-9._~:/+=-]{1,128}$/;

/** The id of a request: the client's own where it is well-formed, else a new one. */
export function requestIdFor({ headers }: HubRequest): string {
  const asked = headers['x-request-id'];
  return typeof asked === 'string' && REQUEST_ID.test(asked) ? asked : ahead.next();
}

/** So many are made at once, which takes a tenth of the time. */
const AT_ONCE = 512;
const DIGITS = 12;

/** UUIDs (RFC 9562, version 4) of which those that are made at once differ in their last digits alone, 48 random bits. */
class Ids {
  private beginning = '';
  private digits = '';
  private place = Infinity;

  next(): string {
    if (this.place >= this.digits.length) this.make();
    const from = this.place;
    this.place += DIGITS;
    return this.beginning + this.digits.slice(from, this.place);
  }

  private make(): void {
    this.beginning = randomUUID().slice(0, -DIGITS);
    this.digits = randomBytes((AT_ONCE * DIGITS) / 2).toString('hex');
    this.place = 0;
  }
}

const ahead = new Ids();
