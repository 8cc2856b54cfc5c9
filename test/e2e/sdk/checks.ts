/** Waiting and comparing, in any runtime. */
import type { Message } from "../../../src/client/client.ts";

/** Far more than any step takes; less than the runner allows a test. */
export const deadlineMs = 12_000;

/** What is published: numbered by tag, so that what is missing, doubled or out of order shows. */
export interface Numbered {
  readonly n: number;
}

export function numbers(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

export function numberOf(message: Message): number {
  return (message.payload as Numbered).n;
}

/** Settles as `promise` does, or rejects once the deadline has passed. */
export async function within<T>(promise: Promise<T>, what: string | (() => string)): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new Error(`Not within ${deadlineMs} ms: ${typeof what === "string" ? what : what()}`)),
    deadlineMs,
  );
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

export function check(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(`Does not hold: ${what}`);
}

/** Compares as JSON. */
export function equal(actual: unknown, expected: unknown, what = "the value"): void {
  const [is, should] = [actual, expected].map((value) => JSON.stringify(value) ?? String(value));
  if (is !== should) throw new Error(`${what} is ${is}, expected ${should}`);
}

/** What a promise was rejected with. */
export async function failure(promise: Promise<unknown>): Promise<{ kind: unknown; code: unknown; retry: unknown }> {
  const settled = await within(
    promise.then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    ),
    "a rejection",
  );
  if (!("error" in settled)) throw new Error(`Was not rejected: ${JSON.stringify(settled.value)}`);
  const { kind, code, retry } = settled.error as { kind: unknown; code: unknown; retry: unknown };
  return { kind, code, retry };
}
