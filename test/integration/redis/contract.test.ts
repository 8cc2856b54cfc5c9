/** The Redis broker keeps the contract of brokers, on a real server. */
import { afterAll } from "bun:test";
import { brokerContract } from "../../contract/broker.ts";
import { comparisonContract } from "../../contract/broker/comparison.ts";
import { RedisServer } from "../../harness/redis.ts";
import { contractOpener } from "../../harness/redis-broker.ts";

const redis = await RedisServer.start();
afterAll(() => redis[Symbol.asyncDispose]());

const opener = (slotLevels: number) => contractOpener({ url: redis.url, slotLevels, flush: () => redis.flush() });

brokerContract("The Redis broker", opener(1));
brokerContract("The Redis broker with slots of two levels", opener(2));
comparisonContract("The Redis broker", opener(1));
