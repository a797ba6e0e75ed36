import type { CallHandler, ExecutionContext, NestInterceptor } from '@nestjs/common';
import { clientOf } from '../auth/client.guard.js';
import type { Client } from '../config/clients.js';
import type { Rate } from '../config/environment.js';
import { coveredFrom, takeFrom } from '../credentials/allowance.js';

/** A client asks more than it may. Nothing was done. */
export class TooManyRequests extends Error {
  /** @param retryAt epoch milliseconds from which it may ask again. */
  constructor(readonly retryAt: number) {
    super('The client asks more than it may.');
    this.name = 'TooManyRequests';
  }
}

/**
 * Bounds what each client may ask of this hub, so that one in a loop does not keep it from the others. Comes after the
 * guards, which tell who asks; what is open to all has no client, and no budget.
 */
export class ClientBudgets implements NestInterceptor {
  /** When each is full again. A client of a new configuration begins with a full one. */
  private readonly fullAgainAt = new WeakMap<Client, number>();

  /**
   * @param usual what a client may ask if nothing else is said of it; absent, as much as it likes.
   * @param now epoch milliseconds.
   */
  constructor(
    private readonly usual: Rate | undefined,
    private readonly now: () => number,
  ) {}

  intercept(context: ExecutionContext, next: CallHandler): ReturnType<CallHandler['handle']> {
    const client = clientOf(context.switchToHttp().getRequest<object>());
    if (client) this.take(client);
    return next.handle();
  }

  /** @throws TooManyRequests when the client has used up its budget. */
  take(client: Client): void {
    const rate = client.rate ?? this.usual;
    if (!rate) return;
    const { perSecond, burst } = rate;
    const limits = { burst, everyMs: 1000 / perSecond };
    const [fullAgainAt, now] = [this.fullAgainAt.get(client) ?? 0, this.now()];
    const allowedAt = coveredFrom(fullAgainAt, limits, now);
    if (allowedAt > now) throw new TooManyRequests(allowedAt);
    this.fullAgainAt.set(client, takeFrom(fullAgainAt, limits, now));
  }
}
