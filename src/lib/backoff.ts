/** Delays between attempts: exponential with full jitter, so that those who failed together do not come back together. */

export interface BackoffOptions {
  /** Bound of the first delay. */
  readonly minMs: number;
  /** Bound of every later delay. */
  readonly maxMs: number;
  /** Uniform in 0 … 1; for tests. */
  readonly random?: () => number;
}

export class Backoff {
  readonly #options: BackoffOptions;
  #attempts = 0;

  constructor(options: BackoffOptions) {
    this.#options = options;
  }

  /** Delays taken since the last `reset`. */
  get attempts(): number {
    return this.#attempts;
  }

  /** The next delay in milliseconds: uniform in 0 … min(maxMs, minMs × 2^attempts). */
  nextMs(): number {
    const { minMs, maxMs, random = Math.random } = this.#options;
    const bound = Math.min(maxMs, minMs * 2 ** this.#attempts);
    // Beyond 2^30 the bound has long been maxMs; counting on would only risk infinity.
    if (this.#attempts < 30) this.#attempts++;
    return Math.floor(random() * bound);
  }

  /** After a success: the next delay is short again. */
  reset(): void {
    this.#attempts = 0;
  }
}
