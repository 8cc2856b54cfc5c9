/**
 * Interest ends a second or two after it is given up: what was announced by then still arrives, and whoever comes and goes
 * does not keep Redis busy.
 */
import type { Clock, Timer } from "../../lib/clock.ts";

const delayMs = 1000;

export class Ending {
  readonly #clock: Clock;
  readonly #ended: (app: string, pattern: string) => void;
  /** By application and pattern: those given up since the timer last rang, and those before. */
  #young = new Map<string, readonly [app: string, pattern: string]>();
  #old = new Map<string, readonly [app: string, pattern: string]>();
  #timer: Timer | null = null;

  constructor(clock: Clock, ended: (app: string, pattern: string) => void) {
    this.#clock = clock;
    this.#ended = ended;
  }

  end(app: string, pattern: string): void {
    this.#young.set(`${app}\0${pattern}`, [app, pattern]);
    this.#timer ??= this.#clock.after(delayMs, () => this.#ring());
  }

  /** There is interest again. */
  keep(app: string, pattern: string): void {
    if (this.#timer === null) return;
    this.#young.delete(`${app}\0${pattern}`);
    this.#old.delete(`${app}\0${pattern}`);
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #ring(): void {
    const due = this.#old;
    this.#old = this.#young;
    this.#young = new Map();
    this.#timer = this.#old.size === 0 ? null : this.#clock.after(delayMs, () => this.#ring());
    for (const [app, pattern] of due.values()) this.#ended(app, pattern);
  }
}
