/**
 * A request that the broker may answer later, counted until it is: a client is not read from while too many of its
 * requests are under way.
 */
import type { ErrorCode } from "../core/codes.ts";
import type { Identity } from "../core/identity.ts";
import type { Requester } from "../hub/subscriber.ts";
import type { ResultValue } from "../wire/messages.ts";
import type { Session } from "./session.ts";

/** Makes a request of the session by `run`, which is handed whom to answer. @throws what `run` throws */
export function ask(session: Session, run: (requester: PendingRequest) => void): void {
  session.pace.asked();
  try {
    run(new PendingRequest(session));
  } catch (error) {
    session.pace.settled();
    throw error;
  }
}

class PendingRequest implements Requester {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  get identity(): Identity {
    return this.#session.identity;
  }

  answered(ref: number, result: ResultValue): void {
    this.#session.answered(ref, result);
    this.#session.pace.settled();
  }

  refused(ref: number, code: ErrorCode, text?: string): void {
    this.#session.refused(ref, code, text);
    this.#session.pace.settled();
  }
}
