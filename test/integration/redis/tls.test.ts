/** Servers that reach Sentinels, and all nodes of a Redis Cluster, by TLS alone, with certificates of an authority of one's own. */
import { afterAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { op } from "../../../src/wire/messages.ts";
import { Authority } from "../../harness/certificates.ts";
import { eventually } from "../../harness/redis-broker.ts";
import { RedisCluster } from "../../harness/redis-cluster.ts";
import { RedisServer } from "../../harness/redis.ts";
import { RedisSentinel } from "../../harness/redis-sentinel.ts";
import { adminToken, Program, scratchDirectory, type ServerProcess, startProcess } from "../../harness/server.ts";

const timeoutMs = 120_000;
const waitMs = 40_000;

const scratch = scratchDirectory();
afterAll(() => scratch[Symbol.dispose]());
const authority = await Authority.create(scratch.path);
const tls = { ...(await authority.issue("redis", ["127.0.0.1"])), ca: authority.ca };
const config = join(scratch.path, "tagcast.toml");
await Bun.write(config, '[[tags]]\npattern = "+/log"\nhistory = { size = 1000 }\n');

/** Enough first levels to be on all masters of a Cluster. */
const places = Array.from({ length: 20 }, (_, i) => `p${i}`);
const logs = places.map((place) => `${place}/log`);
const live = places.map((place) => `${place}/live`);

const argsOf = (redis: string) => ["--redis", redis, "--config", config, "--admin-token", adminToken];

async function start(redis: string): Promise<ServerProcess> {
  return await startProcess({ args: argsOf(redis), env: { NODE_EXTRA_CA_CERTS: authority.ca } });
}

/** What is published at one arrives at the other, once. */
async function areJoined(one: ServerProcess, two: ServerProcess, tags: readonly string[]): Promise<void> {
  await using subscriber = await one.connect({ token: adminToken });
  await using publisher = await two.connect({ token: adminToken });
  for (const place of places) await subscriber.ok(op.subscribe, `${place}/#`);
  for (const tag of tags) await publisher.ok(op.publish, tag, "joined");
  const got = () => subscriber.all(op.message).map(([, tag]) => String(tag));
  await subscriber.until(() => got().length >= tags.length, "all messages", waitMs);
  await subscriber.ok(op.ping);
  expect(got().toSorted()).toEqual(tags.toSorted());
}

/** Has found the way to another master. */
const isBack = ({ stdout, stderr }: ServerProcess) => (stdout + stderr).includes("Redis is back");

/** What a start that is given up says; it tries for some seconds. */
async function refused(redis: string): Promise<string> {
  await using server = new Program({ args: ["serve", "--port", "0", ...argsOf(redis)] });
  expect(await server.end(waitMs)).not.toBe(0);
  return server.stderr;
}

describe("By TLS", () => {
  test(
    "Sentinels are asked, and the master that they name is used, also the next one",
    async () => {
      await using redis = await RedisSentinel.start({ tls });
      const url = `rediss+sentinel://${redis.addresses.join(",")}/${redis.name}`;
      await using one = await start(url);
      await using two = await start(url);
      await areJoined(one, two, [...logs, ...live]);
      const before = await redis.master();
      await redis.switchOver();
      await redis.promoted(before);
      await eventually(() => isBack(one) && isBack(two), "the other master is used", waitMs);
      await areJoined(one, two, [...logs, ...live]);
    },
    timeoutMs,
  );

  test(
    "all masters of a Cluster are reached by what one node tells, also one that has just become it",
    async () => {
      await using redis = await RedisCluster.start({ tls });
      await using one = await start(redis.urls[0]!);
      await using two = await start(redis.urls.join(","));
      await areJoined(one, two, [...logs, ...live]);
      const [master] = await redis.masters();
      await redis.handOver(await redis.replicaOf(master!));
      // What is live only may get lost until all have found the way.
      await areJoined(one, two, logs);
    },
    timeoutMs,
  );

  test(
    "a certificate of an authority that nobody named is refused, and the start says so",
    async () => {
      await using redis = await RedisServer.start({ tls });
      const [unknown, plain] = await Promise.all([refused(redis.url), refused(redis.url.replace("rediss:", "redis:"))]);
      expect(unknown).toMatch(/Redis cannot be reached: .*certificate/);
      expect(plain).toMatch(/Redis cannot be reached/);
    },
    timeoutMs,
  );
});
