import type { ClientRequest } from '../auth/client.guard.js';
import type { Verifier } from '../auth/verifier.js';
import type { FamiliarRead, HandOuts } from '../credentials/hand-outs.js';
import type { ClientBudgets } from './client-budgets.js';
import type { HubResponse } from './messages.js';
import type { ProblemFilter } from './problem.filter.js';

/** Who decides about a read, whichever way it comes. */
export interface Deciders {
  readonly verifier: Pick<Verifier, 'verify'>;
  readonly budgets: Pick<ClientBudgets, 'take'>;
  readonly handOuts: Pick<HandOuts, 'familiarRead' | 'answer'>;
  readonly errors: Pick<ProblemFilter, 'answer'>;
}

/**
 * The short way of a read. Router, guard, pipe and interceptor of the framework cost ten times what it takes to answer;
 * and what they make of a target is the same each time. So a target that was read once goes straight to those who
 * decide: the same ones, in the same order, and there are no others.
 */
export class ReadLane {
  constructor(private readonly deciders: Deciders) {}

  /** Answers a request, if its target is a familiar one. @returns whether it is. */
  take(request: ClientRequest, response: HubResponse): boolean {
    const { method, url } = request;
    const familiar = method === 'GET' ? this.deciders.handOuts.familiarRead(url) : undefined;
    if (!familiar) return false;
    void this.answer(request, response, familiar);
    return true;
  }

  private async answer(request: ClientRequest, response: HubResponse, { read, route }: FamiliarRead): Promise<void> {
    const { verifier, budgets, handOuts, errors } = this.deciders;
    try {
      request.route = route;
      const verified = verifier.verify(request);
      const client = verified instanceof Promise ? await verified : verified;
      request.client = client;
      budgets.take(client);
      await handOuts.answer(request, response, read);
    } catch (error) {
      await errors.answer(error, request, response);
    }
  }
}
