import { preparationOf } from './answer.js';
import { type Credential, secondsLeft } from './policy.js';
import type { Source } from './source.js';

const NOW = 1_800_000_000_000;
const TIMES = { now: NOW, drift: 0, renewalAt: NOW + 3_600_000 };
const FIRST: Credential = { value: 'the-first', version: 1, issuedAt: NOW, expiresAt: NOW + 7_200_000 };
const SECOND: Credential = { ...FIRST, value: 'the-second', version: 2 };

let source: Pick<Source, 'prepared'> & { current: Credential | undefined };
beforeEach(() => (source = { prepared: undefined, current: FIRST }));

describe('what is made ready of a credential', () => {
  it('is made once, as long as it stands', () => {
    const first = preparationOf(source, FIRST);
    expect(preparationOf(source, FIRST)).toBe(first);
    source.current = SECOND;
    const second = preparationOf(source, SECOND);
    expect([first.text.body, second.text.body]).toEqual(['the-first', 'the-second']);
    expect(preparationOf(source, SECOND)).toBe(second);
  });

  it('is not kept where there is another one by the time that it is given', () => {
    source.current = SECOND;
    const second = preparationOf(source, SECOND);
    expect(preparationOf(source, FIRST).text.body).toBe('the-first');
    expect(source.prepared).toBe(second);
  });

  it('is JSON in the name by which the app was asked for, at each moment', () => {
    const ready = preparationOf(source, FIRST);
    const bodyFor = (app: string, now: number): unknown =>
      JSON.parse(ready.jsonOf({ app, appid: 'wx1' }, { ...TIMES, now }).body);
    const asked = [
      ['shop', NOW],
      ['store', NOW],
      ['store', NOW + 1000],
      ['shop', NOW + 1000],
    ] as const;
    for (const [app, now] of asked) {
      expect(bodyFor(app, now)).toMatchObject({ app, expires_in: secondsLeft(FIRST, now) });
    }
  });
});
