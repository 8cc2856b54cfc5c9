/** Orders things by when they were last used, each step in constant time and without allocating: the links live in the things. */

export interface Linked<T> {
  older: T | null;
  newer: T | null;
}

/** A thing is in at most one list at a time; whoever links it keeps track of which. */
export class RecencyList<T extends Linked<T>> {
  #oldest: T | null = null;
  #newest: T | null = null;
  #size = 0;

  /** The least recently used, or null. */
  get oldest(): T | null {
    return this.#oldest;
  }

  get size(): number {
    return this.#size;
  }

  /** Adds a thing that is in no list, as the most recently used. */
  add(thing: T): void {
    thing.older = this.#newest;
    thing.newer = null;
    if (this.#newest) this.#newest.newer = thing;
    else this.#oldest = thing;
    this.#newest = thing;
    this.#size++;
  }

  /** Removes a thing of this list. */
  remove(thing: T): void {
    if (thing.older) thing.older.newer = thing.newer;
    else this.#oldest = thing.newer;
    if (thing.newer) thing.newer.older = thing.older;
    else this.#newest = thing.older;
    thing.older = null;
    thing.newer = null;
    this.#size--;
  }
}
