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

const places = Array.from({ length: 30 }, (_, i) => `r${i}`);
const tagsOf = (place: string) => [`${place}/live/a`, `${place}/log/a`];
const waitMs = 20_000;

const stack = new AsyncDisposableStack();
afterAll(() => stack.disposeAsync(), 30_000);
const cluster = stack.use(await Cluster.start());
const instances = stack.use(await Instances.start(3, () => cluster.url()));

async function connect(instance: number): Promise<WireClient> {
  return stack.use(await WireClient.open(instances.url(instance), { token: instances.token }));
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

test("what is published anywhere reaches, once, whoever wants it by tag or pattern, whichever master it is on", async () => {
  const [byTag, byPrefix, byLevel] = await Promise.all([0, 1, 2].map(connect));
  for (const place of places) {
    for (const tag of tagsOf(place)) await byTag!.ok(op.subscribe, tag);
    await byPrefix!.ok(op.subscribe, `${place}/#`);
  }
  for (const place of places.slice(0, 10)) await byLevel!.ok(op.subscribe, `${place}/+/a`);

  const publishers = await Promise.all([0, 1, 2].map(connect));
  const sent: string[] = [];
  const answers: Promise<unknown>[] = [];
  for (const round of [1, 2, 3]) {
    for (const [i, publisher] of publishers.entries()) {
      for (const tag of places.flatMap(tagsOf)) {
        sent.push(`${tag} ${i}.${round}`);
        answers.push(publisher.ok(op.publish, tag, `${i}.${round}`));
      }
    }
  }
  await Promise.all(answers);
  const few = sent.filter((one) => places.slice(0, 10).includes(one.slice(0, one.indexOf("/"))));
  await byTag!.until(() => byTag!.all(op.message).length >= sent.length, "all by tag", waitMs);
  await byPrefix!.until(() => byPrefix!.all(op.message).length >= sent.length, "all by prefix", waitMs);
  await byLevel!.until(() => byLevel!.all(op.message).length >= few.length, "those of ten prefixes", waitMs);
  // Whatever came twice came before the answers to these.
  await Promise.all([byTag, byPrefix, byLevel].map((client) => client!.ok(op.ping)));
  expect(gotBy(byTag!)).toEqual(sent.toSorted());
  expect(gotBy(byPrefix!)).toEqual(sent.toSorted());
  expect(gotBy(byLevel!)).toEqual(few.toSorted());
  for (const place of places) {
    const order = (client: WireClient) =>
      client
        .all(op.message)
        .filter(([, tag]) => tag === `${place}/log/a`)
        .map(([, , offset, payload]) => [offset, payload]);
    expect(order(byTag!)).toEqual(order(byPrefix!));
    expect(order(byTag!).map(([offset]) => offset)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  }
}, 60_000);

test("each master has a part of the logs and of the channels", async () => {
  const masters = await cluster.redis.masters();
  expect(masters).toHaveLength(3);
  for (const { port } of masters) {
    expect(Number(await ask(port, "DBSIZE"))).toBeGreaterThan(0);
    expect((await ask(port, "PUBSUB", "SHARDCHANNELS")) as string[]).not.toEqual([]);
  }
}, 20_000);

test("an instance is not told of what nobody there wants", async () => {
  const publisher = await connect(0);
  const before = await packets(2);
  const answers = places
    .slice(10)
    .flatMap(tagsOf)
    .map((tag) => publisher.ok(op.publish, tag, "unwanted"));
  await Promise.all(answers);
  await publisher.ok(op.publish, `${places[0]}/log/a`, "wanted");
  // Its own kind of silence cannot be waited for: what it wants comes after what it does not.
  const heard = async () => {
    while ((await packets(2)) === before) await Bun.sleep(20);
    return (await packets(2)) - before;
  };
  expect(await heard()).toBe(1);
}, 20_000);

test("a pattern that no prefix stands for brings what is on every master, once", async () => {
  const client = await connect(1);
  await client.ok(op.subscribe, "+/live/#");
  const publisher = await connect(2);
  const sent = places.map((place) => `${place}/live/b`);
  for (const tag of sent) await publisher.ok(op.publish, tag, "wide");
  await client.until(() => client.all(op.message).length >= sent.length, "all of them", waitMs);
  await client.ok(op.ping);
  expect(gotBy(client)).toEqual(sent.map((tag) => `${tag} wide`).toSorted());
}, 30_000);
