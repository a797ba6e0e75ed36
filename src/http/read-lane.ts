import { Unauthenticated } from '../auth/bearer.js';
import type { ClientRequest } from '../auth/client.guard.js';
import type { Judgement, Verifier } from '../auth/verifier.js';
import type { FamiliarRead, HandOuts, Read } from '../credentials/hand-outs.js';
import type { ClientBudgets } from './client-budgets.js';
import type { HubResponse } from './messages.js';
import type { ProblemFilter } from './problem.filter.js';

/** Who decides about a read, whichever way it comes. */
export interface Deciders {
  readonly verifier: Pick<Verifier, 'judge'>;
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
    const { handOuts, errors } = this.deciders;
    const familiar = method === 'GET' ? handOuts.familiarRead(url) : undefined;
    if (!familiar) return false;
    try {
      const answering = this.answer(request, response, familiar);
      answering?.catch((error: unknown) => errors.answer(error, request, response));
    } catch (error) {
      void errors.answer(error, request, response);
    }
    return true;
  }

  /** Nobody waits for what is there: a promise for everything would cost more than the rest of this. */
  private answer(request: ClientRequest, response: HubResponse, { read, route }: FamiliarRead): Promise<void> | void {
    const { verifier } = this.deciders;
    request.route = route;
    const judgement = verifier.judge(request);
    if (!(judgement instanceof Promise)) return this.answerTo(judgement, request, response, read);
    return judgement.then((later) => this.answerTo(later, request, response, read));
  }

  private answerTo(
    judgement: Judgement,
    request: ClientRequest,
    response: HubResponse,
    read: Read,
  ): Promise<void> | void {
    const { budgets, handOuts, errors } = this.deciders;
    if (judgement instanceof Unauthenticated) return errors.answer(judgement, request, response);
    request.client = judgement;
    budgets.take(judgement);
    return handOuts.answer(request, response, read);
  }
}
