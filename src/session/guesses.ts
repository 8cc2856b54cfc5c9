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

/** Checks of credentials from one source that are not finished; where they may come to all the failures that are left, others wait. */
interface UnderWay {
  count: number;
  waiting: (() => void)[];
}

export class Guesses {
  readonly #options: GuessesOptions;
  readonly #underWay = new Map<string, UnderWay>();
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

  /** Null: a credential from this address may be looked at now. Else ask again, `waitMs` first, once it resolves. */
  turn(address: string): Promise<void> | null {
    const source = this.#sourceOf(address);
    const underWay = source === null ? undefined : this.#underWay.get(source);
    if (source === null || underWay === undefined || this.#waitOf(source, underWay.count) === 0) return null;
    return new Promise((resolve) => underWay.waiting.push(resolve));
  }

  /** A check takes a while; `settled` is to follow. */
  began(address: string): void {
    const source = this.#sourceOf(address);
    if (source === null) return;
    const underWay = this.#underWay.get(source);
    if (underWay === undefined) this.#underWay.set(source, { count: 1, waiting: [] });
    else underWay.count++;
  }

  /** It is finished; where it failed, that was told before. */
  settled(address: string): void {
    const source = this.#sourceOf(address);
    const underWay = source === null ? undefined : this.#underWay.get(source);
    if (source === null || underWay === undefined) return;
    underWay.count--;
    if (underWay.count === 0) this.#underWay.delete(source);
    // Who is woken may have nothing to finish that would wake the next.
    const all = underWay.count === 0 || this.#waitOf(source) > 0;
    for (const wake of underWay.waiting.splice(0, all ? Infinity : 1)) wake();
  }

  #sourceOf(address: string): string | null {
    const { perMinute, sourceOf } = this.#options;
    return perMinute === 0 ? null : sourceOf(address);
  }

  /** Until there is room for one more failure within a minute, were there so many `more`. */
  #waitOf(source: string, more = 0): number {
    const { clock, perMinute } = this.#options;
    const nowMs = clock.monotonicMs();
    const freeAtMs = Math.max(this.#freeAtMs.get(source) ?? 0, nowMs) + (more * minuteMs) / perMinute;
    return Math.max(0, Math.ceil(freeAtMs - nowMs - minuteMs + minuteMs / perMinute));
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
