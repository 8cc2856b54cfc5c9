/** Finds out that a connection is dead: pings into silence, and gives up when nothing comes back. */
import type { Timer, Timers } from "./timers.ts";

/** Beyond two intervals, for an answer that is on its way. */
const graceMs = 5_000;

export interface HeartbeatOptions {
  readonly timers: Timers;
  readonly intervalMs: number;
  readonly ping: () => void;
  readonly dead: () => void;
}

/** One timer, however much arrives. */
export class Heartbeat {
  readonly #options: HeartbeatOptions;
  #heardMs: number;
  #pinged = false;
  #timer: Timer;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
    this.#heardMs = options.timers.monotonicMs();
    this.#timer = options.timers.after(options.intervalMs, () => this.#check());
  }

  /** Something arrived. */
  heard(): void {
    this.#heardMs = this.#options.timers.monotonicMs();
    this.#pinged = false;
  }

  stop(): void {
    this.#timer.cancel();
  }

  #check(): void {
    const { timers, intervalMs, ping, dead } = this.#options;
    const silenceMs = timers.monotonicMs() - this.#heardMs;
    const deadMs = 2 * intervalMs + graceMs;
    if (silenceMs >= deadMs) return dead();
    if (silenceMs >= intervalMs) {
      this.#pinged = true;
      ping();
    }
    const nextMs = (this.#pinged ? deadMs : intervalMs) - silenceMs;
    this.#timer = timers.after(Math.max(1, nextMs), () => this.#check());
  }
}
