import type { Nature } from '../wechat/platforms/platform.js';
import { LATE_ARRIVAL_MS } from '../wechat/wechat.error.js';
import { isExclusive, latestBirthOf } from './lost-calls.js';
import type { Credential } from './policy.js';
import type { Entry } from './store/store.js';

/** Instants suffer a little on the way from one clock to another. */
const SLACK_MS = 100;

/**
 * What is to be believed of one credential by a hub that remembers something and a store that shows something else. As a
 * rule the store knows better; but it may have lost what it knew, or not have been told.
 */
export function reconciled(ours: Entry, theirs: Entry, nature: Nature): Entry {
  const credential = believed(ours.credential, theirs.credential);
  const isOurs = credential !== undefined && credential !== theirs.credential;
  const isOf = ({ credential: known }: Entry): boolean => credential !== undefined && credential.value === known?.value;
  // Who does not know the credential may know of the call that brought it, at the same instant by another clock.
  const isOther = (at: number): boolean => Math.abs(at - (credential?.issuedAt ?? -Infinity)) > SLACK_MS;
  const doubts = (theirs.intents ?? []).filter((at) => isOf(theirs) || isOther(at));
  const doubt = (at: number): void => {
    if (!doubts.some((other) => Math.abs(other - at) < SLACK_MS)) doubts.push(at);
  };
  // What was asked after the credential, and came to nothing that we know of, may have been forgotten there; of a
  // credential that we know, so may be every doubt that there is about it.
  for (const at of ours.intents ?? []) {
    if (isOf(ours) || (at > (credential?.issuedAt ?? 0) && isOther(at))) doubt(at);
  }
  if (isUnclear(ours.credential, theirs.credential, nature)) doubt(credential?.issuedAt ?? 0);
  const isSpent = (ours.spent?.at(-1) ?? 0) > (theirs.spent?.at(-1) ?? 0) + SLACK_MS;
  if (!isOurs && doubts.length === (theirs.intents?.length ?? 0) && !isSpent) return theirs;

  const { spent } = isSpent ? ours : theirs;
  const { failure, askAgainAt } = isOurs ? ours : theirs;
  return {
    ...(credential && { credential }),
    ...(doubts.length > 0 && { intents: doubts.sort((a, b) => a - b) }),
    ...(spent && { spent }),
    ...(askAgainAt !== undefined && { askAgainAt }),
    ...(failure && { failure }),
  };
}

/** Which of two credentials there is now; its version is as great as that of any that was handed out. */
function believed(mine: Credential | undefined, other: Credential | undefined): Credential | undefined {
  if (!mine || !other) return mine ?? other;
  if (mine.value !== other.value) {
    // Whichever was asked for later came later.
    const [winner, loser] = mine.issuedAt > other.issuedAt ? [mine, other] : [other, mine];
    return winner.version > loser.version ? winner : { ...winner, version: loser.version + 1 };
  }
  // Whoever saw it first knows best how long it lives: WeChat may repeat a value as if it were fresh.
  const first = mine.expiresAt < other.expiresAt - SLACK_MS ? mine : other;
  const seen = withBirths(first, birthsOf(mine, other, first.issuedAt));
  const version = Math.max(mine.version, other.version);
  const isRefused = mine.refused ?? other.refused;
  if (version === seen.version && isRefused === seen.refused) return seen;
  return { ...seen, version, ...(isRefused && { refused: true }) };
}

/**
 * When a value may have begun that two have met, but for `earliest`: whenever either of them believes, but not after the first
 * of them had it.
 */
function birthsOf(mine: Credential, other: Credential, earliest: number): readonly number[] {
  const latest = Math.min(latestBirthOf(mine), latestBirthOf(other)) + SLACK_MS;
  const found: number[] = [];
  for (const at of [mine, other].flatMap(({ issuedAt, births = [] }) => [issuedAt, ...births]).sort((a, b) => a - b)) {
    if (at > (found.at(-1) ?? earliest) + SLACK_MS && at <= latest) found.push(at);
  }
  return found;
}

/** The same credential, if these are its births already, as far as instants can be told. */
function withBirths(credential: Credential, births: readonly number[]): Credential {
  const { births: present = [], ...rest } = credential;
  const isSame =
    births.length === present.length && births.every((at, i) => Math.abs(at - (present[i] ?? 0)) <= SLACK_MS);
  if (isSame) return credential;
  return { ...rest, ...(births.length > 0 && { births }) };
}

/** Whether two calls were under way at the same time, so that nobody can say which of them ended the other's value. */
function isUnclear(mine: Credential | undefined, other: Credential | undefined, nature: Nature): boolean {
  if (!mine || !other || !isExclusive(nature) || mine.value === other.value) return false;
  return Math.abs(mine.issuedAt - other.issuedAt) < LATE_ARRIVAL_MS;
}
