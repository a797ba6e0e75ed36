import { DrivenClock } from './clock.js';
import { cardSignature, pageSignature, scanLoginSignature } from './signature.js';
import { World } from './world.js';

describe('signatures', () => {
  const ticket = 'sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg';
  const noncestr = 'Wm3WZYTPz0wzccnW';

  it.each([
    ['http://mp.weixin.qq.com?params=value', '0f9de62fce790f9a083d5c99e95740ceb90c27ed'],
    ['http://mp.weixin.qq.com?params=value#part', '0f9de62fce790f9a083d5c99e95740ceb90c27ed'],
    ['http://mp.weixin.qq.com', 'f4d90daf4b3bca3078ab155816175ba34c443a7b'],
  ])('of pages agree with the official vectors: %s', (url, signature) => {
    expect(pageSignature(ticket, { noncestr, timestamp: 1414587457, url })).toBe(signature);
  });

  it('of cards agree with the official vector', () => {
    expect(
      cardSignature('ojZ8YtyVyr30HheH3CM73y7h4jJE', [
        '1434008071',
        '1404896688',
        'pjZ8Yt1XGILfi-FUsewpnnolGgZk',
        '123',
      ]),
    ).toBe('f137ab68b7f8112d20ee528ab6074564e2796250');
  });

  it('are valid as long as the ticket is, and never for another account or kind', () => {
    const clock = new DrivenClock();
    const world = new World({ clock });
    const appid = 'wx00000000000000aa';
    for (const id of [appid, 'wxother']) world.account({ appid: id, secret: 'x', kind: 'official-account' });
    const fetch = (type: string): string => {
      const target = `/cgi-bin/ticket/getticket?access_token=${world.mintElsewhere(appid)}&type=${type}`;
      return (JSON.parse(world.answer({ method: 'GET', target }).body) as { ticket: string }).ticket;
    };
    const page = { noncestr, timestamp: 1, url: 'https://example.test/?a=1' };
    const signature = pageSignature(fetch('jsapi'), page);
    const invalid = { ok: false, error: 'invalid signature' };
    expect(world.verifySignature({ appid, ...page, signature })).toEqual({ ok: true });
    expect(world.verifySignature({ appid, ...page, url: 'https://example.test/', signature })).toEqual(invalid);
    expect(world.verifySignature({ appid: 'wxother', ...page, signature })).toEqual(invalid);
    expect(world.verifySignature({ appid, ticketType: 'agent_config', ...page, signature })).toEqual(invalid);

    const card = cardSignature(fetch('wx_card'), ['b', 'a']);
    expect(world.verifySignature({ appid, ticketType: 'wx_card', values: ['a', 'b'], signature: card }).ok).toBe(true);
    const scan = scanLoginSignature(fetch('2'), appid, noncestr, 1);
    expect(world.verifySignature({ appid, ticketType: '2', noncestr, timestamp: 1, signature: scan }).ok).toBe(true);

    clock.advance(7_200_000);
    expect(world.verifySignature({ appid, ...page, signature })).toEqual(invalid);
  });
});
