import { jssdkSignature } from './jssdk.js';

/** The vectors of WeChat's JS-SDK guide, appendix 1, of today and of an older edition. */
const TICKET = 'sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg';
const NONCE = 'Wm3WZYTPz0wzccnW';
const TIMESTAMP = 1_414_587_457;

describe('the signature of a page', () => {
  it.each([
    ['http://mp.weixin.qq.com?params=value', '0f9de62fce790f9a083d5c99e95740ceb90c27ed'],
    ['http://mp.weixin.qq.com', 'f4d90daf4b3bca3078ab155816175ba34c443a7b'],
  ])('is the one of the guide for %s', (page, signature) => {
    expect(jssdkSignature(TICKET, NONCE, TIMESTAMP, page)).toBe(signature);
  });

  it('is over the address as it is written, not encoded anew', () => {
    const signatures = ['https://a/?q=价格', 'https://a/?q=%E4%BB%B7%E6%A0%BC', 'https://a/?q=%e4%bb%b7%e6%a0%bc'].map(
      (page) => jssdkSignature(TICKET, NONCE, TIMESTAMP, page),
    );
    expect(new Set(signatures).size).toBe(3);
  });
});
