import { createHash } from 'node:crypto';

/** What a page hands to `wx.config`, apart from the ticket. `url` is the whole address of the page; `#…` does not count. */
export interface PageSignature {
  readonly noncestr: string;
  readonly timestamp: string | number;
  readonly url: string;
}

/** The signature that `wx.config` and `wx.agentConfig` have to carry. */
export function pageSignature(ticket: string, { noncestr, timestamp, url }: PageSignature): string {
  const page = url.replace(/#.*$/s, '');
  return sha1(`jsapi_ticket=${ticket}&noncestr=${noncestr}&timestamp=${timestamp}&url=${page}`);
}

/** The signature of a card: over the values in use, the ticket among them, sorted as byte strings. */
export function cardSignature(ticket: string, values: readonly string[]): string {
  const parts = [ticket, ...values].map((value) => Buffer.from(value));
  return sha1(Buffer.concat(parts.sort((a, b) => Buffer.compare(a, b))));
}

/** The signature for scanning a login code in a mobile app. */
export function scanLoginSignature(
  ticket: string,
  appid: string,
  noncestr: string,
  timestamp: string | number,
): string {
  return sha1(`appid=${appid}&noncestr=${noncestr}&sdk_ticket=${ticket}&timestamp=${timestamp}`);
}

function sha1(text: string | Buffer): string {
  return createHash('sha1').update(text).digest('hex');
}
