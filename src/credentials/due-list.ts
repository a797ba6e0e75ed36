/**
 * Knows what is due next, among any number of things: a binary heap by instant that finds its items, so that each has
 * one place in it. When nothing is due, asking costs one comparison.
 */
export class DueList<T> {
  private readonly heap: { readonly item: T; readonly at: number }[] = [];
  private readonly places = new Map<T, number>();

  get size(): number {
    return this.heap.length;
  }

  /** Puts an item down for an instant, instead of the one before; `undefined` takes it out. */
  set(item: T, at: number | undefined): void {
    const place = this.places.get(item);
    if (place !== undefined) this.removeAt(place);
    if (at === undefined) return;
    this.heap.push({ item, at });
    this.rise(this.heap.length - 1);
  }

  /** Takes out the most urgent item that is due at `now`, if any is. */
  take(now: number): T | undefined {
    const first = this.heap[0];
    if (!first || first.at > now) return undefined;
    this.removeAt(0);
    return first.item;
  }

  private removeAt(place: number): void {
    const removed = this.heap[place];
    const last = this.heap.pop();
    if (!removed || !last) return;
    this.places.delete(removed.item);
    if (removed === last) return;
    this.put(last, place);
    this.rise(place);
    this.sink(this.places.get(last.item) ?? place);
  }

  private rise(from: number): void {
    const entry = this.heap[from];
    if (!entry) return;
    let place = from;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      const above = this.heap[parent];
      if (!above || above.at <= entry.at) break;
      this.put(above, place);
      place = parent;
    }
    this.put(entry, place);
  }

  private sink(from: number): void {
    const entry = this.heap[from];
    if (!entry) return;
    let place = from;
    for (;;) {
      const left = 2 * place + 1;
      const right = left + 1;
      const lesser = (this.heap[right]?.at ?? Infinity) < (this.heap[left]?.at ?? Infinity) ? right : left;
      const below = this.heap[lesser];
      if (!below || below.at >= entry.at) break;
      this.put(below, place);
      place = lesser;
    }
    this.put(entry, place);
  }

  private put(entry: { readonly item: T; readonly at: number }, place: number): void {
    this.heap[place] = entry;
    this.places.set(entry.item, place);
  }
}
