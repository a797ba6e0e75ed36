import { Floods, type Shed } from './floods.js';

const FLOODER = '203.0.113.9';
const GOOD = 'Bearer web.payload.signature';

/** A table in a time of its own. */
function table(): { floods: Floods; told: string[]; pass: (ms: number) => void } {
  let now = 1_700_000_000_000;
  const told: string[] = [];
  const floods = new Floods(
    () => now,
    (address) => told.push(address),
  );
  return { floods, told, pass: (ms) => (now += ms) };
}

/** Sends bad tokens as they would come, each checked unless it is shed; what was said of each. */
function send(floods: Floods, count: number, address = FLOODER, tokenOf = (i: number) => `Bearer x${i}.y.z`): Shed[] {
  return Array.from({ length: count }, (_, i) => {
    const shed = floods.shed(address, tokenOf(i));
    if (!shed) floods.fail(address, tokenOf(i));
    return shed;
  }).filter((shed) => shed !== undefined);
}

describe('bad tokens', () => {
  it('are looked at as long as they are few', () => {
    const { floods, told, pass } = table();
    for (let second = 0; second < 60; second += 1) {
      expect(send(floods, 45)).toEqual([]);
      pass(1000);
    }
    expect(told).toEqual([]);
  });

  it('are shed in a flood, but for fifty in a second', () => {
    const { floods, told, pass } = table();
    expect(send(floods, 5000)).toHaveLength(4000);
    for (let second = 0; second < 10; second += 1) {
      let shed = 0;
      for (let i = 0; i < 100; i += 1) {
        pass(10);
        shed += send(floods, 20).length;
      }
      expect(shed).toBe(1950);
    }
    expect(told).toEqual([FLOODER]);
  });

  it('are looked at again when the flood is over', () => {
    const { floods, pass } = table();
    send(floods, 5000);
    expect(floods.shed(FLOODER, 'Bearer other.x.y')).toBe('too-many');
    pass(60_000);
    expect(send(floods, 1000)).toEqual([]);
  });

  it('are told for certain to fail where they have just failed, and only for a second', () => {
    const { floods, pass } = table();
    const replayed = 'Bearer the.same.again';
    send(floods, 2000, FLOODER, () => replayed);
    expect(floods.shed(FLOODER, replayed)).toBe('failed');
    expect(floods.shed(FLOODER, 'Bearer another.one.here')).toBe('too-many');
    send(floods, 2000);
    pass(1001);
    send(floods, 2000);
    expect(floods.shed(FLOODER, replayed)).toBe('too-many');
  });

  it('are those of a whole network where an address is cheap', () => {
    const { floods } = table();
    const addresses = ['2001:db8::1', '2001:db8:0:0:ffff::1', '2001:db8::aaaa:bbbb:cccc:dddd'];
    for (const address of addresses) send(floods, 500, address);
    expect(floods.shed('2001:db8::5', 'Bearer a.b.c')).toBe('too-many');
    expect(floods.shed('2001:db8:0:1::5', 'Bearer a.b.c')).toBeUndefined();
  });
});

describe('a good client in a flood', () => {
  it('elsewhere notices nothing', () => {
    const { floods } = table();
    send(floods, 5000);
    expect(floods.shed('198.51.100.1', 'Bearer new.to.us')).toBeUndefined();
  });

  it('of the same address is let in with the token that it came with before, also if the flood names it', () => {
    const { floods } = table();
    floods.prove(GOOD);
    send(floods, 5000);
    send(floods, 5000, FLOODER, (i) => `Bearer web.forged.${i}`);
    expect(floods.shed(FLOODER, GOOD)).toBeUndefined();
  });

  it('of the same address may come with another token, if the flood does not name it', () => {
    const { floods } = table();
    floods.prove(GOOD);
    send(floods, 5000);
    expect(floods.shed(FLOODER, 'Bearer web.newer.signature')).toBeUndefined();
  });

  it('is not told that its new token fails, when nobody has looked', () => {
    const { floods } = table();
    send(floods, 5000);
    expect(floods.shed(FLOODER, GOOD)).toBe('too-many');
  });

  it('is good no longer once its token fails', () => {
    const { floods } = table();
    floods.prove(GOOD);
    send(floods, 5000, FLOODER, (i) => `Bearer web.forged.${i}`);
    expect(floods.shed(FLOODER, GOOD)).toBeUndefined();
    floods.fail(FLOODER, GOOD);
    expect(floods.shed(FLOODER, GOOD)).toBe('failed');
  });
});
