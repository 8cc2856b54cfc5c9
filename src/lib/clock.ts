/** Time and timers as a part that tests replace. */

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Milliseconds since 1970; may jump. */
  wallMs(): number;
  /** Milliseconds of a clock that never jumps; only differences mean anything. */
  monotonicMs(): number;
  /** Calls `run` every `intervalMs`; does not keep the process alive. */
  every(intervalMs: number, run: () => void): Timer;
  /** Calls `run` once after `delayMs`; keeps the process alive. */
  after(delayMs: number, run: () => void): Timer;
  /** Calls `run` once at the end of this event-loop turn. */
  endOfTurn(run: () => void): void;
}

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  every(intervalMs, run) {
    const timer = setInterval(run, intervalMs);
    timer.unref();
    return { cancel: () => clearInterval(timer) };
  },
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
  endOfTurn: (run) => void setImmediate(run),
};
