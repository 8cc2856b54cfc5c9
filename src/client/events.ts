/** Listeners by event name. What a listener throws is the application's own: it is thrown again outside the SDK. */

export class Emitter<Events extends { [Name in keyof Events]: unknown }> {
  readonly #listeners = new Map<keyof Events, Set<(event: never) => void>>();

  /** Registers a listener; the returned function removes it. */
  on<Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => void): () => void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners);
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }

  emit<Name extends keyof Events>(name: Name, event: Events[Name]): void {
    for (const listener of this.#listeners.get(name) ?? []) guarded(listener as (event: Events[Name]) => void, event);
  }
}

/** Calls application code; an exception surfaces as uncaught, and never in the middle of the SDK's own work. */
export function guarded<T>(run: (value: T) => void, value: T): void {
  try {
    run(value);
  } catch (thrown) {
    queueMicrotask(() => {
      throw thrown;
    });
  }
}
