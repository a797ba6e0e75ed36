import { type ExecutionContext, Injectable } from '@nestjs/common';
import { AuthGuard } from '@nestjs/passport';
import type { Request } from 'express';
import type { Client } from '../config/clients.js';
import type { Action } from '../config/hub-file.js';
import { Unauthenticated } from './bearer.js';
import { JwtStrategy } from './jwt.strategy.js';
import { Verifier } from './verifier.js';

/** A request of a client that is known. */
export interface ClientRequest extends Request {
  client: Client;
  /** By which the client and the log speak of it. */
  readonly requestId: string;
  /** The name of the app that it is about, once it is known that there is such an app. */
  about?: string;
  /** What the client wants to do with that app. */
  action?: Action;
}

/** Any request: who asks, and what about, may not be known yet. */
export type Asking = Request & Pick<ClientRequest, 'requestId' | 'about' | 'action'>;

/** Lets nobody in but the configured clients. */
@Injectable()
export class ClientGuard extends AuthGuard() {
  constructor(
    strategy: JwtStrategy,
    private readonly verifier: Verifier,
  ) {
    super({
      /**
       * The strategy itself and not its name: Passport knows one strategy per name in the whole process, and two hubs in
       * one process would verify with each other's keys. And another object for every request: Passport writes down on
       * it whom to tell the outcome, and requests that come at once would get each other's.
       */
      get defaultStrategy() {
        return Object.create(strategy) as string;
      },
      session: false,
      property: 'client',
    });
  }

  override async canActivate(context: ExecutionContext): Promise<boolean> {
    const request = context.switchToHttp().getRequest<ClientRequest>();
    try {
      const known = this.verifier.recall(request);
      if (!known) return (await super.canActivate(context)) as boolean;
      request.client = known;
      return true;
    } catch (error) {
      throw error instanceof Unauthenticated ? error : new Unauthenticated('it cannot be verified');
    }
  }

  override handleRequest<T>(error: unknown, client: T | false | undefined): T {
    if (error instanceof Error) throw error;
    if (!client) throw new Unauthenticated('it cannot be verified');
    return client;
  }
}

/** The client that asks, once the guard has told; before that Node keeps the connection under this name. */
export function clientOf(request: object): Client | undefined {
  const { client } = request as Partial<ClientRequest>;
  return client && 'keys' in client ? client : undefined;
}
