/** The Redis client describes commands only to those who listen. */
import { tracingChannel } from "node:diagnostics_channel";
import { expect, test } from "bun:test";
import { completeTracingChannels } from "../../../../src/broker/redis/tracing.ts";

test("a tracing channel tells whether anybody listens", () => {
  completeTracingChannels();
  completeTracingChannels();
  const channel = tracingChannel("tagcast:test") as ReturnType<typeof tracingChannel> & { hasSubscribers?: boolean };
  expect(channel.hasSubscribers).toBe(false);
  const handlers = { start() {}, end() {}, asyncStart() {}, asyncEnd() {}, error() {} };
  channel.subscribe(handlers);
  expect(channel.hasSubscribers).toBe(true);
  channel.unsubscribe(handlers);
  expect(channel.hasSubscribers).toBe(false);
});
