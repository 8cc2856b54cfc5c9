/** Lines about what strangers do: one a second for each source, with how often, so that whoever floods cannot flood the log. */
import type { LogFields, Logger } from "../core/logger.ts";
import type { Clock, Timer } from "../lib/clock.ts";

/** Beyond so many sources in a second the others are told of together. */
const sourcesMax = 50;
const secondMs = 1000;

interface Held {
  readonly message: string;
  readonly fields: LogFields;
  count: number;
}

export class MutedLog {
  readonly #log: Logger;
  readonly #clock: Clock;
  /** What was told in this second, and how often it came again since. */
  readonly #held = new Map<string, Held>();
  /** Of sources beyond the bound. */
  #others = 0;
  #timer: Timer | null = null;

  constructor(log: Logger, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  /** The first in a second is told at once, the others at its end as `count`. `from`: the source, one of the fields. */
  warn(message: string, from: string, fields: LogFields): void {
    const key = `${message}\n${from}`;
    const held = this.#held.get(key);
    if (held !== undefined) {
      held.count++;
      return;
    }
    this.#timer ??= this.#clock.every(secondMs, () => this.#tell());
    if (this.#held.size >= sourcesMax) {
      this.#others++;
      return;
    }
    this.#held.set(key, { message, fields: { from, ...fields }, count: 0 });
    this.#log.warn(message, { from, ...fields });
  }

  /** Tells what was held back. */
  close(): void {
    this.#tell();
  }

  #tell(): void {
    this.#timer?.cancel();
    this.#timer = null;
    for (const { message, fields, count } of this.#held.values()) {
      if (count > 0) this.#log.warn(message, { ...fields, count });
    }
    this.#held.clear();
    if (this.#others > 0) this.#log.warn("more of the same, from other sources", { count: this.#others });
    this.#others = 0;
  }
}
