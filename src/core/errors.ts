/** The one exception that bad input causes. Thrown in `wire`, `core` and `hub`, caught once in `session` (and at the edge of each other gateway). */
import type { ErrorCode } from "./codes.ts";

/**
 * A request that cannot be honoured, with its code from `core/codes.ts`. `hostile` marks input that no honest client
 * produces (a nesting or length bomb): the connection is closed instead of answered.
 */
export class ProtocolError extends Error {
  readonly code: ErrorCode;
  readonly hostile: boolean;

  constructor(code: ErrorCode, message: string = code.text, options?: { cause?: unknown; hostile?: boolean }) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.name = "ProtocolError";
    this.code = code;
    this.hostile = options?.hostile ?? false;
  }
}
