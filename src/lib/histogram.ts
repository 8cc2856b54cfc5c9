/** Counts values by size: a few comparisons a value, nothing allocated. */

export class Histogram {
  /** Upper bounds of the classes, included, growing; one more class holds what is larger. */
  readonly bounds: readonly number[];
  /** Values in each class. */
  readonly counts: number[];
  sum = 0;
  count = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Array(bounds.length + 1).fill(0);
  }

  /** Counts `value`, as often as it occurred. */
  observe(value: number, times = 1): void {
    const { bounds } = this;
    let i = 0;
    while (i < bounds.length && value > (bounds[i] as number)) i++;
    this.counts[i] = (this.counts[i] as number) + times;
    this.sum += value * times;
    this.count += times;
  }
}
