/** Requests to the hub as a promise: how each of them ended, once all have. */
import type { ErrorCode } from "../../core/codes.ts";
import { ProtocolError } from "../../core/errors.ts";
import type { Identity } from "../../core/identity.ts";
import type { Publisher, Requester } from "../../hub/subscriber.ts";
import { assert } from "../../lib/assert.ts";
import type { ResultValue } from "../../wire/messages.ts";

export type Outcome = { readonly result: ResultValue } | { readonly error: ProtocolError };

/** The `ref` of a request is its index, from 0. */
export class Outcomes implements Publisher, Requester {
  readonly identity: Identity;
  readonly native = null;
  readonly #outcomes: Outcome[];
  readonly #settled = Promise.withResolvers<readonly Outcome[]>();
  #open: number;

  constructor(identity: Identity, requests: number) {
    this.identity = identity;
    this.#outcomes = new Array(requests);
    this.#open = requests;
  }

  /** Runs one request; what it throws at once is its outcome too. */
  request(index: number, run: (outcomes: this) => void): void {
    try {
      run(this);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#settle(index, { error });
    }
  }

  /** How each request ended, in order. */
  all(): Promise<readonly Outcome[]> {
    return this.#settled.promise;
  }

  /** The result of the one request. @throws ProtocolError where it was refused */
  async one(): Promise<ResultValue> {
    const [outcome] = await this.#settled.promise;
    assert(outcome !== undefined, "the outcome of no request is asked for");
    if ("error" in outcome) throw outcome.error;
    return outcome.result;
  }

  answered(index: number, result: ResultValue): void {
    this.#settle(index, { result });
  }

  appended(index: number, epoch: number, offset: number, repeated: boolean): void {
    this.#settle(index, { result: { position: [epoch, offset], repeated: repeated || undefined } });
  }

  refused(index: number, code: ErrorCode, text: string = code.text): void {
    this.#settle(index, { error: new ProtocolError(code, text) });
  }

  #settle(index: number, outcome: Outcome): void {
    this.#outcomes[index] = outcome;
    if (--this.#open === 0) this.#settled.resolve(this.#outcomes);
  }
}

/** One request of somebody, as a promise. @throws (rejects with) ProtocolError */
export function ask(identity: Identity, run: (requester: Outcomes) => void): Promise<ResultValue> {
  const outcomes = new Outcomes(identity, 1);
  outcomes.request(0, run);
  return outcomes.one();
}
