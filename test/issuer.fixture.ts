import { SignJWT } from 'jose';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import {
  createServer,
  type IncomingHttpHeaders,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

/** What this machine shows over TLS in the tests, valid until 2100, and the only authority that stands for it. */
export const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBaDCCAQ2gAwIBAgIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAlsb2NhbGhv
c3QwIBcNMDAwMTAxMDAwMDAwWhgPMjEwMDAxMDEwMDAwMDBaMBQxEjAQBgNVBAMM
CWxvY2FsaG9zdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABGMrT5CJIv+dC8bp
p0ug4oqSN3FzQIHx4FImCjpAhAXPMpt36hHC0aTMoiFvTcxVmpNSpY60QVjgsRsx
BOEmujSjTjBMMA8GA1UdEwEB/wQFMAMBAf8wGgYDVR0RBBMwEYcEfwAAAYIJbG9j
YWxob3N0MB0GA1UdDgQWBBTHV7098f4eT8t7jBkZuufqvkc1BjAKBggqhkjOPQQD
AgNJADBGAiEAhjDY3+iYhc+ogknDABC71jdTP8d1lc+NpCcsv8OpByoCIQDP9yVi
r6TZ/xdf/0lAryAWqE8Qdd3WJQdfsLh1eYA7xw==
-----END CERTIFICATE-----
`;
const CERTIFICATE_KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg7n5Z5N4Q5eHmFW8h
aDNK3RDFpVEQjGMC72J+El+9+2qhRANCAARjK0+QiSL/nQvG6adLoOKKkjdxc0CB
8eBSJgo6QIQFzzKbd+oRwtGkzKIhb03MVZqTUqWOtEFY4LEbMQThJro0
-----END PRIVATE KEY-----
`;

interface Signer {
  readonly kid: string;
  readonly privateKey: KeyObject;
  readonly jwk: object;
}

/** Makes tokens for clients and shows the keys to them, as the API server of a cluster does. */
export class TokenIssuer {
  /** The headers of every request for the keys. */
  readonly asked: IncomingHttpHeaders[] = [];
  /** What comes instead of the keys. */
  answer: ((response: ServerResponse) => void) | undefined;
  private signers: Signer[] = [];

  private constructor(
    private readonly server: Server,
    private readonly scheme: string,
  ) {
    this.add('key-1');
  }

  static async start({ tls = false } = {}): Promise<TokenIssuer> {
    const listener: RequestListener = (request, response) => {
      issuer.asked.push(request.headers);
      if (issuer.answer) issuer.answer(response);
      else response.end(issuer.keySet());
    };
    const server = tls
      ? createTlsServer({ cert: CERTIFICATE, key: CERTIFICATE_KEY }, listener)
      : createServer(listener);
    const issuer = new TokenIssuer(server, tls ? 'https' : 'http');
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return issuer;
  }

  get jwks(): string {
    return `${this.scheme}://127.0.0.1:${(this.server.address() as AddressInfo).port}/openid/v1/jwks`;
  }

  /** The key set as it is shown. */
  keySet(): string {
    return JSON.stringify({ keys: this.signers.map(({ jwk }) => jwk) });
  }

  /** Signs with another key from now on, and shows it beside the older ones. */
  add(kid: string): void {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const jwk = { use: 'sig', alg: 'RS256', kid, ...publicKey.export({ format: 'jwk' }) };
    this.signers = [{ kid, privateKey, jwk }, ...this.signers];
  }

  /** Shows none but the newest key. */
  withdrawOlder(): void {
    this.signers = this.signers.slice(0, 1);
  }

  /** A token of these claims, meant for the hub and good for five minutes unless they say otherwise. */
  sign(claims: object, kid?: string): Promise<string> {
    const signer = this.signers.find((one) => kid === undefined || one.kid === kid) ?? this.signers[0];
    if (!signer) throw new Error('an issuer has a key');
    const exp = Math.floor(Date.now() / 1000) + 300;
    return new SignJWT({ aud: ['wechat-token-hub'], exp, ...claims })
      .setProtectedHeader({ alg: 'RS256', kid: kid ?? signer.kid })
      .sign(signer.privateKey);
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
