/** Time for the SDK, from what browsers, Bun and Node have in common; the types stand alone, as pages have none of Bun. */

export interface Timer {
  cancel(): void;
}

/** What the SDK needs of a clock; tests put their own here. */
export interface Timers {
  /** Milliseconds since 1970; may jump. */
  wallMs(): number;
  /** Milliseconds of a clock that never jumps; only differences mean anything. */
  monotonicMs(): number;
  /** Calls `run` once after `delayMs`. */
  after(delayMs: number, run: () => void): Timer;
}

/** `setTimeout` runs at once beyond 2^31−1 milliseconds. */
const delayMaxMs = 2 ** 31 - 1;

export const standardTimers: Timers = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, Math.min(delayMs, delayMaxMs));
    return { cancel: () => clearTimeout(timer) };
  },
};

/** A promise of the time. */
export function pause(timers: Timers, delayMs: number): Promise<void> {
  return new Promise((resolve) => void timers.after(delayMs, resolve));
}
