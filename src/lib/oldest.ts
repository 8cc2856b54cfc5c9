/**
 * The oldest entry of a map or set, again and again, for whoever makes room by it. A new iterator steps over all that was
 * deleted since the table was last made anew, which may be as much as it holds: 124 µs with 65,536 entries. One that goes on
 * where it was does not, 0.6 µs.
 */
export class Oldest<T> {
  readonly #all: () => Iterator<T>;
  #going: Iterator<T>;

  /** @param all of the keys, from the oldest on: `() => map.keys()` */
  constructor(all: () => Iterator<T>) {
    this.#all = all;
    this.#going = all();
  }

  /**
   * The oldest that was not taken yet, undefined where there is none. Whoever takes one deletes it, or adds it anew; what is left
   * as it is has its turn again after all others.
   */
  take(): T | undefined {
    const next = this.#going.next();
    if (next.done !== true) return next.value;
    this.#going = this.#all();
    const first = this.#going.next();
    return first.done === true ? undefined : first.value;
  }
}
