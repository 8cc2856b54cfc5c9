/** What a client is told that comes back with a position in a log that was replaced meanwhile by one that goes on from it. */
import { expect, test } from "bun:test";
import { gaps } from "../../../src/core/codes.ts";
import { op } from "../../../src/wire/messages.ts";
import { RedisServer } from "../../harness/redis.ts";
import { eventually } from "../../harness/redis-broker.ts";
import { startServer } from "../../harness/server.ts";

const toml = '[[tags]]\npattern = "log/#"\nhistory = { size = 100 }\n';
const timeoutMs = 60_000;

/** A log of three messages, and a fourth after Redis was killed and came back: its log may have had more before. */
async function replaced(redis: RedisServer) {
  const server = await startServer({ toml, flags: ["--redis", redis.url] });
  const publisher = await server.connect({});
  for (const n of [1, 2, 3]) await publisher.ok(op.publish, "log/a", n);
  const { position } = await publisher.ok(op.subscribe, "log/a");
  await redis.kill();
  await redis.run();
  const isReady = async () => (await fetch(`${server.http}/readyz`)).status === 200;
  await eventually(async () => !(await isReady()), "Redis is noticed to be away", timeoutMs);
  await eventually(isReady, "Redis is back", timeoutMs);
  const answer = await publisher.ok(op.publish, "log/a", 4);
  return { server, epochs: [position, answer["position"]].map((of) => (of as number[])[0]!) };
}

// Those who were connected were told by op 20, whoever came a moment later by another epoch in an answer alone.
test(
  "It is told that messages after it may be lost, and goes on from there",
  async () => {
    await using redis = await RedisServer.start({ config: ["--appendonly", "yes", "--appendfsync", "always"] });
    const { server, epochs } = await replaced(redis);
    await using _ = server;
    const [before, after] = epochs;
    expect(after).not.toBe(before);
    const gap = { code: gaps.epochChanged.code, epoch: after };
    await using one = await server.connect({});
    expect(await one.ok(op.subscribe, "log/a", { since: [before, 2] })).toMatchObject({
      position: [after, 4],
      start: 2,
      recovered: true,
    });
    await one.messages(2);
    expect(one.all(op.gap)).toEqual([[op.gap, "log/a", null, 2, gap]]);
    expect(one.received.map(([kind]) => kind).slice(-3)).toEqual([op.gap, op.message, op.message]);
    expect(one.all(op.message).map(([, , offset, payload]) => [offset, payload])).toEqual([
      [3, 3],
      [4, 4],
    ]);

    await using two = await server.connect({});
    const result = await two.ok(op.subscribe, "log/#", { since: { "log/a": [before, 3] } });
    expect(result).toMatchObject({ positions: { "log/a": [after, 4] } });
    expect(result["lost"]).toBeUndefined();
    await two.messages(1);
    expect(two.all(op.gap)).toEqual([[op.gap, "log/a", null, 3, { ...gap, pattern: "log/#" }]]);

    // Of the same epoch nothing can be lost.
    await using three = await server.connect({});
    expect(await three.ok(op.subscribe, "log/a", { since: [after, 3] })).toMatchObject({ recovered: true });
    await three.messages(1);
    expect(three.all(op.gap)).toEqual([]);
  },
  timeoutMs,
);
