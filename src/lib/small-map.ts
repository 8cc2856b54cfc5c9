/**
 * A map for objects of which there are very many, most with one entry: that entry stands in the object itself, and a
 * `Map`, which takes some 300 bytes however little is in it, is made for the second.
 */
export class SmallMap<V> {
  /** The only entry, or null. */
  #only: { readonly key: string; value: V } | null = null;
  /** All entries, once there were two. */
  #map: Map<string, V> | null = null;

  get size(): number {
    if (this.#map !== null) return this.#map.size;
    return this.#only === null ? 0 : 1;
  }

  get(key: string): V | undefined {
    if (this.#map !== null) return this.#map.get(key);
    return this.#only?.key === key ? this.#only.value : undefined;
  }

  has(key: string): boolean {
    return this.#map === null ? this.#only?.key === key : this.#map.has(key);
  }

  set(key: string, value: V): void {
    if (this.#map !== null) this.#map.set(key, value);
    else if (this.#only === null || this.#only.key === key) this.#only = { key, value };
    else {
      this.#map = new Map([
        [this.#only.key, this.#only.value],
        [key, value],
      ]);
      this.#only = null;
    }
  }

  /** True: it was there. */
  delete(key: string): boolean {
    if (this.#map !== null) return this.#map.delete(key);
    if (this.#only?.key !== key) return false;
    this.#only = null;
    return true;
  }

  /** In the order in which they came, as of the call. */
  [Symbol.iterator](): Iterator<readonly [string, V]> {
    return this.#entries().values();
  }

  /** In the order in which they came, as of the call. */
  keys(): readonly string[] {
    return this.#entries().map(([key]) => key);
  }

  /** In the order in which they came, as of the call. */
  values(): readonly V[] {
    return this.#entries().map(([, value]) => value);
  }

  #entries(): (readonly [string, V])[] {
    if (this.#map !== null) return [...this.#map];
    return this.#only === null ? [] : [[this.#only.key, this.#only.value]];
  }
}
