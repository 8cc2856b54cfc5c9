/** A queue with access by index: values enter at the back and leave at the front, each in constant time. */

/** Slots are not given back below this many, so that a short queue does not copy itself back and forth. */
const capacityMin = 4;

/**
 * Grows and shrinks with its contents (a full ring doubles, one that is a quarter full halves); has no bound of its own.
 *
 *     slots   d e . . a b c        head = 4, length = 5: index 0 is a, index 4 is e
 */
export class Ring<T> {
  /** Empty, or as long as a power of two; free slots hold undefined, so that nothing is kept alive by them. */
  #slots: (T | undefined)[] = [];
  #head = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(value: T): void {
    if (this.#length === this.#slots.length) this.#resize(Math.max(capacityMin, this.#length * 2));
    this.#slots[(this.#head + this.#length) & (this.#slots.length - 1)] = value;
    this.#length++;
  }

  /** Takes the oldest value out; undefined if there is none. */
  shift(): T | undefined {
    if (this.#length === 0) return undefined;
    const value = this.#slots[this.#head];
    this.#slots[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#slots.length - 1);
    this.#length--;
    const capacity = this.#slots.length;
    if (capacity > capacityMin && this.#length <= capacity >> 2) this.#resize(capacity >> 1);
    return value;
  }

  /** The value at `index`, counted from the oldest; undefined outside 0 … length − 1. */
  at(index: number): T | undefined {
    if (index < 0 || index >= this.#length) return undefined;
    return this.#slots[(this.#head + index) & (this.#slots.length - 1)];
  }

  clear(): void {
    this.#slots = [];
    this.#head = 0;
    this.#length = 0;
  }

  #resize(capacity: number): void {
    const slots = new Array<T | undefined>(capacity).fill(undefined);
    for (let i = 0; i < this.#length; i++) slots[i] = this.#slots[(this.#head + i) & (this.#slots.length - 1)];
    this.#slots = slots;
    this.#head = 0;
  }
}
