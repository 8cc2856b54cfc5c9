/** For what cannot happen unless this program is wrong; never for input. */

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`Bug: ${message}`);
}

/** Ends a `switch` over a union: a new member makes it a type error. */
export function unreachable(value: never): never {
  throw new Error(`Bug: unexpected value ${String(value)}`);
}
