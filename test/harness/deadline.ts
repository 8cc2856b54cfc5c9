/** Waiting on events, each with a deadline: a test that waits for what never comes fails and says for what. */

/** Far more than anything here takes on a busy machine; less than the runner's own limit. */
export const deadlineMs = 4000;

/** Settles as `promise` does, or rejects once the deadline has passed. `what` may describe what there was instead. */
export function within<T>(promise: Promise<T>, what: string | (() => string), ms: number = deadlineMs): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new Error(`Not within ${ms} ms: ${typeof what === "string" ? what : what()}`)),
    ms,
  );
  return Promise.race([promise, late.promise]).finally(() => clearTimeout(timer));
}

/** Conditions on something that changes by events; `check` is called after each. */
export class Conditions {
  readonly #open = new Set<() => void>();

  /** Something happened. */
  check(): void {
    for (const look of [...this.#open]) look();
  }

  /** The first value other than undefined that `look` gives, now or after an event. */
  until<T>(look: () => T | undefined, what: string | (() => string), ms: number = deadlineMs): Promise<T> {
    const now = look();
    if (now !== undefined) return Promise.resolve(now);
    const { promise, resolve } = Promise.withResolvers<T>();
    const again = () => {
      const value = look();
      if (value === undefined) return;
      this.#open.delete(again);
      resolve(value);
    };
    this.#open.add(again);
    return within(promise, what, ms).finally(() => this.#open.delete(again));
  }
}
