import { Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import type { Request } from 'express';
import { ExtractJwt, Strategy } from 'passport-jwt';
import type { Client } from '../config/clients.js';
import { Verifier } from './verifier.js';

/**
 * How Passport asks the verifier. The check that passport-jwt itself would make is left out: it knows no EdDSA, reads
 * tokens less strictly, and is another answer to a question that has one place (docs/decisions/0016-the-path-of-a-read.md).
 */
@Injectable()
export class JwtStrategy extends PassportStrategy(Strategy) {
  constructor(private readonly verifier: Verifier) {
    super({
      jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(),
      secretOrKeyProvider: (_request: unknown, _token: unknown, done: (error: Error) => void) => {
        done(new Error('the verifier has the keys'));
      },
    });
  }

  override authenticate(request: Request): void {
    void this.tellOutcome(request);
  }

  /** Passport wants to be called back; a request without a client does not get on. */
  validate(): undefined {
    return undefined;
  }

  private async tellOutcome(request: Request): Promise<void> {
    let client: Client;
    try {
      client = await this.verifier.verify(request);
    } catch (error) {
      this.error(error as Error);
      return;
    }
    this.success(client);
  }
}
