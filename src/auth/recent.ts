/**
 * Remembers the entries that were used last, so many at least and no more than twice as many: what strangers send must
 * not fill the memory. There are two generations, so that it costs nothing to use an entry again.
 */
export class Recent<V> {
  private young = new Map<string, Kept<V>>();
  private old = new Map<string, Kept<V>>();

  constructor(private readonly least: number) {}

  /** How many there are. */
  get size(): number {
    return this.young.size + this.old.size;
  }

  get(key: string): V | undefined {
    const kept = this.young.get(key);
    if (kept !== undefined || this.old.size === 0) return kept?.value;
    const aged = this.old.get(key);
    // Who asks may have a part of a long text, which would keep the whole of it.
    if (aged !== undefined) this.set(aged.key, aged.value);
    return aged?.value;
  }

  set(key: string, value: V): void {
    this.old.delete(key);
    this.young.set(key, { key, value });
    if (this.young.size < this.least) return;
    this.old = this.young;
    this.young = new Map();
  }

  delete(key: string): void {
    this.young.delete(key);
    this.old.delete(key);
  }
}

/** A value, with the text under which it was put there. */
interface Kept<V> {
  readonly key: string;
  readonly value: V;
}
