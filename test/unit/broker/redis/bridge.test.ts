/** A connection that is made, and of no use. */
import { expect, test } from "bun:test";
import { silentLogger } from "../../../../src/core/logger.ts";
import { Bridge } from "../../../../src/broker/redis/bridge.ts";
import { Calls } from "../../../../src/broker/redis/calls.ts";
import { Channels } from "../../../../src/broker/redis/channels.ts";
import type { Connection } from "../../../../src/broker/redis/servers/connection.ts";
import type { Servers } from "../../../../src/broker/redis/servers/open.ts";
import { FakeClock } from "../../../harness/clock.ts";

class FakeConnection implements Connection {
  readonly isClustered = false;
  isEnded = false;
  readonly ended = new Promise<Error>(() => {});
  onMoved = (): void => {};
  readonly #confirms: boolean;

  constructor(confirms: boolean) {
    this.#confirms = confirms;
  }

  run = async () => [1, 1];
  command = async () => null;
  publish = async () => null;
  subscribe = () => (this.#confirms ? Promise.resolve() : new Promise<void>(() => {}));
  unsubscribe = async () => {};
  fence = async () => {};
  beat = () => {};
  destroy = () => void (this.isEnded = true);
}

// A subscription that is never confirmed, while pings are answered, left an instance without Redis until it was restarted.
test("a connection whose subscriptions are never confirmed is given up, and another one made", async () => {
  const clock = new FakeClock();
  const connections = [true, false, true].map((confirms) => new FakeConnection(confirms));
  const opened: FakeConnection[] = [];
  const resumed = Promise.withResolvers<void>();
  const connect = async () => {
    const connection = connections[opened.length] as FakeConnection;
    opened.push(connection);
    return connection;
  };
  const calls = new Calls({ instance: "instance", slotLevels: 1, aheadMs: () => 0 });
  const bridge = new Bridge({
    servers: { connect } as unknown as Servers,
    instance: "instance",
    clock,
    logger: silentLogger,
    calls,
    channels: new Channels(clock),
    receive: () => {},
    beat: async () => {},
    join: async () => {},
    onResumed: resumed.resolve,
    onMoved: () => {},
    onBeat: () => {},
  });
  await bridge.start();
  expect(bridge.up).toBe(true);
  calls.onLost(new Error("lost"));
  expect(bridge.up).toBe(false);
  while (opened.length < 3) {
    clock.advance(10_000);
    await Promise.resolve();
    expect(clock.monotonicMs()).toBeLessThan(200_000);
  }
  await resumed.promise;
  expect(bridge.up).toBe(true);
  expect(opened.map(({ isEnded }) => isEnded)).toEqual([true, true, false]);
  bridge.stop();
});
