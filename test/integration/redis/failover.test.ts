/** What instances do when a replica takes over from a master of a Redis Cluster, or from the one that Sentinels watch. */
import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { Sentinels } from "../../../src/broker/redis/servers/sentinel.ts";
import { readRedisAddress } from "../../../src/core/redis-address.ts";
import { body, draft, main, numbers, roomy, text, texts } from "../../contract/broker/kit.ts";
import { eventually, Instance } from "../../harness/redis-broker.ts";
import { ask } from "../../harness/redis-asking.ts";
import { RedisCluster } from "../../harness/redis-cluster.ts";
import { RedisServer } from "../../harness/redis.ts";
import { RedisSentinel } from "../../harness/redis-sentinel.ts";

const timeoutMs = 120_000;
const tags = numbers(1, 30).map((n) => `room${n}/a`);

/** Publishes numbered messages on tags until it is told to stop, and notes what was acknowledged. */
class Publisher {
  readonly acknowledged = new Map<string, string[]>();
  readonly #stopping = new AbortController();
  readonly #done: Promise<unknown>;

  constructor(instances: readonly Instance[]) {
    this.#done = Promise.all(tags.map((tag, i) => this.#publish(tag, instances[i % instances.length]!)));
  }

  async #publish(tag: string, { broker }: Instance): Promise<void> {
    const done: string[] = [];
    this.acknowledged.set(tag, done);
    for (let n = 1; !this.#stopping.signal.aborted; n++) {
      const drafts = [draft(`m${n}`, `k${n}`)];
      const batches = [{ app: main, tag, rule: roomy, drafts }];
      const [answer] = await Promise.try(() => broker.append(batches)).catch(() => []);
      if (answer?.positions === undefined) await Bun.sleep(20);
      else done.push(`m${n}`);
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#done;
  }
}

const isWhole = (one: Instance) => eventually(() => one.broker.ready(), "service is whole again", 40_000);

/** Each has noticed a loss, and is past it: one may be so before the other has noticed. */
const connectedAnew = (...instances: readonly Instance[]) =>
  eventually(() => instances.every(({ broker }) => broker.stats().bridge.reconnects > 0), "all connected anew", 40_000);

/** The replica of a master has all that the master has. */
async function inStep({ port }: RedisServer): Promise<void> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    const told = String(await ask(port, "INFO", "replication"));
    const [, own] = /master_repl_offset:(\d+)/.exec(told) ?? [];
    if (own !== undefined && told.includes(`state=online,offset=${own},`)) return;
    if (performance.now() > deadline) throw new Error(`The replica did not get in step: ${told}`);
    await Bun.sleep(20);
  }
}

/** Of what was acknowledged nothing is missing but what `lost` allows, nothing is there twice, and all is in order. */
async function checkLogs(instances: readonly Instance[], acknowledged: ReadonlyMap<string, readonly string[]>) {
  for (const tag of tags) {
    const [one, two] = await Promise.all(instances.map(async (instance) => texts((await instance.read(tag)).messages)));
    expect(two).toEqual(one);
    const order = one!.map((said) => Number(said.slice(1)));
    expect(order).toEqual([...new Set(order)].toSorted((a, b) => a - b));
    const missing = acknowledged.get(tag)!.filter((said) => !one!.includes(said));
    expect(missing).toEqual([]);
  }
}

async function hearEachOther([one, two]: readonly [Instance, Instance]): Promise<void> {
  for (const tag of tags) {
    expect((await one.append(tag, ["last"])).error).toBeUndefined();
    one.broker.relay(main, tag, body("live"));
  }
  for (const tag of tags) await two.feed.until(() => two.feed.seen(tag).some((message) => text(message) === "last"));
  await two.feed.until(() => tags.every((tag) => two.feed.relayedTexts.some(([of]) => of === tag)));
}

describe("A Redis Cluster of which", () => {
  test(
    "a replica takes over in order: nothing is refused for long, and the connection is kept",
    async () => {
      await using cluster = await RedisCluster.start({ config: ["--appendonly", "yes"] });
      await using one = await Instance.start(cluster.urls[0]!);
      await using two = await Instance.start(cluster.urls.join(","));
      await two.broker.subscribe(main, "#");
      const [before] = (await one.append(tags[0]!, ["m0"])).positions!;
      const publisher = new Publisher([one, two]);
      const replicas: RedisServer[] = [];
      for (const master of await cluster.masters()) {
        const replica = await cluster.replicaOf(master);
        await cluster.handOver(replica);
        replicas.push(replica);
      }
      await publisher.stop();
      // Some nodes take a master that was replaced for one until they hear from it again: to kill it would break nothing.
      expect(new Set(await cluster.masters())).toEqual(new Set(replicas));
      for (const instance of [one, two]) await isWhole(instance);
      await checkLogs([one, two], publisher.acknowledged);
      await hearEachOther([one, two]);
      const [after] = (await one.append(tags[0]!, ["m"])).positions!;
      expect(after!.epoch).not.toBe(before!.epoch);
      expect([one, two].map(({ broker }) => broker.stats().bridge.reconnects)).toEqual([0, 0]);
    },
    timeoutMs,
  );

  test(
    "a master dies: everything goes on within seconds after its replica is one",
    async () => {
      await using cluster = await RedisCluster.start({ config: ["--appendonly", "yes"] });
      await using one = await Instance.start(cluster.urls.join(","));
      await using two = await Instance.start(cluster.urls.join(","));
      await two.broker.subscribe(main, "#");
      for (const tag of tags) await one.append(tag, ["m0"]);
      const [victim] = await cluster.masters();
      await victim!.kill();
      await cluster.tookOver(victim!);
      const promoted = performance.now();
      await connectedAnew(one, two);
      for (const instance of [one, two]) await isWhole(instance);
      expect(performance.now() - promoted).toBeLessThan(15_000);
      for (const { feed } of [one, two]) expect(feed.resyncs.length).toBeGreaterThan(0);
      await hearEachOther([one, two]);
      await victim!.run();
      await cluster.whole();
    },
    timeoutMs,
  );
});

describe("Sentinels", () => {
  const opening = RedisSentinel.start();
  afterAll(async () => await (await opening)[Symbol.asyncDispose]());
  beforeEach(async () => await (await (await opening).master()).flush());
  const urlOf = ({ addresses, name }: RedisSentinel) => `redis+sentinel://${addresses.join(",")}/${name}`;

  test(
    "that promote the replica of a dead master are followed",
    async () => {
      const redis = await opening;
      await using one = await Instance.start(urlOf(redis));
      await using two = await Instance.start(urlOf(redis));
      await two.broker.subscribe(main, "#");
      const [before] = (await one.append(tags[0]!, ["m0"])).positions!;
      const master = await redis.master();
      const begun = performance.now();
      await inStep(master);
      await master.kill();
      await connectedAnew(one, two);
      for (const instance of [one, two]) await isWhole(instance);
      expect(performance.now() - begun).toBeLessThan(30_000);
      const page = await one.read(tags[0]!);
      expect([page.previous, texts(page.messages)]).toEqual([{ epoch: before!.epoch, offset: 1 }, ["m0"]]);
      await hearEachOther([one, two]);
      await redis.rejoin(master);
    },
    timeoutMs,
  );

  test(
    "that change the master without a fault are followed, and those that are away are passed over",
    async () => {
      const redis = await opening;
      const url = urlOf(redis).replace("//", "//127.0.0.1:1,");
      await using one = await Instance.start(url);
      await using two = await Instance.start(url);
      await two.broker.subscribe(main, "#");
      const before = await redis.master();
      await redis.switchOver();
      await redis.promoted(before);
      await eventually(() => one.broker.stats().bridge.reconnects > 0, "the other master", 40_000);
      for (const instance of [one, two]) await isWhole(instance);
      await hearEachOther([one, two]);
    },
    timeoutMs,
  );

  test(
    "that have forgotten the master are asked again, by one connection at a time",
    async () => {
      await using redis = await RedisSentinel.start();
      const [address = ""] = redis.addresses;
      const port = Number(address.split(":")[1]);
      // Other Sentinels have names; the last is who asks.
      const links = async () =>
        String(await ask(port, "CLIENT", "LIST"))
          .split("\n")
          .filter((line) => line.includes(" name= ") && !line.includes("cmd=client")).length;
      expect(await links()).toBe(0);
      const { urls, sentinel } = readRedisAddress(`redis+sentinel://${address}/${redis.name}`);
      const { watch } = await new Sentinels({ urls, sentinel: sentinel! }).find();
      expect(await links()).toBe(1);
      for (let times = 0; times < 3; times++) {
        await ask(port, "SENTINEL", "REMOVE", redis.name);
        await watch.look();
        await ask(port, "SENTINEL", "MONITOR", redis.name, "127.0.0.1", `${redis.servers[0]!.port}`, "2");
        await watch.look();
      }
      await eventually(async () => (await links()) === 1, "one connection");
      watch[Symbol.dispose]();
      await eventually(async () => (await links()) === 0, "no connection");
    },
    timeoutMs,
  );

  test("that know no such master: a start is refused in words", async () => {
    const start = Instance.start(`redis+sentinel://${(await opening).addresses[0]}/other`);
    expect(start).rejects.toThrow('This Sentinel watches no master "other"');
    await start.catch(() => {});
  });

  test(
    "that name another one are believed, though the one before stays as it is",
    async () => {
      await using redis = await RedisSentinel.start();
      await using other = await RedisServer.start();
      await using one = await Instance.start(urlOf(redis));
      await using two = await Instance.start(other.url);
      await two.broker.subscribe(main, "#");
      await redis.watch(other);
      await eventually(() => one.broker.stats().bridge.reconnects > 0, "the other master", 40_000);
      await hearEachOther([one, two]);
    },
    timeoutMs,
  );
});
