/** Where a message stands in the log of its tag. */

/**
 * `epoch`: random uint32, never 0, new whenever a log was lost. `offset`: 1 … 2^53−1, without holes within an epoch;
 * 0 stands before the first message.
 */
export interface Position {
  readonly epoch: number;
  readonly offset: number;
}

export const offsetMax = Number.MAX_SAFE_INTEGER;

export function isEpoch(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value > 0 && value <= 0xffff_ffff;
}

export function isOffset(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

/** A fresh epoch: uniform over 1 … 2^32−1. */
export function newEpoch(): number {
  const word = new Uint32Array(1);
  do crypto.getRandomValues(word);
  while (word[0] === 0);
  return word[0] as number;
}
