/** The Redis broker keeps the contract of brokers on the master that Sentinels name. */
import { afterAll } from "bun:test";
import { brokerContract } from "../../contract/broker.ts";
import { RedisSentinel } from "../../harness/redis-sentinel.ts";
import { contractOpener } from "../../harness/redis-broker.ts";

const redis = await RedisSentinel.start();
afterAll(() => redis[Symbol.asyncDispose]());

const url = `redis+sentinel://${redis.addresses.join(",")}/${redis.name}`;
const flush = async () => await (await redis.master()).flush();
brokerContract("The Redis broker behind Sentinels", contractOpener({ url, slotLevels: 1, flush }));
