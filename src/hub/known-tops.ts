/**
 * Positions up to which logs were served whose tag states were given up to bound memory, or that were only ever listed:
 * what the feed loses of them is noticed all the same. Much smaller than a state; bounded too.
 */
import type { LogTop } from "../broker/broker.ts";
import { Oldest } from "../lib/oldest.ts";
import { Ring } from "../lib/ring.ts";

/** Positions kept per application, each some 150 bytes; beyond it the oldest go. */
export const knownTopsMax = 131_072;

/** Of how many additions the order is kept. */
const newestMax = 8192;

export interface KnownTop extends LogTop {
  /** Generation of the space at which it was noted: it holds for those who listened by then. */
  readonly since: number;
}

export class KnownTops {
  /** Additions since the start. */
  additions = 0;
  readonly #tops = new Map<string, KnownTop>();
  readonly #oldest = new Oldest(() => this.#tops.keys());
  readonly #newest = new Ring<string>();

  get size(): number {
    return this.#tops.size;
  }

  get(tag: string): KnownTop | null {
    return this.#tops.get(tag) ?? null;
  }

  /** False: another one had to go for it. */
  add(tag: string, top: KnownTop): boolean {
    this.#tops.delete(tag);
    this.#tops.set(tag, top);
    this.additions++;
    this.#newest.push(tag);
    if (this.#newest.length > newestMax) this.#newest.shift();
    if (this.#tops.size <= knownTopsMax) return true;
    const oldest = this.#oldest.take();
    return oldest === undefined || !this.#tops.delete(oldest);
  }

  take(tag: string): KnownTop | null {
    const known = this.get(tag);
    if (known !== null) this.#tops.delete(tag);
    return known;
  }

  clear(): void {
    this.#tops.clear();
    this.#newest.clear();
  }

  /** At least the tags added since there had been so many additions. */
  *addedSince(additions: number): Iterable<string> {
    const count = this.additions - additions;
    if (count > this.#newest.length) return yield* this.#tops.keys();
    for (let i = this.#newest.length - count; i < this.#newest.length; i++) yield this.#newest.at(i) as string;
  }

  tags(): Iterable<string> {
    return this.#tops.keys();
  }
}
