import type { Minted, Nature } from '../wechat/platforms/platform.js';
import { LATE_ARRIVAL_MS } from '../wechat/wechat.error.js';
import { type Credential, dueOf, usable } from './policy.js';
import type { Entry } from './store/store.js';

/**
 * What remains true when the outcome of a call is unknown: its answer was lost, or the hub died in the middle of it.
 * WeChat may have minted a value all the same. On an exclusive endpoint that ends the value we have; where values are
 * repeated, it began the life of the next one, which then is older than it looks.
 */

/** No token lives longer than two hours, so what a lost call brought about is over by then. */
const INTENT_MATTERS_MS = 7_200_000;

/** Whether asking for a new value ends the old one. */
export function isExclusive({ supersedesAfterMs }: Nature): boolean {
  return supersedesAfterMs !== undefined;
}

/**
 * The credential of an entry as it stands: its life is cut where a call may have ended it early.
 * @param endedAt when another call may end it, apart from those that are noted.
 */
export function standing({ credential, intents }: Entry, nature: Nature, endedAt?: number): Credential | undefined {
  const from = intents?.[0] ?? endedAt;
  if (!credential || from === undefined || nature.supersedesAfterMs === undefined) return credential;
  const end = from + nature.supersedesAfterMs;
  return end < credential.expiresAt ? cutAt(end, credential) : credential;
}

/** Credentials whose life was cut last, by what they were cut of. */
const cuts = new WeakMap<Credential, Credential>();

/** One object as long as it stands as it does: what is answered and recorded of a credential is remembered by it. */
function cutAt(expiresAt: number, whole: Credential): Credential {
  let cut = cuts.get(whole);
  if (cut?.expiresAt !== expiresAt) cuts.set(whole, (cut = { ...whole, expiresAt }));
  return cut;
}

/**
 * The entry with a note that a call begins, where its outcome matters even if nobody hears of it; else the same. Of
 * calls that may have ended the credential the first counts, for its end, and the last, for how long it may be on the way.
 */
export function withIntent(entry: Entry, nature: Nature, now: number): Entry {
  if (nature.repeats === 'life-left' || !(isExclusive(nature) || nature.repeats)) return entry;
  const open = entry.intents?.filter((at) => at > now - INTENT_MATTERS_MS) ?? [];
  return { ...entry, intents: [...(isExclusive(nature) ? open.slice(0, 1) : open), now] };
}

/** The entry without notes of calls that had arrived, if they ever did, before the credential was asked for. */
export function withoutSettled(entry: Entry): Entry {
  const { credential, intents, ...rest } = entry;
  if (!credential || !intents) return entry;
  const open = intents.filter((at) => at + LATE_ARRIVAL_MS > credential.issuedAt);
  return open.length === intents.length ? entry : { credential, ...(open.length > 0 && { intents: open }), ...rest };
}

/** When every call whose outcome is unknown has arrived at WeChat, if it ever does; epoch milliseconds. */
export function allArrivedAt({ intents }: Entry): number {
  return (intents?.at(-1) ?? -Infinity) + LATE_ARRIVAL_MS;
}

/**
 * What is true of an answer: a value that we know already lives no longer for being told again, and one that is new to
 * us may be as old as a call whose answer was lost.
 *
 * @param askedAt when the call began, epoch milliseconds: lives are counted from there.
 */
export function accept(entry: Entry, nature: Nature, { value, expiresIn }: Minted, askedAt: number): Credential {
  const { credential: known, intents = [] } = entry;
  const life = expiresIn * 1000;
  if (known?.value === value) return acceptAgain(known, nature, life, askedAt);
  const lost = nature.repeats === 'full-life' ? intents.filter((at) => at < askedAt && askedAt < at + life) : [];
  const births = [...lost, askedAt];
  const issuedAt = births.shift() ?? askedAt;
  // Versions follow the clock, so that they do not fall even when the store is lost.
  const version = Math.max((known?.version ?? 0) + 1, Math.floor(askedAt / 1000));
  return { value, issuedAt, expiresAt: issuedAt + life, version, ...(births.length > 0 && { births }) };
}

/** When a value began at the latest: with the call that gave it to who saw it first, or before; epoch milliseconds. */
export function latestBirthOf({ issuedAt, births }: Credential): number {
  return births?.at(-1) ?? issuedAt;
}

function acceptAgain(known: Credential, nature: Nature, toldLife: number, askedAt: number): Credential {
  const { births = [], ...rest } = known;
  const life = known.expiresAt - known.issuedAt;
  // It outlived what the lost call would have begun, so it began with a later one.
  const isOutlived = (birth: number): boolean => askedAt >= birth + life + LATE_ARRIVAL_MS;
  const [birth, ...later] = births.filter((other) => !isOutlived(other));
  if (isOutlived(known.issuedAt) && birth !== undefined) {
    return { ...rest, issuedAt: birth, expiresAt: birth + life, births: later };
  }
  const mayLiveOn = nature.repeats === 'life-left' && usable(known, askedAt) === 'expired';
  const expiresAt = mayLiveOn ? askedAt + toldLife : Math.min(askedAt + toldLife, known.expiresAt);
  return { ...known, expiresAt, ...(askedAt >= dueOf(known, 0) && { repeated: true }) };
}
