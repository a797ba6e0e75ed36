import { AxiosError, AxiosHeaders } from 'axios';
import { originOf } from './origin.js';

const SECRET = 'app-secret-8c1f0d5e7a9b4c3d';

describe('the origin of an error', () => {
  it('is its kind, its code and where it happened', () => {
    const error = Object.assign(new TypeError('it went wrong'), { code: 'ERR_OF_A_KIND' });
    expect(originOf(error)).toMatch(/^TypeError ERR_OF_A_KIND\n\s+at .*origin\.spec\.ts:\d+:\d+/);
    expect(originOf(error).split('\n')).toHaveLength(7);
  });

  it.each<[string, () => unknown]>([
    ['its message', () => new Error(`bad ${SECRET}`)],
    ['a message that looks like frames', () => new Error(`bad\n    at ${SECRET} (file:///hub.js:1:1)`)],
    [
      'a message that was changed',
      () => Object.assign(new Error(`bad\n    at ${SECRET} (/a:1:1)`), { message: 'good' }),
    ],
    ['its name', () => Object.assign(new Error('bad'), { name: `Error of ${SECRET}` })],
    ['its code', () => Object.assign(new Error('bad'), { code: SECRET })],
    ['its cause', () => new Error('bad', { cause: new Error(SECRET) })],
    ['a text that is thrown', () => SECRET],
    ['an object that is thrown', () => ({ message: SECRET, stack: `    at ${SECRET} (/a:1:1)` })],
    [
      'the request that axios hangs on its errors',
      () => new AxiosError(SECRET, 'ECONNRESET', { url: `https://x/?secret=${SECRET}`, headers: new AxiosHeaders() }),
    ],
  ])('holds nothing of %s', (_, make) => {
    expect(originOf(make())).not.toContain(SECRET.slice(0, 12));
  });
});
