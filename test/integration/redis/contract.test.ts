/** The Redis broker keeps the contract of brokers, on a real server. */
import { afterAll } from "bun:test";
import { brokerContract, type OpenBroker } from "../../contract/broker.ts";
import { comparisonContract } from "../../contract/broker/comparison.ts";
import { RedisServer } from "../../harness/redis.ts";
import { redisBroker, ShiftedClock } from "../../harness/redis-broker.ts";

const redis = await RedisServer.start();
afterAll(() => redis[Symbol.asyncDispose]());

function opener(slotLevels: number): OpenBroker {
  return async (options) => {
    await redis.flush();
    const clock = new ShiftedClock();
    const opened: { stop(): unknown }[] = [];
    let settled = 0;
    const make = () => {
      const broker = redisBroker(redis.url, { ...options, slotLevels, clock, aheadMs: clock.redisAheadMs });
      opened.push(broker);
      // A subscription is answered by the connection that brings announcements, after them.
      clock.settle = async () => await broker.subscribe("settle", `${++settled}`);
      return broker;
    };
    return {
      broker: make(),
      clock,
      durable: true,
      restart: make,
      async close() {
        for (const broker of opened) await broker.stop();
      },
    };
  };
}

brokerContract("The Redis broker", opener(1));
brokerContract("The Redis broker with slots of two levels", opener(2));
comparisonContract("The Redis broker", opener(1));
