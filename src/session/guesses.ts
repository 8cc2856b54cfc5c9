/**
 * Slows down who guesses: each source of credentials that are not valid has a bucket of failures, and once it is empty
 * nothing that the source presents is looked at until there is one again. What succeeds gives nothing back.
 */
import type { Clock } from "../lib/clock.ts";

/** Sources remembered at one time; those that failed longest ago go first. */
export const guessingSourcesMax = 10_000;
const minuteMs = 60_000;

export interface GuessesOptions {
  readonly clock: Clock;
  /** Failures of one source within a minute, all at once or spread; 0: no bound. */
  readonly perMinute: number;
  /** What the failures of an address count for, or null: it may fail as often as it likes. */
  readonly sourceOf: (address: string) => string | null;
  /** Default `guessingSourcesMax`. */
  readonly sourcesMax?: number;
}

interface Bucket {
  /** Failures that are left, as of `atMs`. */
  left: number;
  atMs: number;
}

export class Guesses {
  readonly #options: GuessesOptions;
  readonly #sourcesMax: number;
  /** Least recently used first. A full bucket is as good as none. */
  readonly #buckets = new Map<string, Bucket>();

  constructor(options: GuessesOptions) {
    this.#options = options;
    this.#sourcesMax = options.sourcesMax ?? guessingSourcesMax;
  }

  /** Sources with failures of the last minute. */
  get size(): number {
    return this.#buckets.size;
  }

  /** Milliseconds until a credential from this address is looked at; 0: now. */
  waitMs(address: string): number {
    const { perMinute, sourceOf } = this.#options;
    const source = perMinute === 0 ? null : sourceOf(address);
    const bucket = source === null ? undefined : this.#buckets.get(source);
    if (bucket === undefined) return 0;
    const left = this.#leftIn(bucket);
    return left >= 1 ? 0 : Math.ceil(((1 - left) * minuteMs) / perMinute);
  }

  /** A credential from this address was not valid. True where that took its last failure. */
  failed(address: string): boolean {
    const { perMinute, sourceOf, clock } = this.#options;
    const source = perMinute === 0 ? null : sourceOf(address);
    if (source === null) return false;
    this.#forgetFull();
    const known = this.#buckets.get(source);
    const left = known === undefined ? perMinute : this.#leftIn(known);
    this.#buckets.delete(source);
    this.#buckets.set(source, { left: Math.max(0, left - 1), atMs: clock.monotonicMs() });
    return left >= 1 && left < 2;
  }

  #leftIn({ left, atMs }: Bucket): number {
    const { perMinute, clock } = this.#options;
    return Math.min(perMinute, left + ((clock.monotonicMs() - atMs) * perMinute) / minuteMs);
  }

  /** A minute fills every bucket; beyond the bound the one that was used longest ago goes as it is. */
  #forgetFull(): void {
    const nowMs = this.#options.clock.monotonicMs();
    for (const [source, { atMs }] of this.#buckets) {
      if (nowMs - atMs < minuteMs && this.#buckets.size < this.#sourcesMax) return;
      this.#buckets.delete(source);
    }
  }
}
