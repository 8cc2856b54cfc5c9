/** The one exception of the SDK, and what a code of the server says about trying again. */
import { errors } from "../core/codes.ts";

/**
 * Why something did not happen:
 * - `refused`: the server answered with an error (`code` 100–199)
 * - `unsubscribed`: the server ended the subscription (`code` 2000–2999)
 * - `disconnected`: the connection ended before an answer came (`code` of the disconnect, or of the WebSocket close)
 * - `closed`: the client is closed; by `close()` (`code` null), or for good by the server (`code` 3500–3999, or 100–199)
 * - `queue-full`: too much is waiting to be acknowledged
 * - `timeout`: no answer within the time allowed
 * - `invalid`: the call itself is wrong; nothing was sent
 */
export type Failure = "refused" | "unsubscribed" | "disconnected" | "closed" | "queue-full" | "timeout" | "invalid";

export class TagcastError extends Error {
  readonly kind: Failure;
  /** A code of the protocol (or a WebSocket close code), null where none applies. */
  readonly code: number | null;
  /** Whether the same call can succeed later. */
  readonly retry: boolean;

  constructor(kind: Failure, message: string, options: { code?: number; retry?: boolean; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "TagcastError";
    this.kind = kind;
    this.code = options.code ?? null;
    this.retry = options.retry ?? false;
  }
}

const retryable: ReadonlySet<number> = new Set(
  Object.values(errors)
    .filter((error) => error.retry)
    .map((error) => error.code),
);

/** Whether repeating the request can help; a code that this version does not know cannot. */
export function isRetryable(code: number): boolean {
  return retryable.has(code);
}

/** An op 17 as an exception. */
export function refused(code: number, text: string): TagcastError {
  return new TagcastError("refused", text, { code, retry: isRetryable(code) });
}

/** Whatever was thrown, as a `TagcastError`. */
export function asError(thrown: unknown): TagcastError {
  if (thrown instanceof TagcastError) return thrown;
  return new TagcastError("invalid", thrown instanceof Error ? thrown.message : String(thrown), { cause: thrown });
}
