/** Errors over HTTP: problem documents (RFC 9457) with the codes of the wire. */
import { AuthenticationError } from "../core/authenticator.ts";
import type { ErrorCode } from "../core/codes.ts";
import { errors } from "../core/codes.ts";
import type { ProtocolError } from "../core/errors.ts";
import { TooFast } from "./too-fast.ts";

export const problemType = "application/problem+json";

/** `code` is one of `core/codes.ts`; `detail` is what a person reads. */
export function problem(status: number, code: number, detail: string): Response {
  const body = { type: "about:blank", title: titles[status] ?? "Error", status, detail, code };
  const headers = new Headers({ "content-type": problemType, "x-content-type-options": "nosniff" });
  if (status === 401) headers.set("www-authenticate", "Bearer");
  const retryAfter = retryAfterSeconds[status];
  if (retryAfter !== undefined) headers.set("retry-after", String(retryAfter));
  return new Response(JSON.stringify(body), { status, headers });
}

/** With the status that goes with the code. */
export function problemOf(code: ErrorCode, detail: string = code.text): Response {
  return problem(statuses[code.code] ?? 400, code.code, detail);
}

/** As `problemOf`; where a credential was not looked at, or is used too fast, with the time to wait. */
export function problemFor(error: ProtocolError): Response {
  const { code, message, cause } = error;
  if (cause instanceof AuthenticationError) return refusalOf(cause);
  return waiting(problemOf(code, message), error instanceof TooFast ? error.retryAfterMs : 0);
}

/** The answer to who presented a credential that was not accepted. */
export function refusalOf({ code, text, retryAfterMs }: AuthenticationError): Response {
  return waiting(problemOf(code, text), retryAfterMs);
}

function waiting(refused: Response, retryAfterMs: number): Response {
  if (retryAfterMs > 0) refused.headers.set("retry-after", String(Math.ceil(retryAfterMs / 1000)));
  return refused;
}

/** Codes with a status other than 400. */
const statuses: Readonly<Record<number, number>> = {
  [errors.internal.code]: 500,
  [errors.unauthenticated.code]: 401,
  [errors.denied.code]: 403,
  [errors.payloadTooLarge.code]: 413,
  [errors.tooManyRequests.code]: 429,
  [errors.slowed.code]: 429,
  [errors.noHistory.code]: 404,
  [errors.noPresence.code]: 404,
  [errors.unavailable.code]: 503,
  // Not 503: who repeats that blindly would publish twice.
  [errors.outcomeUnknown.code]: 504,
  [errors.invalidToken.code]: 401,
  [errors.expiredToken.code]: 401,
};

/** When a client is to try again, where the same request can succeed later. */
const retryAfterSeconds: Readonly<Record<number, number>> = { 429: 1, 503: 5 };

const titles: Readonly<Record<number, string>> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  426: "Upgrade Required",
  429: "Too Many Requests",
  500: "Internal Server Error",
  501: "Not Implemented",
  503: "Service Unavailable",
  504: "Gateway Timeout",
};
