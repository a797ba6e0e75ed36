import { createHmac } from 'node:crypto';
import { decodeProtectedHeader, jwtVerify } from 'jose';
import { sharedKey } from './shared-key.js';

const SECRET = 'a key – of 32 bytes, and some that are not ASCII';

describe('a JWT signed with a shared key', () => {
  it('names the client, is meant for the hub, and is good for five minutes', async () => {
    const before = Math.floor(Date.now() / 1000);
    const jwt = await sharedKey({ kid: 'web', secret: SECRET })();
    const { payload } = await jwtVerify(jwt, new TextEncoder().encode(SECRET), { audience: 'wechat-token-hub' });
    expect(decodeProtectedHeader(jwt)).toEqual({ alg: 'HS256', typ: 'JWT', kid: 'web' });
    expect(payload.exp).toBeGreaterThanOrEqual(before + 300);
    expect(payload.exp).toBeLessThanOrEqual(before + 302);
  });

  it('is signed as RFC 7515 has it, whatever bits the signature has', async () => {
    for (let round = 0; round < 50; round++) {
      const jwt = await sharedKey({ kid: `client-${round}`, secret: SECRET })();
      const [header, claims, signature] = jwt.split('.');
      expect(signature).toBe(
        createHmac('sha256', SECRET)
          .update(`${header ?? ''}.${claims ?? ''}`)
          .digest('base64url'),
      );
    }
  });

  it('follows a key that changes', async () => {
    let secret = 'the first';
    const jwt = sharedKey({ kid: 'web', secret: () => secret });
    await jwt();
    secret = 'the second';
    await expect(jwtVerify(await jwt(), new TextEncoder().encode('the second'))).resolves.toBeDefined();
  });

  it('is not made without a name and a key', () => {
    expect(() => sharedKey({ kid: '', secret: ' ' })).toThrow('kid: the name of the client is wanted; secret: the key');
  });
});
