/** The one way in which a credential is checked, whichever gateway it came to: counted, logged, and slowed for who guesses. */
import { AuthenticationError } from "../core/authenticator.ts";
import { errors } from "../core/codes.ts";
import type { Identity } from "../core/identity.ts";
import type { Logger } from "../core/logger.ts";
import type { Guesses } from "./guesses.ts";

/** Where a credential was presented. */
export type Entrance = "upgrade" | "op 1" | "op 7" | "HTTP API" | "event stream";

export interface Attempt {
  /** The client's address. */
  readonly from: string;
  readonly entrance: Entrance;
}

export class Credentials {
  readonly counts = { failures: 0, throttled: 0 };
  readonly #guesses: Guesses;
  readonly #log: Logger;

  constructor(guesses: Guesses, log: Logger) {
    this.#guesses = guesses;
    this.#log = log;
  }

  /** Addresses that failed lately. */
  get guessing(): number {
    return this.#guesses.size;
  }

  /**
   * What `authenticate` answers, a value where it does, unless too much from this address was not valid.
   * @throws AuthenticationError, or rejects with it; `tooManyRequests` with the time to wait
   */
  check(attempt: Attempt, authenticate: () => Identity | Promise<Identity>): Identity | Promise<Identity> {
    const retryAfterMs = this.#guesses.waitMs(attempt.from);
    if (retryAfterMs > 0) {
      this.counts.throttled++;
      throw new AuthenticationError(errors.tooManyRequests, undefined, { retryAfterMs });
    }
    const turn = this.#guesses.turn(attempt.from);
    if (turn !== null) return turn.then(() => this.check(attempt, authenticate));
    let answer: Identity | Promise<Identity>;
    try {
      answer = authenticate();
    } catch (error) {
      throw this.#failed(attempt, error);
    }
    if (!(answer instanceof Promise)) return answer;
    this.#guesses.began(attempt.from);
    return answer
      .catch((error: unknown) => {
        throw this.#failed(attempt, error);
      })
      .finally(() => this.#guesses.settled(attempt.from));
  }

  #failed({ from, entrance }: Attempt, reason: unknown): AuthenticationError {
    const error =
      reason instanceof AuthenticationError
        ? reason
        : new AuthenticationError(errors.unavailable, undefined, { cause: reason });
    const { code } = error;
    this.counts.failures++;
    this.#log.info("credential refused", { code: code.code, reason: code.name, from, entrance });
    // Only who has a token hears that it has expired: that is no guess, and neither is what could not be checked.
    if (code === errors.invalidToken && this.#guesses.failed(from))
      this.#log.warn("address throttled: too many credentials that are not valid", { from });
    return error;
  }
}
