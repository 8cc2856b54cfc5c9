/**
 * Node's TracingChannel can tell whether anybody listens, and Bun's cannot. Without that the Redis client describes every
 * command for nobody, each argument as text, which costs more than sending it.
 */
import { tracingChannel } from "node:diagnostics_channel";

interface Lanes {
  readonly start: { readonly hasSubscribers: boolean };
  readonly end: { readonly hasSubscribers: boolean };
  readonly asyncStart: { readonly hasSubscribers: boolean };
  readonly asyncEnd: { readonly hasSubscribers: boolean };
  readonly error: { readonly hasSubscribers: boolean };
}

/** Gives Bun's tracing channels what they lack, for the whole process; does nothing where they lack nothing. */
export function completeTracingChannels(): void {
  const prototype = Object.getPrototypeOf(tracingChannel("tagcast")) as object;
  if ("hasSubscribers" in prototype) return;
  Object.defineProperty(prototype, "hasSubscribers", {
    configurable: true,
    get(this: Lanes): boolean {
      return [this.start, this.end, this.asyncStart, this.asyncEnd, this.error].some((lane) => lane.hasSubscribers);
    },
  });
}
