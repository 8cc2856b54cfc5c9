/**
 * What one event-loop turn gathered leaves at its end, in this order: appends to the broker, native topics, sinks, the
 * answers of each connection.
 */
import type { Clock } from "../lib/clock.ts";

export interface Flushable {
  flush(): void;
}

export class Turn {
  /** Monotonic time at which the turn that is being ended had its first thing to do. */
  beganAtMs = 0;
  readonly #clock: Clock;
  readonly #steps: readonly (() => void)[];
  #answers: Flushable[] = [];
  #requested = false;
  #requestedAtMs = 0;

  readonly #onTrouble: (error: unknown) => void;

  /**
   * @param steps what is run at the end of a turn before the answers leave, in order
   * @param onTrouble told of what a step or an answer throws: the others still have their turn
   */
  constructor(clock: Clock, steps: readonly (() => void)[], onTrouble: (error: unknown) => void) {
    this.#clock = clock;
    this.#steps = steps;
    this.#onTrouble = onTrouble;
  }

  /** Something waits for the end of this turn. */
  readonly request = (): void => {
    if (this.#requested) return;
    this.#requested = true;
    this.#requestedAtMs = this.#clock.monotonicMs();
    this.#clock.endOfTurn(this.#run);
  };

  /** Lists the answers of a connection; listed once a turn by the caller. */
  flushLater(connection: Flushable): void {
    this.#answers.push(connection);
    this.request();
  }

  readonly #run = (): void => {
    this.#requested = false;
    this.beganAtMs = this.#requestedAtMs;
    for (let i = 0; i < this.#steps.length; i++) this.#attempt(this.#steps[i] as () => void);
    const answers = this.#answers;
    if (answers.length === 0) return;
    this.#answers = [];
    for (let i = 0; i < answers.length; i++) {
      try {
        answers[i]?.flush();
      } catch (error) {
        this.#onTrouble(error);
      }
    }
  };

  #attempt(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#onTrouble(error);
    }
  }
}
