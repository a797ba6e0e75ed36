import type { Change } from '../config/changes.js';

/** What the audit has records of. */
export type AuditedEvent =
  | 'hand-out'
  | 'rotation'
  | 'report'
  | 'signing'
  | 'refusal'
  /** WeChat was called on a client's behalf. */
  | 'call'
  /** Of strangers there were more refusals than are recorded one by one. */
  | 'refusals'
  /** WeChat was asked for a value. */
  | 'mint'
  /** WeChat refused a value that the hub had not replaced: somebody else asks for the account. */
  | 'foreign-mint'
  | 'configuration'
  | Change['event']
  | 'start'
  | 'stop'
  /** A line before this one was not written to its end. */
  | 'torn'
  /** Records before this one could not be written. */
  | 'gap';

/** One thing that happened, for the audit. All of it is in words of ours, or checked; values never are in it. */
export interface AuditRecord {
  readonly event: AuditedEvent;
  readonly outcome: string;
  /** The client, by its kid, once it is known that it is that client. */
  readonly client?: string | undefined;
  /** The kid that somebody showed in vain. */
  readonly claimed?: string | undefined;
  readonly app?: string | undefined;
  readonly kind?: string | undefined;
  readonly version?: number | undefined;
  /** What was handed out, or minted. Not written down: its fingerprint is. */
  readonly value?: string | undefined;
  /** What the client showed as refused. Not written down, either. */
  readonly shown?: string | undefined;
  /** The address that a request came from, or the network of many, and the id of the request. */
  readonly source?: string | undefined;
  readonly request?: string | undefined;
  /** What a client that was refused wanted to do. */
  readonly action?: string | undefined;
  readonly status?: number | undefined;
  readonly reason?: string | undefined;
  readonly errcode?: number | undefined;
  /** The path of WeChat's API that was called. */
  readonly api?: string | undefined;
  /** The host of the page that was signed. */
  readonly site?: string | undefined;
  /** Of what was counted: since when, how many, and how many of them were refused without a look. */
  readonly since?: string | undefined;
  readonly count?: number | undefined;
  readonly shed?: number | undefined;
  readonly faults?: readonly string[] | undefined;
  /** At a start: the version of the hub, and of how many apps and clients it knows. */
  readonly hub?: string | undefined;
  readonly apps?: number | undefined;
  readonly clients?: number | undefined;
}

/** A record that is given again and again. It is written out but once: what differs each time is who asks, and when. */
export class RecurringRecord {
  /** As members of a line, once they were wanted. */
  members: string | undefined;

  constructor(readonly record: AuditRecord) {}
}
