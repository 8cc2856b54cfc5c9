/** Continues with a value now, or later if it is a promise: parts in this process cost no promise, remote ones work the same. */

/** Calls `done` with the value (synchronously where it is one), or `failed` with the reason. */
export function settle<T>(answer: T | Promise<T>, done: (value: T) => void, failed: (reason: unknown) => void): void {
  if (answer instanceof Promise) void answer.then(done, failed);
  else done(answer);
}
