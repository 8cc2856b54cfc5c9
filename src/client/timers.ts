/** Time for the SDK, from what browsers, Bun and Node have in common. */
import type { Clock } from "../lib/clock.ts";

/** What the SDK needs of a clock; tests put their own here. */
export type Timers = Pick<Clock, "wallMs" | "monotonicMs" | "after">;

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
