import type { Nature } from '../wechat/platforms/platform.js';
import { isExclusive, LATE_ARRIVAL_MS } from './lost-calls.js';
import type { Entry } from './store/store.js';

/**
 * What is to be believed of one credential by a hub that remembers something and a store that shows something else. As a
 * rule the store knows better; but it may have lost what it knew, or not have been told.
 */
export function reconciled(ours: Entry, theirs: Entry, nature: Nature): Entry {
  const [mine, other] = [ours.credential, theirs.credential];
  if (!mine) return theirs;
  if (mine.value === other?.value) {
    if ((other.refused ?? !mine.refused) && mine.version <= other.version) return theirs;
    const version = Math.max(mine.version, other.version);
    return { ...theirs, credential: { ...other, version, ...(mine.refused && { refused: true }) } };
  }
  // Whichever was asked for later came later, unless the two calls were under way at the same time.
  const isMine = !other || mine.issuedAt > other.issuedAt;
  const winner = isMine ? mine : other;
  const loser = isMine ? other : mine;
  const isUnclear = isExclusive(nature) && loser !== undefined && winner.issuedAt < loser.issuedAt + LATE_ARRIVAL_MS;
  const version = winner.version > (loser?.version ?? 0) ? winner.version : (loser?.version ?? 0) + 1;
  if (!isMine && !isUnclear && version === winner.version) return theirs;
  const intents = [...(theirs.intents ?? []), ...(isUnclear ? [winner.issuedAt] : [])].sort((a, b) => a - b);
  const { spent } = (ours.spent?.at(-1) ?? 0) > (theirs.spent?.at(-1) ?? 0) ? ours : theirs;
  const { failure, askAgainAt } = isMine ? ours : theirs;
  return {
    credential: { ...winner, version },
    ...(intents.length > 0 && { intents }),
    ...(spent && { spent }),
    ...(askAgainAt !== undefined && { askAgainAt }),
    ...(failure && { failure }),
  };
}
