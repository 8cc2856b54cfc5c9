/** Requests of a credential that is used faster than it may be: refused, with the time to wait. */
import { errors } from "../core/codes.ts";
import { ProtocolError } from "../core/errors.ts";

export class TooFast extends ProtocolError {
  readonly retryAfterMs: number;

  constructor(retryAfterMs: number) {
    super(errors.tooManyRequests, "This credential is used faster than it may be");
    this.retryAfterMs = retryAfterMs;
  }
}

/** @throws TooFast where there is anything to wait for */
export function assertInTime(waitMs: number): void {
  if (waitMs > 0) throw new TooFast(waitMs);
}
