/** What the Redis broker does when Redis fails, and what is left afterwards: on a real server that is killed, hung and emptied. */
import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { untoldMax } from "../../../src/broker/redis/members.ts";
import { errors } from "../../../src/core/codes.ts";
import { type LogFields, silentLogger } from "../../../src/core/logger.ts";
import { body, draft, main, numbered, numbers, offsets, roomy, texts } from "../../contract/broker/kit.ts";
import { Proxy } from "../../harness/proxy.ts";
import { RedisServer } from "../../harness/redis.ts";
import { eventually, Instance, redisBroker } from "../../harness/redis-broker.ts";

const shared = await RedisServer.start();
afterAll(() => shared[Symbol.asyncDispose]());
beforeEach(() => shared.flush());

const offline = (one: Instance) => eventually(() => !one.broker.ready(), "Redis is noticed to be away");
const online = (one: Instance) => eventually(() => one.broker.ready(), "Redis is noticed to be back");

describe("A server that forgets", () => {
  test("its scripts: calls under way are done in their order, none twice", async () => {
    await using one = await Instance.start(shared.url);
    await one.append("t", ["m0"]);
    await shared.command("SCRIPT", "FLUSH");
    const answers = await Promise.all(numbered(1, 40).map((text) => one.append("t", [text])));
    expect(answers.flatMap((answer) => offsets(answer.positions ?? []))).toEqual(numbers(2, 41));
    expect(texts((await one.read("t")).messages)).toEqual(numbered(0, 40));
  });

  test("everything: logs begin anew under another epoch, and members are told anew", async () => {
    await using one = await Instance.start(shared.url);
    await using two = await Instance.start(shared.url);
    await one.broker.subscribe(main, "t");
    await two.broker.subscribe(main, "t");
    await one.broker.join(main, "t", { client: "anna", generation: 1, info: null });
    const [before] = (await one.append("t", ["a", "b"])).positions ?? [];
    await shared.flush();
    const [after] = (await two.append("t", ["c"])).positions ?? [];
    expect(after?.epoch).not.toBe(before!.epoch);
    expect(after?.offset).toBe(1);
    await one.feed.until(() => one.feed.events.some(({ epoch }) => epoch === after!.epoch));
    await one.feed.until(() => one.feed.resyncs.length > 0);
    expect(await two.broker.members(main, "t")).toMatchObject({ count: 1, members: [{ client: "anna" }] });
  });

  test("a log's state but not its messages: they are not taken for those of the new epoch", async () => {
    await using one = await Instance.start(shared.url);
    await one.append("t", ["a", "b"]);
    const [key = ""] = /tc1:\{\d+\}:m:[^\r]*/.exec(await keys(shared, "*:m:*")) ?? [];
    await shared.command("DEL", key);
    const page = await one.read("t");
    expect([page.top, page.messages.length]).toEqual([0, 0]);
    await one.append("t", ["c"]);
    expect(texts((await one.read("t")).messages)).toEqual(["c"]);
  });
});

async function keys(redis: RedisServer, pattern: string): Promise<string> {
  return await redis.command("EVAL", `return table.concat(redis.call("KEYS", ARGV[1]), "\\r")`, "0", pattern);
}

// Instances took it for dead: none was ready any more, and nothing at all passed between them.
test("A server that is full refuses what is to be kept, which the log says once, and passes on the rest", async () => {
  await using redis = await RedisServer.start();
  const warnings: string[] = [];
  const warn = (message: string, fields?: LogFields) => void warnings.push(`${message}: ${String(fields?.["error"])}`);
  await using one = await Instance.start(redis.url, { logger: { ...silentLogger, warn } });
  await using two = await Instance.start(redis.url);
  await two.broker.subscribe(main, "#");
  await two.broker.join(main, "t", { client: "anna", generation: 1, info: null });
  await redis.command("CONFIG", "SET", "maxmemory", "1");
  for (const tag of ["t", "u"]) expect((await one.append(tag, ["a"])).error).toBe(errors.unavailable);
  expect(warnings).toEqual([expect.stringMatching(/^Redis refuses what it is to keep: .*OOM command not allowed/)]);
  const beats = two.broker.stats().bridge.calls;
  // Longer than a lease lasts, and than beats may fail: there are more than two calls in a second.
  await eventually(() => two.broker.stats().bridge.calls > beats + 20, "some beats");
  one.broker.relay(main, "t", body("live"));
  await two.feed.until(() => two.feed.relayedTexts.length === 1);
  for (const { broker } of [one, two]) expect([broker.ready(), broker.stats().bridge.reconnects]).toEqual([true, 0]);
  expect(await one.broker.members(main, "t")).toMatchObject({ count: 1 });
  await redis.command("CONFIG", "SET", "maxmemory", "0");
  expect((await one.append("t", ["a"])).positions).toHaveLength(1);
}, 30_000);

describe("A server that dies", () => {
  test("and comes back empty: refusals meanwhile, and service after", async () => {
    await using redis = await RedisServer.start();
    await using one = await Instance.start(redis.url);
    await one.broker.subscribe(main, "a/#");
    const [before] = (await one.append("a/t", ["a"])).positions ?? [];
    await redis.kill();
    await offline(one);
    expect(await one.append("a/t", ["b"])).toEqual({ error: errors.unavailable });
    expect(one.broker.subscribe(main, "u")).rejects.toThrow(errors.unavailable.text);
    expect(one.broker.history(main, "a/t", roomy, 0, { count: 1, bytes: 1 })).rejects.toThrow();
    one.broker.relay(main, "live", body("lost"));
    expect(one.broker.stats().bridge).toMatchObject({ connected: false, refused: 1, unrelayed: 1 });
    await redis.run();
    await online(one);
    const [after] = (await one.append("a/t", ["c"])).positions ?? [];
    expect(after?.epoch).not.toBe(before!.epoch);
    await one.feed.until(() => one.feed.events.some(({ epoch }) => epoch === after!.epoch));
    expect(one.feed.resyncs[0]).toEqual({ relayed: true });
  }, 30_000);

  test("and comes back with its data: a new epoch, in which positions of the old one still count", async () => {
    await using redis = await RedisServer.start({ config: ["--appendonly", "yes", "--appendfsync", "always"] });
    await using one = await Instance.start(redis.url);
    const [before] = (await one.append("t", [draft("a", "k"), "b", "c"])).positions ?? [];
    await redis.kill();
    await redis.run();
    await offline(one);
    await online(one);
    const page = await one.read("t", 1);
    expect(page.epoch).not.toBe(before!.epoch);
    expect(page.previous).toEqual({ epoch: before!.epoch, offset: 3 });
    expect(texts(page.messages)).toEqual(["b", "c"]);
    const again = await one.append("t", [draft("a", "k"), "d"]);
    expect(again.positions).toEqual([
      { epoch: page.epoch, offset: 1, repeated: true },
      { epoch: page.epoch, offset: 4, repeated: false },
    ]);
  }, 30_000);
});

describe("A server that hangs", () => {
  test("is given up, with bounded memory, and used again when it goes on", async () => {
    await using redis = await RedisServer.start();
    await using one = await Instance.start(redis.url);
    await one.append("t", ["first"]);
    redis.pause();
    const large = { body: body("x".repeat(200_000)), key: null };
    const answers = numbers(1, 400).map(() => one.append("t", [large]));
    expect(one.broker.stats().bridge.pendingBytes).toBeLessThan(40 * 1024 * 1024);
    const codes = (await Promise.all(answers)).map(({ error }) => error?.name);
    expect(new Set(codes)).toEqual(new Set([errors.outcomeUnknown.name, errors.unavailable.name]));
    expect(one.broker.stats().bridge.pendingBytes).toBe(0);
    expect(one.broker.ready()).toBe(false);
    redis.resume();
    await online(one);
    expect((await one.append("t", ["again"])).positions).toHaveLength(1);
  }, 30_000);

  test("on the listening connection alone is found out by the heartbeat", async () => {
    await using one = await Instance.start(shared.url);
    await one.broker.subscribe(main, "t");
    // The client's own connection stays; the one that listens is held by nobody any more.
    await shared.command("CLIENT", "KILL", "TYPE", "pubsub");
    await offline(one);
    await online(one);
    await one.append("t", ["heard"]);
    await one.feed.until(() => texts(one.feed.seen("t")).includes("heard"));
  }, 30_000);
});

describe("An instance that is cut off", () => {
  test("loses its members within seconds, and tells of them again when it is back", async () => {
    using proxy = new Proxy(shared.port);
    await using near = await Instance.start(shared.url);
    await using far = await Instance.start(`redis://127.0.0.1:${proxy.port}`);
    await near.broker.subscribe(main, "t");
    for (const generation of [1, 2]) {
      await far.broker.join(main, "t", { client: "anna", generation, info: null });
      await far.broker.join(main, "u/v", { client: "anna", generation, info: null });
    }
    await near.broker.join(main, "t", { client: "bert", generation: 3, info: null });
    proxy.cut();
    await eventually(() => near.feed.presenceOf("t").some(({ left }) => left.length === 2), "the members leave");
    expect(await near.broker.members(main, "t")).toMatchObject({ count: 1, members: [{ client: "bert" }] });
    // What happens meanwhile is told afterwards too.
    expect(far.broker.leave(main, "t", { client: "anna", generation: 1, info: null })).rejects.toThrow();
    expect(far.broker.join(main, "t", { client: "cleo", generation: 4, info: null })).rejects.toThrow();
    proxy.mend();
    const isBack = () => near.feed.presenceOf("t").at(-1)?.count === 3;
    await eventually(isBack, "the members are back");
    const { members } = await near.broker.members(main, "t");
    expect(members?.map(({ generation }) => generation).toSorted()).toEqual([2, 3, 4]);
    expect(await near.broker.members(main, "u/v")).toMatchObject({ count: 2 });
  }, 30_000);

  test("has no members left that went meanwhile, also where so many did that they were not remembered", async () => {
    using proxy = new Proxy(shared.port);
    await using near = await Instance.start(shared.url);
    await using far = await Instance.start(`redis://127.0.0.1:${proxy.port}`);
    await near.broker.subscribe(main, "t");
    const anna = { client: "anna", generation: 1, info: null };
    await far.broker.join(main, "t", anna);
    await far.broker.join(main, "t", { client: "bert", generation: 2, info: null });
    proxy.cut();
    await offline(far);
    const leaves = numbers(3, untoldMax + 2).map((generation) => far.broker.leave(main, "t", { ...anna, generation }));
    await Promise.allSettled([far.broker.leave(main, "t", anna), ...leaves]);
    proxy.mend();
    await online(far);
    await eventually(() => near.feed.presenceEvents.at(-1)?.count === 1, "only one is left");
    expect(await near.broker.members(main, "t")).toMatchObject({ count: 1, members: [{ client: "bert" }] });
  }, 30_000);

  // They were told of at the next reconnect, which may be a year later.
  test("or refused for a moment tells of members that left meanwhile within seconds, on the same connection", async () => {
    await using near = await Instance.start(shared.url);
    await near.broker.subscribe(main, "t");
    await near.broker.join(main, "t", { client: "anna", generation: 1, info: null });
    await near.feed.until(() => near.feed.presenceEvents.length === 1);
    await shared.command("ACL", "SETUSER", "default", "-evalsha");
    const leave = near.broker.leave(main, "t", { client: "anna", generation: 1, info: null });
    await Promise.allSettled([leave]);
    await shared.command("ACL", "SETUSER", "default", "+evalsha");
    expect(leave).rejects.toThrow();
    await eventually(() => near.feed.presenceEvents.at(-1)?.count === 0, "the member leaves");
    expect(near.broker.stats().bridge.reconnects).toBe(0);
  }, 30_000);

  // The others had told their subscribers of a gap when they were back themselves, and what this one dropped after that was told
  // to nobody.
  test("tells the others, once it is back, of which tags they did not get everything, before it passes on more", async () => {
    using proxy = new Proxy(shared.port);
    await using near = await Instance.start(shared.url);
    await using far = await Instance.start(`redis://127.0.0.1:${proxy.port}`);
    for (const pattern of ["live/a", "live/b", "wild/#"]) await near.broker.subscribe(main, pattern);
    far.broker.relay(main, "live/a", body("before"));
    await near.feed.until(() => near.feed.relayedTexts.length === 1);
    proxy.cut();
    far.broker.relay(main, "live/b", body("lost on its way"));
    await offline(far);
    for (const tag of ["live/a", "wild/c", "unheard/d", "live/a"]) far.broker.relay(main, tag, body("lost"));
    expect(near.feed.missedTags).toEqual([]);
    proxy.mend();
    await online(far);
    far.broker.relay(main, "live/a", body("after"));
    await near.feed.until(() => near.feed.relayedTexts.length === 2);
    expect(near.feed.missedTags.toSorted()).toEqual(["live/a", "live/b", "wild/c"]);
    far.broker.relay(main, "live/a", body("and more"));
    await near.feed.until(() => near.feed.relayedTexts.length === 3);
    expect(near.feed.missedTags).toHaveLength(3);
  }, 30_000);

  test("resubscribes to everything, and what comes then is heard", async () => {
    using proxy = new Proxy(shared.port);
    await using far = await Instance.start(`redis://127.0.0.1:${proxy.port}`);
    const tags = numbers(1, 1500).map((n) => `${n}/x`);
    await Promise.all(tags.map((tag) => far.broker.subscribe(main, tag)));
    proxy.drop();
    await offline(far);
    await online(far);
    const batches = tags.map((tag) => ({ app: main, tag, rule: roomy, drafts: [draft(tag)] }));
    await far.broker.append(batches);
    await far.feed.until(() => far.feed.events.length === tags.length);
    expect(far.feed.resyncs).toEqual([{ relayed: true }]);
  }, 30_000);
});

describe("A start", () => {
  test("is refused where other instances use other slot levels", async () => {
    await using one = await Instance.start(shared.url, { slotLevels: 2 });
    expect(one.broker.ready()).toBe(true);
    const other = redisBroker(shared.url);
    const feed = one.feed;
    expect(other.start(feed)).rejects.toThrow("use slot-levels 2, this one 1");
    expect(other.ready()).toBe(false);
    await other.stop();
  });
});
