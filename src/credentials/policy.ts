/** A secret on loan from WeChat. Instants are epoch milliseconds. */
export interface Credential {
  readonly value: string;
  /** When the asking began, so that the life is never counted too long. */
  readonly issuedAt: number;
  readonly expiresAt: number;
  /** Grows with each new value of the credential and never falls. */
  readonly version: number;
  /** Set when WeChat itself was seen to refuse the value: it is not handed out any more. */
  readonly refused?: true;
  /** Set when WeChat, asked for a new value, gave this one again: then there is no better, up to its very end. */
  readonly repeated?: true;
  /** Set when a call whose answer was lost may have begun the value: when else it may have begun, earliest first. */
  readonly births?: readonly number[];
}

/** Why the stored credential will not do. */
export type Flaw = 'missing' | 'expired' | 'due' | 'refused';

/** Finds the flaw, if any, that disqualifies a credential for some purpose. */
export type Policy = (credential: Credential, now: number) => Flaw | undefined;

/** The last moments are not handed out: the value has to arrive at the client, and from there at WeChat. */
const LAST_MOMENTS_MS = 10_000;
/** WeChat itself renews a stable token in its last five minutes, and keeps a superseded one for as long. */
const RENEWAL_WINDOW_MS = 300_000;
/** Renewals that fall together are spread over this part of the window, later and never earlier. */
const SPREAD = 0.2;

/** From when a credential is not handed out any more. Both bounds scale with its life, which may be short. */
export function lastUseOf({ issuedAt, expiresAt, repeated }: Credential): number {
  if (repeated) return expiresAt;
  return expiresAt - Math.min(LAST_MOMENTS_MS, (expiresAt - issuedAt) / 10);
}

/** When a credential wants to be renewed; `luck` from 0 to 1 spreads renewals that would fall together. */
export function dueOf({ issuedAt, expiresAt }: Credential, luck: number): number {
  return expiresAt - Math.min(RENEWAL_WINDOW_MS, (expiresAt - issuedAt) / 3) * (1 - SPREAD * luck);
}

/** For clients: a value that WeChat accepts, for a while yet. */
export const usable: Policy = (credential, now) =>
  credential.refused ? 'refused' : now >= lastUseOf(credential) ? 'expired' : undefined;

/**
 * When it is too late for what has been due since an instant: at the end of the value. What has none has its turn as if
 * there were as much time left as for the others; else it would come before all that can still be saved, and again and again.
 */
export function deadlineOf(credential: Credential | undefined, dueAt: number, now: number): number {
  const latest = dueAt + RENEWAL_WINDOW_MS;
  return credential && usable(credential, now) === undefined ? Math.min(credential.expiresAt, latest) : latest;
}

/** For the proactive renewal: usable, and not yet due. When that is may change while somebody waits for a turn. */
export function freshUntil(due: () => number): Policy {
  return (credential, now) => usable(credential, now) ?? (now >= due() ? 'due' : undefined);
}

/** For a client that WeChat refused: usable, and not the value it was refused with. */
export function otherThan(refused: string): Policy {
  return (credential, now) => (credential.value === refused ? 'refused' : usable(credential, now));
}

/**
 * The whole seconds for which a client may hold a credential without ever holding a dead one. A little is kept back for
 * the way to the client, which counts from when it receives the answer.
 */
export function secondsLeft({ issuedAt, expiresAt }: Credential, now: number): number {
  const transit = Math.min(1000, (expiresAt - issuedAt) / 24);
  return Math.max(0, Math.floor((expiresAt - now - transit) / 1000));
}
