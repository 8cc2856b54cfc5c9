/**
 * Which topics match a tag is remembered with the tag. Here is counted how much that is for tags that several topics match:
 * above a bound those matched longest ago are forgotten, to be matched again when somebody publishes to them.
 */
import { Oldest } from "../lib/oldest.ts";

export interface Crowded {
  /** Lets go of what matches. How many they were. */
  forgetMatches(): number;
}

export class Matches {
  readonly #max: number;
  /** The least recently matched first. */
  readonly #crowded = new Set<Crowded>();
  readonly #oldest = new Oldest(() => this.#crowded.values());
  #count = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** Topics remembered for tags that several match. */
  get count(): number {
    return this.#count;
  }

  /** A tag was matched anew: before, and now, so many topics are remembered with it. */
  note(tag: Crowded, before: number, now: number): void {
    if (before > 1) this.#count -= before;
    this.#crowded.delete(tag);
    if (now <= 1) return;
    this.#count += now;
    this.#crowded.add(tag);
    while (this.#count > this.#max) {
      const other = this.#oldest.take();
      if (other === undefined || other === tag) return;
      this.drop(other);
    }
  }

  /** Forgets what matches a tag. */
  drop(tag: Crowded): void {
    if (this.#crowded.delete(tag)) this.#count -= tag.forgetMatches();
  }
}
