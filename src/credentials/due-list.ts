/**
 * Knows what is due next, among any number of things: a binary heap by instant that finds its items, so that each has
 * one place in it. When nothing is due, asking costs one comparison.
 */
export class DueList<T> {
  /** The heap, item by item; what is due at the same place of `instants`. Two lists take a third of what one of pairs would. */
  private readonly items: T[] = [];
  private readonly instants: number[] = [];
  private readonly places = new Map<T, number>();

  get size(): number {
    return this.items.length;
  }

  /** Puts an item down for an instant, instead of the one before; `undefined` takes it out. */
  set(item: T, at: number | undefined): void {
    const place = this.places.get(item);
    if (place !== undefined) this.removeAt(place);
    if (at !== undefined) this.rise(item, at, this.items.length);
  }

  /** Takes out the most urgent item that is due at `now`, if any is. */
  take(now: number): T | undefined {
    if (this.at(0) > now) return undefined;
    const first = this.items[0];
    if (first !== undefined) this.removeAt(0);
    return first;
  }

  private removeAt(place: number): void {
    const removed = this.items[place];
    const last = this.items.pop();
    const at = this.instants.pop();
    if (removed === undefined || last === undefined || at === undefined) return;
    this.places.delete(removed);
    if (removed === last) return;
    this.rise(last, at, place);
    this.sink(last, at, this.places.get(last) ?? place);
  }

  /** Puts an item where it belongs, at a place that is free or above it. */
  private rise(item: T, at: number, from: number): void {
    let place = from;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      const above = this.items[parent];
      if (above === undefined || this.at(parent) <= at) break;
      this.put(above, this.at(parent), place);
      place = parent;
    }
    this.put(item, at, place);
  }

  /** Puts an item where it belongs, at its place or below it. */
  private sink(item: T, at: number, from: number): void {
    let place = from;
    for (;;) {
      const left = 2 * place + 1;
      const lesser = this.at(left + 1) < this.at(left) ? left + 1 : left;
      const below = this.items[lesser];
      if (below === undefined || this.at(lesser) >= at) break;
      this.put(below, this.at(lesser), place);
      place = lesser;
    }
    this.put(item, at, place);
  }

  private at(place: number): number {
    return this.instants[place] ?? Infinity;
  }

  private put(item: T, at: number, place: number): void {
    this.items[place] = item;
    this.instants[place] = at;
    this.places.set(item, place);
  }
}
