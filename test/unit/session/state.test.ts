import { describe, expect, test } from "bun:test";
import { type SessionState, transition, transitions } from "../../../src/session/state.ts";

const states = Object.keys(transitions) as SessionState[];
/** As docs/protocol.md draws them, written here a second time. */
const allowed = new Set([
  "connecting → authenticating",
  "connecting → active",
  "connecting → closing",
  "authenticating → active",
  "authenticating → closing",
  "active → closing",
]);

describe("transition()", () => {
  const pairs = states.flatMap((from) => states.map((to) => [from, to] as const));

  test("is asked for every pair of states", () => {
    expect(states).toEqual(["connecting", "authenticating", "active", "closing"]);
    expect(pairs).toHaveLength(16);
  });

  test.each(pairs)("from %s to %s", (from, to) => {
    if (allowed.has(`${from} → ${to}`)) expect(transition(from, to)).toBe(to);
    else expect(() => transition(from, to)).toThrow(`a session goes from ${from} to ${to}`);
  });
});
