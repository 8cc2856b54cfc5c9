/** Medians, spreads, and the interval in which the difference of two things lies that were measured in pairs. */

/** NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const upper = sorted[Math.floor(middle)] ?? Number.NaN;
  return Number.isInteger(middle) ? ((sorted[middle - 1] ?? Number.NaN) + upper) / 2 : upper;
}

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly count: number;
}

/** Null of nothing. */
export function spreadOf(values: readonly number[]): Spread | null {
  if (values.length === 0) return null;
  return { median: median(values), min: Math.min(...values), max: Math.max(...values), count: values.length };
}

export interface Interval {
  /** Hodges–Lehmann estimate: the median of the means of all pairs of differences. */
  readonly estimate: number;
  readonly low: number;
  readonly high: number;
  /** How often an interval made this way holds the true value: what was asked for, or as much as so few pairs allow. */
  readonly confidence: number;
}

/**
 * Interval of the typical difference, by Wilcoxon's signed ranks: it supposes nothing about how the noise is distributed
 * but that it is as likely to help one side as the other. `null` of nothing.
 */
export function intervalOf(differences: readonly number[], confidence: number): Interval | null {
  const means = pairMeans(differences);
  const first = means[0];
  if (first === undefined) return null;
  const tails = signedRankTails(differences.length);
  let cut = 0;
  while (1 - 2 * (tails[cut + 1] ?? 1) >= confidence) cut++;
  return {
    estimate: median(means),
    low: means[cut] ?? first,
    high: means[means.length - 1 - cut] ?? first,
    confidence: 1 - 2 * (tails[cut] ?? 0.5),
  };
}

/** Means of all pairs, each value with itself too; sorted. */
function pairMeans(values: readonly number[]): readonly number[] {
  const means: number[] = [];
  for (let i = 0; i < values.length; i++) {
    for (let j = i; j < values.length; j++) means.push(((values[i] ?? 0) + (values[j] ?? 0)) / 2);
  }
  return means.sort((a, b) => a - b);
}

/** By k: how likely the ranks 1 … n with positive sign sum to k or less if signs are tosses of a coin. */
function signedRankTails(n: number): readonly number[] {
  let chances = [1];
  for (let rank = 1; rank <= n; rank++) {
    const next: number[] = new Array(chances.length + rank).fill(0);
    for (const [sum, chance] of chances.entries()) {
      next[sum] = (next[sum] ?? 0) + chance / 2;
      next[sum + rank] = (next[sum + rank] ?? 0) + chance / 2;
    }
    chances = next;
  }
  let tail = 0;
  return chances.map((chance) => (tail += chance));
}
