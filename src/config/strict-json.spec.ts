import fc from 'fast-check';
import { depthOf, parseStrictJson } from './strict-json.js';

describe('strict JSON', () => {
  it('is what JSON is, whatever stands in its texts', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(parseStrictJson(JSON.stringify(value, null, 1))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it.each([
    '{"a":1,"a":1}',
    '{"a":1,"\\u0061":2}',
    '[{"b":{"a":":","a":"::"}}]',
    '{"__proto__":1,"__proto__":2}',
    '{"":0,"":0}',
  ])('has every name once: %s', (text) => {
    expect(() => parseStrictJson(text)).toThrow('twice');
  });

  it.each(['{"a":":","b":"\\":","c":{"a":[]}}', '{"a\\\\":1,"a":2}', '[]', '":"', '{"__proto__":1,"constructor":{}}'])(
    'takes %s',
    (text) => {
      expect(parseStrictJson(text)).toEqual(JSON.parse(text));
    },
  );

  it('tells how deep it goes', () => {
    expect([1, [], { a: 1 }, { a: [{}] }].map(depthOf)).toEqual([0, 1, 1, 3]);
  });
});
