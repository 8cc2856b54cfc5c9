/**
 * Routing by interest on a real Redis Cluster of three masters: a mistake in where tags and channels are placed passes by luck
 * on one.
 */
import { afterAll, expect, test } from "bun:test";
import { op } from "../../src/wire/messages.ts";
import { ask } from "../harness/redis-asking.ts";
import { WireClient } from "../harness/wire-client.ts";
import { Instances } from "./instances.ts";
import { Cluster } from "./topology.ts";

const waitMs = 30_000;
const timeoutMs = 90_000;

const stack = new AsyncDisposableStack();
afterAll(() => stack.disposeAsync(), 30_000);
const cluster = stack.use(await Cluster.start());
const instances = stack.use(await Instances.start(3, () => cluster.url()));

/** First levels of a test's own, enough to be on all masters by any layout. */
function placesOf(name: string): readonly string[] {
  return Array.from({ length: 30 }, (_, i) => `${name}${i}`);
}

const tagsOf = (place: string) => [`${place}/live/a`, `${place}/log/a`];

async function connect(instance: number): Promise<WireClient> {
  return await WireClient.open(instances.url(instance), { token: instances.token });
}

/** Announcements that an instance has got. */
async function packets(instance: number): Promise<number> {
  const response = await fetch(`${instances.http(instance)}/metrics`, {
    headers: { authorization: `Bearer ${instances.token}` },
  });
  return Number(/^tagcast_redis_received_packets_total (\d+)/m.exec(await response.text())?.[1] ?? NaN);
}

/** Tags and payloads of all that came. */
function gotBy(client: WireClient): string[] {
  return client
    .all(op.message)
    .map(([, tag, , payload]) => `${String(tag)} ${String(payload)}`)
    .toSorted();
}

/** Waits until so many messages have come, and for whatever may come twice. */
async function gets(client: WireClient, sent: readonly string[]): Promise<void> {
  const isThere = () => client.all(op.message).length >= sent.length || client.all(op.gap).length > 0;
  await client.until(isThere, `${sent.length} messages`, waitMs);
  await client.ok(op.ping);
  expect(client.all(op.gap)).toEqual([]);
  expect(gotBy(client)).toEqual(sent.toSorted());
}

async function publishesEverywhere(tags: readonly string[]): Promise<string[]> {
  await using one = await connect(0);
  await using two = await connect(1);
  await using three = await connect(2);
  const sent: string[] = [];
  const answers: Promise<unknown>[] = [];
  for (const round of [1, 2, 3]) {
    for (const [i, publisher] of [one, two, three].entries()) {
      for (const tag of tags) {
        sent.push(`${tag} ${i}.${round}`);
        answers.push(publisher.ok(op.publish, tag, `${i}.${round}`));
      }
    }
  }
  await Promise.all(answers);
  return sent;
}

async function reachesWhoWantsIt(): Promise<void> {
  const places = placesOf("r");
  await using byTag = await connect(0);
  await using byPrefix = await connect(1);
  await using byLevel = await connect(2);
  for (const place of places) {
    for (const tag of tagsOf(place)) await byTag.ok(op.subscribe, tag);
    await byPrefix.ok(op.subscribe, `${place}/#`);
  }
  const few = places.slice(0, 10);
  for (const place of few) await byLevel.ok(op.subscribe, `${place}/+/a`);
  const sent = await publishesEverywhere(places.flatMap(tagsOf));
  await gets(byTag, sent);
  await gets(byPrefix, sent);
  await gets(
    byLevel,
    sent.filter((one) => few.includes(one.slice(0, one.indexOf("/")))),
  );
  for (const place of places) {
    const order = (client: WireClient) =>
      client
        .all(op.message)
        .filter(([, tag]) => tag === `${place}/log/a`)
        .map(([, , offset, payload]) => [offset, payload]);
    expect(order(byTag)).toEqual(order(byPrefix));
    expect(order(byTag).map(([offset]) => offset)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  }
}

test(
  "what is published anywhere reaches, once, whoever wants it by tag or pattern, whichever master it is on",
  reachesWhoWantsIt,
  timeoutMs,
);

async function isSpread(): Promise<void> {
  await using client = await connect(0);
  for (const place of placesOf("s")) {
    await client.ok(op.subscribe, `${place}/log/a`);
    await client.ok(op.publish, `${place}/log/a`, "here");
  }
  const masters = await cluster.redis.masters();
  expect(masters).toHaveLength(3);
  for (const { port } of masters) {
    expect(Number(await ask(port, "DBSIZE"))).toBeGreaterThan(0);
    expect((await ask(port, "PUBSUB", "SHARDCHANNELS", "tc1:*:c:*")) as string[]).not.toEqual([]);
  }
}

test("each master has a part of the logs and of the channels", isSpread, timeoutMs);

async function isLeftAlone(): Promise<void> {
  const places = placesOf("u");
  await using subscriber = await connect(2);
  await using publisher = await connect(0);
  for (const place of places) await subscriber.ok(op.subscribe, `${place}/log/a`);
  const before = await packets(2);
  const sent: string[] = [];
  for (const place of places) {
    for (const tag of [`${place}/live/a`, `${place}/log/b`, `x${place}/log/a`]) {
      await publisher.ok(op.publish, tag, "unwanted");
    }
    // Silence cannot be waited for: this comes from the same master, behind what is not wanted.
    await publisher.ok(op.publish, `${place}/log/a`, "wanted");
    sent.push(`${place}/log/a wanted`);
  }
  await gets(subscriber, sent);
  expect((await packets(2)) - before).toBe(places.length);
}

test("an instance is not told of what nobody there wants", isLeftAlone, timeoutMs);

async function reachesWidePattern(): Promise<void> {
  await using client = await connect(1);
  await client.ok(op.subscribe, "+/wide/#");
  await using publisher = await connect(2);
  const sent = placesOf("w").map((place) => `${place}/wide/b`);
  for (const tag of sent) await publisher.ok(op.publish, tag, "wide");
  await gets(
    client,
    sent.map((tag) => `${tag} wide`),
  );
}

test("a pattern that no prefix stands for brings what is on every master, once", reachesWidePattern, timeoutMs);
