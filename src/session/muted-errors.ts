/** Errors of messages with ref 0: told once per code and second, the others as a count at the end of that second. */
import type { ErrorCode } from "../core/codes.ts";
import type { Frames } from "../wire/frames.ts";

export class MutedErrors {
  readonly #counts = new Map<ErrorCode, number>();

  /** Whether this is the first of its code in this second; the others are counted. */
  isFirst(code: ErrorCode): boolean {
    const count = this.#counts.get(code);
    this.#counts.set(code, count === undefined ? 0 : count + 1);
    return count === undefined;
  }

  /** The second is over: how many of each code were held back. */
  tell(frames: Frames): void {
    for (const [code, count] of this.#counts) if (count > 0) frames.error(0, code.code, code.text, count);
  }
}
