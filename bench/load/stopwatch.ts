/** Of the driver itself: processor time and traffic. */
import type { Turn } from "./turn.ts";

export class Stopwatch {
  readonly #turn: Turn;
  #cpu = process.cpuUsage();
  #bytesIn = 0;
  #bytesOut = 0;

  constructor(turn: Turn) {
    this.#turn = turn;
  }

  start(): void {
    this.#cpu = process.cpuUsage();
    this.#bytesIn = this.#turn.bytesIn;
    this.#bytesOut = this.#turn.bytesOut;
  }

  stop(): { driverSeconds: number; bytesIn: number; bytesOut: number } {
    const { user, system } = process.cpuUsage(this.#cpu);
    return {
      driverSeconds: (user + system) / 1e6,
      bytesIn: this.#turn.bytesIn - this.#bytesIn,
      bytesOut: this.#turn.bytesOut - this.#bytesOut,
    };
  }
}
