/** A clock in step with ours strays by less than this in a second. */
const DRIFT_PER_MS = 0.0002;

/**
 * Knows what time it is at a server, as far as its answers tell: each came about between a sending and a receiving, and
 * that bounds how far its clock is from ours. Conversions err on the side of too early, so that no life is counted too
 * long by them, on the way there or back.
 */
export class RemoteTime {
  private earliest = -Infinity;
  private latest = Infinity;
  private notedAt = 0;

  /**
   * Takes note of an answer. All instants are epoch milliseconds.
   * @returns by how many milliseconds the server's clock must have been moved since the last one; 0 as a rule.
   */
  note(sentAt: number, receivedAt: number, remoteNow: number): number {
    const strayed = (receivedAt - this.notedAt) * DRIFT_PER_MS;
    const [earliest, latest] = [this.earliest - strayed, this.latest + strayed];
    // The server tells whole milliseconds, cut off.
    const [atLeast, atMost] = [remoteNow - receivedAt, remoteNow + 1 - sentAt];
    const moved = atLeast > latest ? atLeast - latest : atMost < earliest ? atMost - earliest : 0;
    this.earliest = moved === 0 ? Math.max(earliest, atLeast) : atLeast;
    this.latest = moved === 0 ? Math.min(latest, atMost) : atMost;
    this.notedAt = receivedAt;
    return moved;
  }

  /** What to add to our instants for the server's. */
  get toRemote(): number {
    return this.earliest;
  }

  /** What to add to the server's instants for ours. */
  get toLocal(): number {
    return -this.latest;
  }
}
