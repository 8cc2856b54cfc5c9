/**
 * Every code that crosses the wire, once. The range is the advice: what a client does next follows from the number
 * alone, so firmware flashed today can act on a code that it has never seen.
 * `docs/codes.md` is generated from this table.
 */

/** One row: `name` is stable and used in logs and metrics, `text` is what a person reads. */
export interface Code {
  readonly code: number;
  readonly name: string;
  readonly text: string;
  /** Whether the same request, or the same connection, can succeed later without a change by the user. */
  readonly retry: boolean;
}

/** Op 17, 100–199. `retry` says whether repeating the same request can help. */
export const errors = {
  internal: { code: 100, name: "internal", text: "Internal error", retry: true },
  unauthenticated: { code: 101, name: "unauthenticated", text: "Connect with a token first", retry: false },
  malformed: { code: 102, name: "malformed", text: "Not a well-formed message", retry: false },
  denied: { code: 103, name: "denied", text: "The token does not grant this", retry: false },
  unknownOp: { code: 104, name: "unknown-op", text: "Unknown operation", retry: false },
  alreadySubscribed: {
    code: 105,
    name: "already-subscribed",
    text: "Already subscribed to this pattern",
    retry: false,
  },
  limitExceeded: { code: 106, name: "limit-exceeded", text: "A limit of this connection is reached", retry: false },
  badRequest: { code: 107, name: "bad-request", text: "A field is missing or out of range", retry: false },
  invalidTag: { code: 108, name: "invalid-tag", text: "Not a valid tag", retry: false },
  invalidPattern: { code: 109, name: "invalid-pattern", text: "Not a valid pattern", retry: false },
  payloadTooLarge: { code: 110, name: "payload-too-large", text: "The payload is larger than allowed", retry: false },
  tooManyRequests: { code: 111, name: "too-many-requests", text: "Too many requests", retry: true },
  notSubscribed: { code: 112, name: "not-subscribed", text: "Not subscribed to this pattern", retry: false },
  noHistory: { code: 113, name: "no-history", text: "No rule gives this tag a log", retry: false },
  unavailable: { code: 115, name: "unavailable", text: "The broker is not available", retry: true },
  outcomeUnknown: {
    code: 116,
    name: "outcome-unknown",
    text: "The broker did not say whether it has the message",
    retry: true,
  },
  invalidToken: { code: 117, name: "invalid-token", text: "The token is not valid", retry: false },
  expiredToken: { code: 118, name: "expired-token", text: "The token has expired", retry: false },
  otherSubject: { code: 119, name: "other-subject", text: "The new token belongs to another subject", retry: false },
  noPresence: { code: 120, name: "no-presence", text: "No rule gives this tag presence", retry: false },
  tooDeep: { code: 121, name: "too-deep", text: "The payload is nested too deeply", retry: false },
  alreadyConnected: { code: 122, name: "already-connected", text: "Connect was already answered", retry: false },
  slowed: {
    code: 123,
    name: "slowed",
    text: "You send faster than allowed and are read from more slowly",
    retry: true,
  },
} as const satisfies Record<string, Code>;

/** The `code` of a gap (op 20), 200–299: why messages were not delivered. */
export const gaps = {
  slow: { code: 200, name: "slow", text: "Dropped because this connection read too slowly", retry: false },
  conflated: {
    code: 201,
    name: "conflated",
    text: "Replaced by a newer message because this connection read too slowly",
    retry: false,
  },
  trimmed: { code: 202, name: "trimmed", text: "No longer in the log", retry: false },
  epochChanged: { code: 203, name: "epoch-changed", text: "The log was lost or replaced", retry: false },
  disconnected: { code: 204, name: "disconnected", text: "This instance was cut off from the others", retry: false },
  overloaded: {
    code: 205,
    name: "overloaded",
    text: "Dropped because more was published than can be sent",
    retry: false,
  },
} as const satisfies Record<string, Code>;

/** Op 21: 2000–2499 do not subscribe again, 2500–2999 subscribe again. */
export const unsubscribes = {
  revoked: { code: 2000, name: "revoked", text: "The token no longer grants this subscription", retry: false },
  stateLost: { code: 2500, name: "state-lost", text: "The state of this subscription was lost", retry: true },
  unavailable: { code: 2501, name: "unavailable", text: "The broker is not available", retry: true },
} as const satisfies Record<string, Code>;

/** Op 22, and the WebSocket close code: 3000–3499 reconnect with back-off, 3500–3999 do not. 4000–4999 belong to applications. */
export const disconnects = {
  shutdown: { code: 3000, name: "shutdown", text: "The server is shutting down", retry: true },
  slow: { code: 3001, name: "slow", text: "This connection read too slowly", retry: true },
  mute: { code: 3002, name: "mute", text: "Nothing was heard from this connection", retry: true },
  expired: { code: 3003, name: "expired", text: "The token has expired: connect with a new one", retry: true },
  internal: { code: 3004, name: "internal", text: "Internal error", retry: true },
  overloaded: { code: 3005, name: "overloaded", text: "The server has no room for this connection", retry: true },
  authenticationDeadline: {
    code: 3006,
    name: "authentication-deadline",
    text: "No token arrived in time",
    retry: true,
  },
  unavailable: { code: 3007, name: "unavailable", text: "The token could not be checked now", retry: true },
  reconnect: { code: 3008, name: "reconnect", text: "An administrator asks to reconnect", retry: true },
  flooding: {
    code: 3009,
    name: "flooding",
    text: "This connection sent faster than allowed for too long",
    retry: true,
  },
  tooManyConnects: {
    code: 3010,
    name: "too-many-connects",
    text: "Connections of this token are opened too fast",
    retry: true,
  },
  unauthenticated: { code: 3500, name: "unauthenticated", text: "The token is not valid", retry: false },
  malformed: { code: 3501, name: "malformed", text: "Too many malformed messages", retry: false },
  revoked: { code: 3502, name: "revoked", text: "The token was revoked", retry: false },
  connectionLimit: { code: 3503, name: "connection-limit", text: "The token has too many connections", retry: false },
  removed: { code: 3504, name: "removed", text: "An administrator ended this connection", retry: false },
  wrongFrameType: {
    code: 3505,
    name: "wrong-frame-type",
    text: "Text frames belong to tagcast.v1.json, binary frames to tagcast.v1.msgpack",
    retry: false,
  },
  tooManyTags: {
    code: 3506,
    name: "too-many-tags",
    text: "More tags with a log than an event stream can continue",
    retry: false,
  },
} as const satisfies Record<string, Code>;

export type ErrorCode = (typeof errors)[keyof typeof errors];
export type GapCode = (typeof gaps)[keyof typeof gaps];
export type UnsubscribeCode = (typeof unsubscribes)[keyof typeof unsubscribes];
export type DisconnectCode = (typeof disconnects)[keyof typeof disconnects];
