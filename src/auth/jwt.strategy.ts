import { Inject, Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import type { Request } from 'express';
import type { KeyObject } from 'node:crypto';
import { Strategy, type StrategyOptionsWithRequest } from 'passport-jwt';
import { PUBLIC_KEY_ALGORITHMS, type PublicKeyAlgorithm } from '../config/client-key.js';
import type { Client } from '../config/clients.js';
import { LiveConfiguration } from '../config/live-configuration.js';
import { type Bearer, Unauthenticated } from './bearer.js';
import { AUDIENCE, flawOfClaims, LEEWAY_SECONDS, validityOf } from './claims.js';
import { KeyRing, UNKNOWN_KID } from './key-ring.js';
import { isSignedForKey, isSignedWith } from './signature.js';
import { VerifiedTokens } from './verified-tokens.js';

/** A request whose Authorization header was read. */
export interface BearerRequest extends Request {
  readonly bearer: Bearer;
  /** What stands for that header. */
  readonly digest: string;
  /** Whose token it claims to be, and the key of an issuer that made its signature. */
  claimant?: Client | undefined;
  issuedWith?: KeyObject | undefined;
}

/**
 * Verifies a JWT with the keys that the key ring has for it, and tells which client it is. HS256 is verified as
 * passport-jwt does it, at once; what is signed with a private key by jose, which knows EdDSA too.
 */
@Injectable()
export class JwtStrategy extends PassportStrategy(Strategy) {
  constructor(
    @Inject(LiveConfiguration) private readonly configuration: LiveConfiguration<{ readonly identity: string }>,
    private readonly ring: KeyRing,
    private readonly verified: VerifiedTokens,
  ) {
    super({
      passReqToCallback: true,
      jwtFromRequest: (request: BearerRequest) => request.bearer.token,
      secretOrKeyProvider: (
        { bearer }: BearerRequest,
        token: string,
        done: (error: null, key: KeyObject | undefined) => void,
      ): void => {
        const { keys } = ring.secretsFor(bearer);
        const [first, ...others] = keys;
        // Where there are two, the library gets the one that signed.
        done(null, others.find((key) => isSignedWith(key, token)) ?? first);
      },
      // At this level and not among jsonWebTokenOptions, where the list would be overwritten with nothing.
      algorithms: ['HS256'],
      audience: AUDIENCE,
      jsonWebTokenOptions: { clockTolerance: LEEWAY_SECONDS },
      // The library takes a KeyObject, ten times faster than text; its types know only text and buffers.
    } as unknown as StrategyOptionsWithRequest);
  }

  override authenticate(request: BearerRequest, options?: unknown): void {
    const { alg } = request.bearer;
    request.claimant = this.ring.claimant(request.bearer);
    if (!isPublicKeyAlgorithm(alg)) {
      super.authenticate(request, options);
      return;
    }
    this.verify(request, alg).then(
      (client) => this.success(client),
      (error: unknown) => this.error(error as Error),
    );
  }

  /** Called once the signature holds. */
  validate({ bearer, digest, claimant, issuedWith }: BearerRequest): Client {
    const client = this.ring.claimant(bearer);
    const { authStrict } = this.configuration.current.settings;
    if (!client) throw new Unauthenticated(UNKNOWN_KID, bearer.kid);
    const flaw = flawOfClaims(bearer.claims, authStrict, Date.now() / 1000);
    if (flaw) throw new Unauthenticated(flaw, bearer.kid);
    if (client.issuer && bearer.claims['exp'] === undefined) {
      throw new Unauthenticated('the token never ends, as none of an issuer may', bearer.kid);
    }
    // To verify it may have taken a moment, and another configuration may have come into force.
    if (client.name !== claimant?.name) throw new Unauthenticated('it is of another client now', bearer.kid);
    if (client === claimant) {
      const validity = validityOf(bearer.claims, authStrict);
      this.verified.keep(digest, { client, kid: bearer.kid, issuedWith, validity });
    }
    return client;
  }

  /** Why no key could have verified a token of HS256, if that is so: the library only knows that none did. */
  lackOf(bearer: Bearer): string | undefined {
    return bearer.alg === 'HS256' ? this.ring.secretsFor(bearer).lack : undefined;
  }

  private async verify(request: BearerRequest, alg: PublicKeyAlgorithm): Promise<Client> {
    const { bearer, claimant } = request;
    const { keys, lack } = await this.ring.publicKeysFor(bearer, alg);
    const verdicts = await Promise.all(keys.map((key) => isSignedForKey(key, alg, bearer.token)));
    const isSigned = lack === undefined && verdicts.includes(true);
    if (!isSigned) throw new Unauthenticated(lack ?? 'invalid signature', bearer.kid);
    if (claimant?.issuer) [request.issuedWith] = keys;
    return this.validate(request);
  }
}

function isPublicKeyAlgorithm(alg: string): alg is PublicKeyAlgorithm {
  return (PUBLIC_KEY_ALGORITHMS as readonly string[]).includes(alg);
}
