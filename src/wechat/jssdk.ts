import { createHash } from 'node:crypto';

/**
 * The signature that `wx.config` wants for a page: SHA-1 over the four values as they are, never URL-encoded.
 * Source: WeChat's JS-SDK guide, appendix 1.
 *
 * @param page its full address without the fragment.
 * @param timestamp seconds.
 */
export function jssdkSignature(ticket: string, nonce: string, timestamp: number, page: string): string {
  const text = `jsapi_ticket=${ticket}&noncestr=${nonce}&timestamp=${timestamp}&url=${page}`;
  return createHash('sha1').update(text).digest('hex');
}
