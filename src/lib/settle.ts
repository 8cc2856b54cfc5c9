/** Continues with a value now, or later if it is a promise: parts in this process cost no promise, remote ones work the same. */

/** Calls `done` with the value (synchronously where it is one), or `failed` with the reason. */
export type Settle = <T>(answer: T | Promise<T>, done: (value: T) => void, failed: (reason: unknown) => void) => void;

/**
 * @param onTrouble told of what `done` or `failed` throw later, when whoever asked is gone from the stack. What they throw
 * at once reaches whoever asked.
 */
export function settling(onTrouble: (error: unknown) => void): Settle {
  return (answer, done, failed) => {
    if (answer instanceof Promise) answer.then(done, failed).catch(onTrouble);
    else done(answer);
  };
}
