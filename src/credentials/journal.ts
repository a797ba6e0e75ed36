import type { AuditEvent } from '../audit/trail.js';
import type { AuthEvent } from '../auth/key-set.js';
import type { AppEvent } from './outside.js';
import type { StoreEvent } from './store/store.js';

/** Something that operators should know. */
export type HubEvent =
  | AppEvent
  | StoreEvent
  | AuditEvent
  | AuthEvent
  | { readonly event: 'clock-moved'; readonly seconds: number }
  /** So many bad tokens come from there that most are not looked at. */
  | { readonly event: 'flood'; readonly network: string }
  /** So much is refused there that not each refusal is told. */
  | { readonly event: 'many-refusals'; readonly source: string }
  | { readonly event: 'too-many-connections'; readonly most: number };

/** Where everything that happens is told; the log and the metrics read along. */
export class Journal {
  private readonly readers: ((event: HubEvent) => void)[] = [];

  /** Lets somebody read along from now on. */
  follow(read: (event: HubEvent) => void): void {
    this.readers.push(read);
  }

  tell(event: HubEvent): void {
    for (const read of this.readers) read(event);
  }
}
