/** Instances on a Redis Cluster of three masters act as one, wherever in it a tag is kept. */
import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { Places } from "../../../src/broker/redis/keys.ts";
import { hashSlots } from "../../../src/broker/redis/servers/topology.ts";
import { run as runProgram } from "../../../src/cli/run.ts";
import { disconnects } from "../../../src/core/codes.ts";
import { body, draft, main, numbered, numbers, offsets, roomy, text, texts } from "../../contract/broker/kit.ts";
import { recordedIo } from "../../harness/cli-io.ts";
import { ask } from "../../harness/redis-asking.ts";
import { eventually, Instance } from "../../harness/redis-broker.ts";
import { RedisCluster } from "../../harness/redis-cluster.ts";
import { startServer } from "../../harness/server.ts";
import { Caller } from "../api/caller.ts";

const cluster = await RedisCluster.start({ replicasEach: 0 });
afterAll(() => cluster[Symbol.asyncDispose]());
beforeEach(() => Promise.all(cluster.servers.map((server) => server.flush())));

const [url = ""] = cluster.urls;
const all = cluster.urls.join(",");
/** First levels enough to be on all three masters, by any layout. */
const tags = numbers(1, 60).map((n) => `room${n}/a`);

describe("Two instances on three masters", () => {
  test("keep the logs of tags on all of them, and hear of each by one connection to its master", async () => {
    await using one = await Instance.start(url);
    await using two = await Instance.start(all);
    await Promise.all(tags.map((tag) => two.broker.subscribe(main, tag)));
    const batches = tags.map((tag) => ({ app: main, tag, rule: roomy, drafts: [draft(tag), draft(`${tag} again`)] }));
    const answers = await one.broker.append(batches);
    expect(answers.map(({ positions }) => offsets(positions ?? []))).toEqual(tags.map(() => [1, 2]));
    await two.feed.until(() => two.feed.events.length === tags.length);
    for (const tag of tags) {
      expect(texts(two.feed.seen(tag))).toEqual([tag, `${tag} again`]);
      expect(texts((await two.read(tag)).messages)).toEqual([tag, `${tag} again`]);
    }
    for (const { port } of cluster.servers) {
      const keys = (await ask(port, "KEYS", "tc1:*:s:*")) as string[];
      const channels = (await ask(port, "PUBSUB", "SHARDCHANNELS", "tc1:*:c:*")) as string[];
      expect(keys.length).toBeGreaterThan(5);
      expect(new Set(channels)).toEqual(new Set(keys.map((name) => name.replace(":s:", ":c:"))));
      const listeners = String(await ask(port, "CLIENT", "LIST")).match(/ ssub=([6-9]|\d\d)/g);
      expect(listeners).toHaveLength(1);
    }
  });

  test("hear what patterns match, each message once, and no more than that", async () => {
    await using one = await Instance.start(all);
    await using two = await Instance.start(url);
    await using three = await Instance.start(url);
    for (const pattern of ["room7/#", "room8/+"]) await two.broker.subscribe(main, pattern);
    await three.broker.subscribe(main, "#");
    for (const tag of tags) {
      await one.append(tag, ["logged"]);
      one.broker.relay(main, tag, body("relayed"));
    }
    await three.feed.until(() => three.feed.relayedTexts.length >= tags.length);
    await three.feed.until(() => three.feed.events.length >= tags.length);
    expect(three.feed.events.map(({ tag }) => tag).toSorted()).toEqual(tags.toSorted());
    expect(three.feed.relayedTexts.map(([tag]) => tag).toSorted()).toEqual(tags.toSorted());
    await two.feed.until(() => two.feed.relayedTexts.length >= 2);
    expect(two.feed.events.map(({ tag }) => tag).toSorted()).toEqual(["room7/a", "room8/a"]);
    expect(two.feed.relayedTexts.map(([tag]) => tag).toSorted()).toEqual(["room7/a", "room8/a"]);
    // Log, live-only message, and nothing for the others.
    expect(two.broker.stats().bridge.packets).toBe(4);
    expect((await two.broker.logs(main, "#", 1000)).logs.map(({ tag }) => tag).toSorted()).toEqual(tags.toSorted());
    expect(await two.broker.logs(main, "+/a", 10)).toMatchObject({ more: true });
    const changed = await two.broker.comparison.changed(main, 60_000, 1000);
    expect(changed.logs.map(({ tag }) => tag).toSorted()).toEqual(tags.toSorted());
  });

  test("see messages of each log in one order, and take an idempotency key once", async () => {
    await using one = await Instance.start(url);
    await using two = await Instance.start(url);
    await two.broker.subscribe(main, "#");
    const few = tags.slice(0, 9);
    await Promise.all(
      numbers(1, 30).flatMap((n) =>
        few.map((tag) => (n % 2 === 0 ? one : two).append(tag, [`m${n}`, draft("once", "k")])),
      ),
    );
    for (const tag of few) {
      const log = texts((await one.read(tag)).messages);
      expect(log.toSorted()).toEqual([...numbered(1, 30), "once"].toSorted());
      await two.feed.until(() => two.feed.seen(tag).length === log.length);
      expect(texts(two.feed.seen(tag))).toEqual(log);
    }
    expect(two.feed.violations).toEqual([]);
  });

  test("tell each other of members of tags on all of them, and end those of an instance that stops", async () => {
    await using one = await Instance.start(url);
    const two = await Instance.start(url);
    await one.broker.subscribe(main, "#");
    await Promise.all(tags.map((tag) => two.broker.join(main, tag, { client: "anna", generation: 1, info: null })));
    await one.feed.until(() => one.feed.presenceEvents.length === tags.length);
    for (const tag of tags) expect(await one.broker.members(main, tag)).toMatchObject({ count: 1 });
    await two.broker.stop();
    await one.feed.until(() => one.feed.presenceEvents.length === 2 * tags.length);
    for (const tag of tags) expect(await one.broker.members(main, tag)).toMatchObject({ count: 0 });
  });
});

test("An instance hears each message once while channels take over from each other on all masters", async () => {
  await using one = await Instance.start(url);
  await using two = await Instance.start(url);
  const few = tags.slice(0, 20);
  await Promise.all(few.map((tag) => two.broker.subscribe(main, tag)));
  let sent = 0;
  const send = async () => {
    sent++;
    for (const tag of few) one.broker.relay(main, tag, body(`m${sent}`));
    await new Promise(setImmediate);
  };
  const wide = [...few.map((tag) => tag.replace("/a", "/#")), "#"];
  const taking = Promise.all(wide.map((pattern) => two.broker.subscribe(main, pattern)));
  for (let i = 0; i < 100; i++) await send();
  await taking;
  for (const pattern of wide) two.broker.unsubscribe(main, pattern);
  const begun = performance.now();
  while (performance.now() - begun < 2300) await send();
  await eventually(() => two.feed.relayedTexts.length >= sent * few.length, "everything has arrived");
  for (const tag of few) {
    const said = two.feed.relayedTexts.filter(([of]) => of === tag).map(([, saying]) => saying);
    expect(said).toEqual(numbered(1, sent));
  }
  expect(two.broker.stats().bridge.channels).toBe(few.length);
}, 60_000);

test("With two slot levels tags of one first level are on all masters, and patterns of every width bring each message once", async () => {
  const slotLevels = 2;
  const deep = numbers(1, 40).map((n) => `plant/line${n}/a`);
  await using one = await Instance.start(url, { slotLevels });
  await using two = await Instance.start(url, { slotLevels });
  await using three = await Instance.start(all, { slotLevels });
  await using four = await Instance.start(url, { slotLevels });
  await two.broker.subscribe(main, "plant/#");
  for (const pattern of ["plant/line7/#", "plant/line8/a"]) await three.broker.subscribe(main, pattern);
  await four.broker.subscribe(main, "+/+/a");
  for (const tag of deep) {
    await one.append(tag, ["logged"]);
    one.broker.relay(main, tag, body("relayed"));
  }
  const hears = async ({ feed }: Instance, wanted: readonly string[]) => {
    await feed.until(() => feed.relayedTexts.length >= wanted.length && feed.events.length >= wanted.length);
    const sorted = wanted.toSorted();
    expect(feed.events.map(({ tag }) => tag).toSorted()).toEqual(sorted);
    expect(feed.relayedTexts.map(([tag]) => tag).toSorted()).toEqual(sorted);
  };
  await hears(two, deep);
  await hears(three, ["plant/line7/a", "plant/line8/a"]);
  await hears(four, deep);
  for (const { port } of cluster.servers) {
    expect(((await ask(port, "KEYS", "tc1:*:s:*")) as string[]).length).toBeGreaterThan(3);
  }
  for (const pattern of ["plant/#", "+/+/a"]) {
    const { logs, more } = await three.broker.logs(main, pattern, 1000);
    expect([logs.map(({ tag }) => tag).toSorted(), more]).toEqual([deep.toSorted(), false]);
  }
  // What one level decides cannot be found by two.
  const refusal: unknown = await Instance.start(url).then(
    () => null,
    (error: unknown) => error,
  );
  expect(String(refusal)).toContain("use slot-levels 2, this one 1");
}, 60_000);

// The client loses count where a server ends subscriptions by itself while something is asked for, and gives up.
test("A listening connection that is lost is replaced: calls, and what other masters announce, go on meanwhile", async () => {
  await using one = await Instance.start(url);
  await using two = await Instance.start(url);
  await Promise.all(tags.map((tag) => two.broker.subscribe(main, tag)));
  for (const { port } of cluster.servers) await ask(port, "CLIENT", "KILL", "TYPE", "pubsub");
  await eventually(() => two.feed.resyncs.length > 0, "that something may be lost is told");
  await Promise.all(tags.map((tag) => two.broker.subscribe(main, `${tag}/more`)));
  const relayed = () => {
    for (const tag of tags) one.broker.relay(main, tag, body("again"));
    return tags.every((tag) => two.feed.relayedTexts.some(([of]) => of === tag));
  };
  await eventually(relayed, "every tag is heard again");
  for (const tag of tags) expect((await one.append(`${tag}/more`, [tag])).error).toBeUndefined();
  await two.feed.until(() => tags.every((tag) => texts(two.feed.seen(`${tag}/more`)).includes(tag)));
  expect(two.feed.violations).toEqual([]);
  expect([one, two].map(({ broker }) => broker.stats().bridge.reconnects)).toEqual([0, 0]);
}, 60_000);

// It was deaf for good: who holds the slot key was the same as before, so nothing seemed to have changed.
test("A slot key that leaves its master and is back at once is listened to again", async () => {
  await using one = await Instance.start(url);
  await using two = await Instance.start(url);
  const places = new Places(1);
  const slot = places.of(main, "left/a").slot;
  const few = numbers(1, 20).map((n) => `left/${n}`);
  for (const [n, tag] of few.entries()) {
    const confirmed = two.broker.subscribe(main, tag);
    // The client takes what the server ends for an answer to what is under way.
    if (n % 2 === 0) await confirmed;
    await cluster.slip(hashSlots[slot]!);
    await confirmed;
  }
  const relayed = () => {
    for (const tag of few) one.broker.relay(main, tag, body("again"));
    return few.every((tag) => two.feed.relayedTexts.some(([of]) => of === tag));
  };
  await eventually(relayed, "every tag is heard again");
}, 60_000);

describe("Two servers on three masters", () => {
  const start = () => startServer({ flags: ["--redis", all] });
  const grants = { "#": ["readwrite"] };
  const cli = async (...argv: string[]) => {
    const io = recordedIo({ TAGCAST_REDIS: all });
    const status = await runProgram(argv, io);
    return { status, out: io.outLines.join("\n").trim(), err: io.errLines.join("\n") };
  };

  test("share tokens, counts of connections and orders, with each other and with the command line", async () => {
    await using one = await start();
    await using two = await start();
    const { status, out: secret } = await cli("token", "create", "--grant", "#=readwrite");
    expect(status).toBe(0);
    const id = (await cli("token", "list")).out.split(" ")[0] ?? "";
    await using client = await two.connect({ token: secret });
    const limited = { json: { name: "a", grants, connectionsMax: 1 } };
    const { body: made } = await new Caller(one).call("/v1/tokens", limited);
    const { secret: token } = made as { secret: string };
    await using first = await one.connect({ token });
    await using refused = await two.dial();
    refused.send([1, 1, { token }]);
    expect((await refused.next(22))[1]).toBe(disconnects.connectionLimit.code);
    const path = `/v1/connections/${first.welcome["session"]}`;
    expect((await new Caller(two).call(path, { method: "DELETE" })).status).toBe(204);
    expect((await first.next(22))[1]).toBe(disconnects.removed.code);
    const instances = JSON.parse((await cli("cluster", "--json")).out) as unknown[];
    expect(instances).toHaveLength(2);
    expect((await cli("token", "revoke", id)).status).toBe(0);
    expect((await client.next(22))[1]).toBe(disconnects.revoked.code);
  });
});

describe("A slot key that moves to another master", () => {
  test("is followed, also by a channel that nobody publishes on meanwhile; what was appended stays in order", async () => {
    await using one = await Instance.start(url);
    await using two = await Instance.start(url);
    const few = tags.slice(0, 12);
    await two.broker.subscribe(main, "#");
    await one.broker.subscribe(main, "quiet/a");
    for (const tag of few) await one.append(tag, ["m0"]);
    await one.append("quiet/a", ["before"]);
    const acknowledged = new Map<string, string[]>(few.map((tag) => [tag, ["m0"]]));
    const moved = new AbortController();
    const publishing = few.map(async (tag, i) => {
      for (let n = 1; !moved.signal.aborted; n++) {
        const { positions } = await (i % 2 === 0 ? one : two).append(tag, [`m${n}`]);
        if (positions !== undefined) acknowledged.get(tag)!.push(`m${n}`);
        // What is refused is refused at once: without a turn of the loop nothing would ever change that.
        else await Bun.sleep(20);
      }
    });
    for (const from of await cluster.masters()) {
      const to = (await cluster.masters()).find((master) => master !== from)!;
      for (const slot of await cluster.slotsInUse(from, 30)) await cluster.migrate(slot, from, to, 5);
    }
    moved.abort();
    await Promise.all(publishing);
    await eventually(() => two.feed.resyncs.length > 0, "that events may be lost is told");
    for (const tag of few) {
      const answer = await one.append(tag, ["last"]);
      expect(answer.error).toBeUndefined();
      const log = texts((await two.read(tag)).messages);
      expect(log).toEqual([...acknowledged.get(tag)!, "last"]);
      await two.feed.until(() => two.feed.seen(tag).some((message) => text(message) === "last"));
    }
    await one.append("quiet/a", ["after"]);
    await one.feed.until(() => texts(one.feed.seen("quiet/a")).includes("after"));
    expect([one, two].flatMap(({ feed }) => feed.violations)).toEqual([]);
    expect([one, two].map(({ broker }) => broker.stats().bridge.reconnects)).toEqual([0, 0]);
  }, 60_000);
});
