/**
 * How late the event loop is: a timer of our own, since what the runtime offers (`monitorEventLoopDelay`) is one for the
 * whole process, stopped for all by whoever stops it first.
 */
import type { Clock, Timer } from "../lib/clock.ts";

/** Seldom enough to cost an idle process next to nothing. */
const intervalMs = 50;
/** Samples kept when nobody asks: some eight minutes. */
const samplesMax = 10_000;

export class LoopDelay {
  readonly #timer: Timer;
  #samples: number[] = [];
  #next = 0;

  constructor(clock: Clock) {
    let dueMs = clock.monotonicMs() + intervalMs;
    this.#timer = clock.every(intervalMs, () => {
      const nowMs = clock.monotonicMs();
      this.#samples[this.#next++ % samplesMax] = Math.max(0, nowMs - dueMs);
      dueMs = nowMs + intervalMs;
    });
  }

  /** Delays in milliseconds, by quantile (1: the longest), since the last call; 0 where there was none. */
  take(quantiles: readonly number[]): readonly number[] {
    const sorted = this.#samples.toSorted((a, b) => a - b);
    this.#samples = [];
    this.#next = 0;
    return quantiles.map((quantile) => sorted[Math.max(0, Math.ceil(quantile * sorted.length) - 1)] ?? 0);
  }

  close(): void {
    this.#timer.cancel();
  }
}
