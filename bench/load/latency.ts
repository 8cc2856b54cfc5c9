/** Times in microseconds, counted by size: 32 classes for each doubling, so that a quantile is off by 3 % at most. */
import type { Latency } from "./commands.ts";

const stepBits = 5;
const steps = 1 << stepBits;
/** Times from here on (half an hour) are counted as this much. */
const microsMax = 2 ** 31 - 1;
const classes = (31 - stepBits + 1) * steps;

export class LatencyHistogram {
  count = 0;
  readonly #counts = new Float64Array(classes);
  #max = 0;
  #sum = 0;

  /** A time below 0 counts as 0. */
  record(micros: number): void {
    const value = micros <= 0 ? 0 : micros >= microsMax ? microsMax : Math.trunc(micros);
    const index = classOf(value);
    this.#counts[index] = (this.#counts[index] as number) + 1;
    this.count++;
    this.#sum += value;
    if (value > this.#max) this.#max = value;
  }

  /** Upper end of the class that holds the quantile, never above the largest; 0 where nothing was recorded. */
  quantile(quantile: number): number {
    const rank = Math.max(1, Math.ceil(this.count * quantile));
    let seen = 0;
    for (let index = 0; index < classes; index++) {
      seen += this.#counts[index] as number;
      if (seen >= rank) return Math.min(this.#max, upperEnd(index));
    }
    return this.#max;
  }

  summary(): Latency {
    return {
      mean: this.count === 0 ? 0 : this.#sum / this.count,
      p50: this.quantile(0.5),
      p99: this.quantile(0.99),
      p999: this.quantile(0.999),
      max: this.#max,
    };
  }
}

function classOf(value: number): number {
  if (value < steps) return value;
  const doublings = 31 - Math.clz32(value) - stepBits;
  return doublings * steps + (value >>> doublings);
}

/** Largest value of a class. */
function upperEnd(index: number): number {
  if (index < 2 * steps) return index;
  const doublings = Math.floor(index / steps) - 1;
  return (index - doublings * steps + 1) * 2 ** doublings - 1;
}
