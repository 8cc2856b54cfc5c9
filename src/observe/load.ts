/** How much an instance has to do: rates since they were last asked for, and its share of a processor. */
import type { Clock } from "../lib/clock.ts";

export interface Load {
  readonly messagesPerSecond: number;
  readonly deliveriesPerSecond: number;
  /** Of one processor: 1 is all of it. */
  readonly cpu: number;
}

/** Counted since the start. */
interface Totals {
  readonly messages: number;
  readonly deliveries: number;
}

/** Rates over less than this say little: the last ones hold for so long. */
const windowMinMs = 900;

export class LoadMeter {
  readonly #clock: Clock;
  readonly #totals: () => Totals;
  #since: Totals & { readonly atMs: number; readonly cpuMs: number };
  #load: Load = { messagesPerSecond: 0, deliveriesPerSecond: 0, cpu: 0 };

  constructor(clock: Clock, totals: () => Totals) {
    this.#clock = clock;
    this.#totals = totals;
    this.#since = this.#now();
  }

  /** Of the time since it was last asked for, or of the time before where that was a moment ago. */
  read(): Load {
    const now = this.#now();
    const before = this.#since;
    const ms = now.atMs - before.atMs;
    if (ms < windowMinMs) return this.#load;
    this.#since = now;
    this.#load = {
      messagesPerSecond: ((now.messages - before.messages) * 1000) / ms,
      deliveriesPerSecond: ((now.deliveries - before.deliveries) * 1000) / ms,
      cpu: (now.cpuMs - before.cpuMs) / ms,
    };
    return this.#load;
  }

  #now() {
    const { user, system } = process.cpuUsage();
    return { ...this.#totals(), atMs: this.#clock.monotonicMs(), cpuMs: (user + system) / 1000 };
  }
}
