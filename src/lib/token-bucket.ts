/** Token buckets whose time is given to them, so that spending reads no clock. They may be overdrawn: then they owe. */

/** Infinity: without bound. */
export interface Allowance {
  readonly perSecond: number;
  /** The most that there ever is to spend, and the most that is ever owed. */
  readonly burst: number;
}

/** What may be spent when `ms` have passed since there was `level`. */
export function refilled(level: number, { perSecond, burst }: Allowance, ms: number): number {
  if (perSecond === Number.POSITIVE_INFINITY) return perSecond;
  return Math.min(burst, Math.max(-burst, level) + (Math.max(0, ms) * perSecond) / 1000);
}

/** Milliseconds until there is `wanted`; 0: there is. */
export function waitMs(level: number, { perSecond }: Allowance, wanted: number): number {
  return level >= wanted ? 0 : ((wanted - level) * 1000) / perSecond;
}

export class TokenBucket {
  /** What may be spent now; below zero what is owed. */
  level: number;
  readonly #allowance: Allowance;
  #atMs: number;

  /** Full. */
  constructor(allowance: Allowance, nowMs: number) {
    this.#allowance = allowance;
    this.#atMs = nowMs;
    this.level = allowance.burst;
  }

  /** Adds what has come in since the last time. `nowMs`: monotonic, on the clock that it was made on. */
  refill(nowMs: number): void {
    this.level = refilled(this.level, this.#allowance, nowMs - this.#atMs);
    this.#atMs = Math.max(this.#atMs, nowMs);
  }

  /** Milliseconds after the last refill until it holds `level`; 0: it does. */
  waitMs(level: number): number {
    return waitMs(this.level, this.#allowance, level);
  }
}
