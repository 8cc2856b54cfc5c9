/** Random numbers that repeat from a seed: a failing run names its seed, and the seed is the run. */

export interface Random {
  readonly seed: number;
  /** Uniform over 0 ≤ x < 1. */
  next(): number;
  /** Uniform over 0 … n − 1; n ≥ 1. */
  int(n: number): number;
  /** Uniform over low … high, both included. */
  between(low: number, high: number): number;
  /** True with probability `p`. */
  chance(p: number): boolean;
  /** One of `items`, which is not empty. */
  pick<T>(items: readonly T[]): T;
  /** A copy of `items` in random order. */
  shuffle<T>(items: readonly T[]): T[];
  /** `length` random bytes. */
  bytes(length: number): Uint8Array;
}

/** A generator (mulberry32) whose whole state is the seed, a uint32. */
export function createRandom(seed: number = freshSeed()): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
  const int = (n: number) => Math.floor(next() * n);
  return {
    seed: seed >>> 0,
    next,
    int,
    between: (low, high) => low + int(high - low + 1),
    chance: (p) => next() < p,
    pick(items) {
      if (items.length === 0) throw new Error("Nothing to pick from");
      return items[int(items.length)]!;
    },
    shuffle(items) {
      const mixed = [...items];
      for (let i = mixed.length - 1; i > 0; i--) {
        const j = int(i + 1);
        [mixed[i], mixed[j]] = [mixed[j]!, mixed[i]!];
      }
      return mixed;
    },
    bytes: (length) => Uint8Array.from({ length }, () => int(256)),
  };
}

/** A seed for a run that may differ each time; print it. `SEED=<n>` in the environment repeats a run. */
export function freshSeed(): number {
  const given = process.env["SEED"];
  return given === undefined ? Math.floor(Math.random() * 0x1_0000_0000) : Number(given) >>> 0;
}
