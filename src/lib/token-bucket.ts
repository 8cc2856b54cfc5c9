/** A token bucket whose time is given to it, so that spending reads no clock. It may be overdrawn: then it owes. */

export class TokenBucket {
  /** What may be spent now; below zero what is owed. */
  level: number;
  /** Neither is ever 0. */
  #perSecond: number;
  #burst: number;
  #atMs: number;

  /** Full. @param burst most that it ever holds */
  constructor(perSecond: number, burst: number, nowMs: number) {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#atMs = nowMs;
    this.level = burst;
  }

  /** Adds what has come in since the last time. `nowMs`: monotonic, on the clock that it was made on. */
  refill(nowMs: number): void {
    this.level = Math.min(this.#burst, this.level + (Math.max(0, nowMs - this.#atMs) * this.#perSecond) / 1000);
    this.#atMs = Math.max(this.#atMs, nowMs);
  }

  /** From now on it fills at another rate; it keeps what it holds, and no more than the new burst. */
  adjust(perSecond: number, burst: number): void {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.level = Math.min(this.level, burst);
  }

  /** Milliseconds after the last refill until it holds `level`; 0: it does. */
  waitMs(level: number): number {
    return Math.max(0, ((level - this.level) * 1000) / this.#perSecond);
  }
}
