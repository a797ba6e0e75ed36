import { Injectable } from '@nestjs/common';
import { Interval } from '@nestjs/schedule';
import { CredentialsService } from './credentials.service.js';

/** Short enough for credentials that live a few seconds; looking when nothing is due costs next to nothing. */
const TICK_MS = 500;

/**
 * The proactive renewal. An interval and not a cron expression, because an expression follows the wall clock: set back
 * by an hour, it would not fire for an hour.
 */
@Injectable()
export class RefreshCron {
  constructor(private readonly credentials: CredentialsService) {}

  @Interval(TICK_MS)
  tick(): void {
    this.credentials.renewDue();
  }
}
