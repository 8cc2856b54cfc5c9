/** Requests of a credential that is used faster than it may be: refused, with the time to wait. */
import { errors } from "../core/codes.ts";
import { ProtocolError } from "../core/errors.ts";
import type { Identity } from "../core/identity.ts";
import type { Kind } from "../session/budget.ts";
import type { Rates } from "../session/rates.ts";

export class TooFast extends ProtocolError {
  readonly retryAfterMs: number;
  readonly identity: Identity;

  constructor(retryAfterMs: number, identity: Identity) {
    super(errors.tooManyRequests, "This credential is used faster than it may be");
    this.retryAfterMs = retryAfterMs;
    this.identity = identity;
  }
}

/** @throws TooFast where there is not something of each kind to spend */
export function assertInTime(rates: Rates, identity: Identity, ...needed: readonly Kind[]): void {
  const waitMs = rates.wait(identity, ...needed);
  if (waitMs > 0) throw new TooFast(waitMs, identity);
}

/** Says in the log where such requests come from, and whose they are. */
export function logTooFast(rates: Rates, error: ProtocolError, from: string): void {
  if (!(error instanceof TooFast)) return;
  const { app, subject, tokenId } = error.identity;
  rates.log.warn("request refused: its credential is used too fast", from, { app, subject, tokenId });
}
