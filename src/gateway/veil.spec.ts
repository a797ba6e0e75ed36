import fc from 'fast-check';
import type { IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { Readable } from 'node:stream';
import { Veil } from './veil.js';

const SECRET = 'a/secret+of "27" characters';
const veil = new Veil(SECRET);
const answer = (type?: string): IncomingMessage => ({ headers: { 'content-type': type } }) as IncomingMessage;
const flown = (chunks: readonly Buffer[], type?: string): Promise<string> =>
  text(Readable.from(chunks).pipe(veil.for(answer(type))));

describe('a veil', () => {
  it.each([SECRET, encodeURIComponent(SECRET), JSON.stringify(SECRET).slice(1, -1)])(
    'hides %s, and changes no length',
    (form) => {
      const said = `x${form}y${form}`;
      const hidden = said.replaceAll(form, '*'.repeat(form.length));
      expect(veil.over(said)).toBe(hidden);
      expect(veil.cover(Buffer.from(said)).toString()).toBe(hidden);
    },
  );

  it('hides it wherever an answer was cut, and leaves all else as it is', async () => {
    const pieces = fc.array(fc.oneof(fc.constant(SECRET), fc.string(), fc.constant(SECRET.slice(0, 9))));
    await fc.assert(
      fc.asyncProperty(pieces, fc.array(fc.integer({ min: 1, max: 30 })), async (said, lengths) => {
        const whole = Buffer.from(said.join(''));
        const chunks: Buffer[] = [];
        for (let start = 0, i = 0; start < whole.length; i += 1) {
          const end = start + (lengths[i] ?? 7);
          chunks.push(Buffer.from(whole.subarray(start, end)));
          start = end;
        }
        expect(await flown(chunks)).toBe(veil.cover(whole).toString());
      }),
    );
  });

  it.each([
    ['application/json', true],
    ['text/html; charset=GBK', true],
    ['application/xml', true],
    [undefined, true],
    ['image/png', false],
    ['application/octet-stream', false],
  ])('covers what is of the type %s: %s', async (type, isCovered) => {
    expect((await flown([Buffer.from(SECRET)], type)) !== SECRET).toBe(isCovered);
  });
});
