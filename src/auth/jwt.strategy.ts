import { Inject, Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import type { Request } from 'express';
import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { Strategy, type StrategyOptionsWithRequest } from 'passport-jwt';
import type { Client } from '../config/configuration.js';
import { LiveConfiguration } from '../config/live-configuration.js';
import { type Bearer, Unauthenticated } from './bearer.js';
import { AUDIENCE, flawOfClaims, LEEWAY_SECONDS } from './claims.js';

/** A request whose Authorization header was read. */
export interface BearerRequest extends Request {
  bearer: Bearer;
}

/** Verifies a JWT with the key that its `kid` names, and tells which client it is. */
@Injectable()
export class JwtStrategy extends PassportStrategy(Strategy) {
  constructor(
    @Inject(LiveConfiguration) private readonly configuration: LiveConfiguration<{ readonly identity: string }>,
  ) {
    // A kid that nobody has is checked against a key that nobody has: it takes as long, and fails as it should.
    const nobody = createSecretKey(randomBytes(32));
    super({
      passReqToCallback: true,
      jwtFromRequest: (request: BearerRequest) => request.bearer.token,
      secretOrKeyProvider: (
        { bearer }: BearerRequest,
        _token: unknown,
        done: (error: null, key: KeyObject) => void,
      ): void => {
        done(null, configuration.current.clients.get(bearer.kid)?.key ?? nobody);
      },
      // At this level and not among jsonWebTokenOptions, where the list would be overwritten with nothing.
      algorithms: ['HS256'],
      audience: AUDIENCE,
      jsonWebTokenOptions: { clockTolerance: LEEWAY_SECONDS },
      // The library takes a KeyObject, ten times faster than text; its types know only text and buffers.
    } as unknown as StrategyOptionsWithRequest);
  }

  /** Called once the signature holds. */
  validate({ bearer }: BearerRequest, claims: Record<string, unknown>): Client {
    const { clients, settings } = this.configuration.current;
    const client = clients.get(bearer.kid);
    const flaw = client ? flawOfClaims(claims, settings.authStrict, Date.now() / 1000) : 'the kid is unknown';
    if (!client || flaw) throw new Unauthenticated(flaw ?? 'the kid is unknown', bearer.kid);
    return client;
  }
}
