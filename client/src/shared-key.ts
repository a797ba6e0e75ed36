/** Shows who asks: a JWT for the next request, which may be another for each. */
export type Jwt = () => string | Promise<string>;

/** Long enough for clocks that differ, short enough to be worth nothing in yesterday's log. */
const LIFE_SECONDS = 300;

/**
 * Signs JWTs with the key that the client `kid` shares with the hub (HS256).
 *
 * @param key.secret the key, or what reads it; it is read for each request.
 */
export function sharedKey(key: { readonly kid: string; readonly secret: string | Jwt }): Jwt {
  const { kid, secret } = key;
  const faults = [
    ...(isText(kid) ? [] : ['kid: the name of the client is wanted']),
    ...(isText(secret) || typeof secret === 'function' ? [] : ['secret: the key of the client is wanted']),
  ];
  if (faults.length > 0) throw new TypeError(`sharedKey: ${faults.join('; ')}`);
  return async () => {
    const bytes = new TextEncoder().encode(typeof secret === 'function' ? await secret() : secret);
    // No `iat`: it would say nothing, and fail where this clock is ahead.
    const claims = { aud: 'wechat-token-hub', exp: Math.floor(Date.now() / 1000) + LIFE_SECONDS };
    const signed = `${base64url({ alg: 'HS256', typ: 'JWT', kid })}.${base64url(claims)}`;
    const hmac = { name: 'HMAC', hash: 'SHA-256' };
    const imported = await crypto.subtle.importKey('raw', bytes, hmac, false, ['sign']);
    const signature = await crypto.subtle.sign('HMAC', imported, new TextEncoder().encode(signed));
    return `${signed}.${base64url(new Uint8Array(signature))}`;
  };
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value.trim() !== '';
}

function base64url(content: object): string {
  const bytes = content instanceof Uint8Array ? content : new TextEncoder().encode(JSON.stringify(content));
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');
}
