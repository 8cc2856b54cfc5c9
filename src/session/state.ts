/** The states of a session and the only ways between them. */
import { assert } from "../lib/assert.ts";

/**
 * `connecting`: no credential yet · `authenticating`: one is being checked · `active` · `closing`: nothing the client
 * sends counts any more.
 */
export type SessionState = "connecting" | "authenticating" | "active" | "closing";

export const transitions: Readonly<Record<SessionState, readonly SessionState[]>> = {
  connecting: ["authenticating", "active", "closing"],
  authenticating: ["active", "closing"],
  active: ["closing"],
  closing: [],
};

/** The next state, checked against the table. */
export function transition(from: SessionState, to: SessionState): SessionState {
  assert(transitions[from].includes(to), `a session goes from ${from} to ${to}`);
  return to;
}
