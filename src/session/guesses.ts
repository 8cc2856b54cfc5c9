/**
 * Slows down who guesses: each source of credentials that are not valid has a bucket of failures, and once it is empty
 * nothing that the source presents is looked at until there is one again. What succeeds gives nothing back.
 */
import type { Clock } from "../lib/clock.ts";
import { Oldest } from "../lib/oldest.ts";

const minuteMs = 60_000;
/** To look at all costs what was deleted since the table was last made anew. */
const forgetEveryMs = 1000;

export interface GuessesOptions {
  readonly clock: Clock;
  /** Failures of one source within a minute, all at once or spread; 0: no bound. */
  readonly perMinute: number;
  /** What the failures of an address count for, or null: it may fail as often as it likes. */
  readonly sourceOf: (address: string) => string | null;
  /** Sources remembered at one time; those that failed longest ago go first. */
  readonly sourcesMax: number;
}

export class Guesses {
  readonly #options: GuessesOptions;
  /** When each source is free of failures again, by the monotonic clock: each takes its share of a minute. Oldest use first. */
  readonly #freeAtMs = new Map<string, number>();
  readonly #oldest = new Oldest(() => this.#freeAtMs.keys());
  #lookedAtMs = -Infinity;

  constructor(options: GuessesOptions) {
    this.#options = options;
  }

  /** Sources with failures of the last minute. */
  get size(): number {
    return this.#freeAtMs.size;
  }

  /** Milliseconds until a credential from this address is looked at; 0: now. */
  waitMs(address: string): number {
    const source = this.#sourceOf(address);
    return source === null ? 0 : this.#waitOf(source);
  }

  /** A credential from this address was not valid. True where nothing more of it is looked at from now on. */
  failed(address: string): boolean {
    const source = this.#sourceOf(address);
    if (source === null) return false;
    const { clock, perMinute } = this.#options;
    const nowMs = clock.monotonicMs();
    const wasFree = this.#waitOf(source) === 0;
    const freeAtMs = Math.max(this.#freeAtMs.get(source) ?? 0, nowMs) + minuteMs / perMinute;
    this.#freeAtMs.delete(source);
    this.#forget(nowMs);
    this.#freeAtMs.set(source, Math.min(freeAtMs, nowMs + minuteMs));
    return wasFree && this.#waitOf(source) > 0;
  }

  #sourceOf(address: string): string | null {
    const { perMinute, sourceOf } = this.#options;
    return perMinute === 0 ? null : sourceOf(address);
  }

  /** Until there is room for one more failure within a minute. */
  #waitOf(source: string): number {
    const { clock, perMinute } = this.#options;
    const freeAtMs = this.#freeAtMs.get(source) ?? 0;
    return Math.max(0, Math.ceil(freeAtMs - clock.monotonicMs() - minuteMs + minuteMs / perMinute));
  }

  /** A minute frees every source; beyond the bound the one that was used longest ago goes as it is. */
  #forget(nowMs: number): void {
    while (this.#freeAtMs.size >= this.#options.sourcesMax) {
      const oldest = this.#oldest.take();
      if (oldest === undefined) break;
      this.#freeAtMs.delete(oldest);
    }
    if (nowMs - this.#lookedAtMs < forgetEveryMs) return;
    this.#lookedAtMs = nowMs;
    for (const [source, freeAtMs] of this.#freeAtMs) {
      if (freeAtMs > nowMs) return;
      this.#freeAtMs.delete(source);
    }
  }
}
