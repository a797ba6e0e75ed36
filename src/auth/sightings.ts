/** A power of two; with a mark and a time for each, half a megabyte. */
const PLACES = 2 ** 15;

/**
 * When tokens were last seen, of as many as come, in a table that never grows: the first bits of a digest tell the place,
 * the next ones whose it is, and a newer token takes the place of an older one. It may forget any of them, and takes one
 * in four thousand million for another, so nothing may hang on it but how much is worth doing for a token.
 */
export class Sightings {
  private readonly marks = new Int32Array(PLACES);
  private readonly times = new Float64Array(PLACES);

  /**
   * @param digest as `digestOf` in `verified-tokens.ts` has it.
   * @param at epoch milliseconds.
   */
  note(digest: string, at: number): void {
    const place = placeOf(digest);
    this.marks[place] = markOf(digest);
    this.times[place] = at;
  }

  /** When it was seen, in epoch milliseconds; 0 if that is not known. */
  lastOf(digest: string): number {
    const place = placeOf(digest);
    return this.marks[place] === markOf(digest) ? (this.times[place] ?? 0) : 0;
  }

  forget(digest: string): void {
    if (this.lastOf(digest) > 0) this.times[placeOf(digest)] = 0;
  }
}

function placeOf(digest: string): number {
  return (digest.charCodeAt(0) | (digest.charCodeAt(1) << 8)) & (PLACES - 1);
}

function markOf(digest: string): number {
  return (
    digest.charCodeAt(2) | (digest.charCodeAt(3) << 8) | (digest.charCodeAt(4) << 16) | (digest.charCodeAt(5) << 24)
  );
}
