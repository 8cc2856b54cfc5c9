/** Managed tokens in Redis: the contract of stores, and what holds while Redis is away, comes back, or has lost everything. */
import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { hashOf } from "../../../src/auth/secrets.ts";
import { copyMaxMs, SharedTokens } from "../../../src/auth/shared-tokens.ts";
import type { RedisBroker } from "../../../src/broker/redis.ts";
import { silentLogger } from "../../../src/core/logger.ts";
import type { StoreChange, TokenStoreError } from "../../../src/core/token-store.ts";
import { type Clock, systemClock } from "../../../src/lib/clock.ts";
import { CollectingFeed } from "../../contract/broker/kit.ts";
import { tokenStoreContract } from "../../contract/tokens.ts";
import { Conditions } from "../../harness/deadline.ts";
import { Proxy } from "../../harness/proxy.ts";
import { RedisServer } from "../../harness/redis.ts";
import { eventually, redisBroker } from "../../harness/redis-broker.ts";

const redis = await RedisServer.start({ config: ["--appendonly", "yes"] });
afterAll(() => redis[Symbol.asyncDispose]());
beforeEach(async () => {
  if (redis.pid === 0) await redis.run();
  await redis.flush();
});

const grants = { "plant/#": ["read"] } as const;

/** The store of one instance. */
class Holder implements AsyncDisposable {
  readonly broker: RedisBroker;
  readonly store: SharedTokens;
  readonly heard: StoreChange[] = [];
  readonly #conditions = new Conditions();

  constructor(clock: Clock, url: string) {
    this.broker = redisBroker(url, { clock });
    this.store = new SharedTokens({ ledger: this.broker.shared.ledger, clock, logger: silentLogger });
    this.store.onChange((change) => {
      this.heard.push(change);
      this.#conditions.check();
    });
  }

  static async start(clock: Clock = systemClock, url = redis.url): Promise<Holder> {
    const holder = new Holder(clock, url);
    await holder.broker.start(new CollectingFeed());
    return holder;
  }

  async kinds(count: number): Promise<readonly string[]> {
    await this.#conditions.until(() => this.heard.length >= count || undefined, `${count} changes`);
    return this.heard.map(({ kind }) => kind);
  }

  /** Settles once it is disconnected, or connected again. */
  async isReady(wanted: boolean): Promise<void> {
    await eventually(() => this.broker.ready() === wanted, `ready() ${wanted}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.broker.stop();
  }
}

tokenStoreContract("The store in Redis", async () => {
  const one = await Holder.start();
  const other = await Holder.start();
  return {
    one: one.store,
    other: other.store,
    settle: () => other.broker.shared.ledger.catchUp(),
    async close() {
      await Promise.all([one.broker.stop(), other.broker.stop()]);
    },
  };
});

describe("Tokens in Redis", () => {
  test("are told to other instances without being asked for", async () => {
    await using one = await Holder.start();
    await using two = await Holder.start();
    const { token } = await one.store.create({ name: "a", grants });
    const begun = performance.now();
    await one.store.revoke(token.id);
    expect(await two.kinds(1)).toEqual(["revoked"]);
    expect(performance.now() - begun).toBeLessThan(900);
  });

  test("stand in Redis without their secrets, and outlive all instances", async () => {
    const one = await Holder.start();
    const { token, secret } = await one.store.create({ name: "a", grants });
    await one.store.revokeIssued({ app: "main", jti: "j" });
    await one.broker.stop();
    const kept = await redis.command("HGET", "tc1:{all}:ledger", `t:${token.id}`);
    expect(kept).toContain(hashOf(secret));
    expect(kept).not.toContain(secret);
    await using two = await Holder.start();
    expect(await two.store.find(hashOf(secret))).toMatchObject({ name: "a" });
    expect(two.store.isRevoked({ app: "main", jti: "j", subject: "s", issuedAtMs: 1 })).toBe(true);
  });

  test("authenticate from the copy while Redis is away, for a minute, and cannot be edited", async () => {
    const ahead = { ms: 0 };
    const clock: Clock = {
      wallMs: () => systemClock.wallMs(),
      monotonicMs: () => systemClock.monotonicMs() + ahead.ms,
      every: systemClock.every,
      after: systemClock.after,
      endOfTurn: systemClock.endOfTurn,
    };
    await using one = await Holder.start(clock);
    const { token, secret } = await one.store.create({ name: "a", grants });
    await redis.kill();
    await one.isReady(false);
    expect(await one.store.find(hashOf(secret))).toEqual(token);
    const failed = async (run: () => unknown) =>
      ((await Promise.try(run).catch((error: unknown) => error)) as TokenStoreError).reason;
    expect(await failed(() => one.store.create({ name: "b", grants }))).toBe("unavailable");
    ahead.ms = copyMaxMs + 10_000;
    expect(await failed(() => one.store.find(hashOf(secret)))).toBe("unavailable");
    await redis.run();
    await one.isReady(true);
    expect(await one.store.find(hashOf(secret))).toEqual(token);
  });

  test("that are revoked elsewhere while an instance is cut off are revoked there before it serves again", async () => {
    using proxy = new Proxy(redis.port);
    await using one = await Holder.start(systemClock, `redis://127.0.0.1:${proxy.port}`);
    await using two = await Holder.start();
    const { token, secret } = await one.store.create({ name: "a", grants });
    proxy.cut();
    await one.isReady(false);
    await two.store.revoke(token.id);
    await two.store.revokeIssued({ app: "main", subject: "s" });
    expect([one.heard, await one.store.find(hashOf(secret))]).toEqual([[], token]);
    const ready: boolean[] = [];
    one.store.onChange(() => void ready.push(one.broker.ready()));
    proxy.mend();
    await one.isReady(true);
    expect(ready).toEqual([false, false]);
    expect(await one.store.find(hashOf(secret))).toBeNull();
  });

  test("are put back where Redis has lost everything, once, and revoked ones stay revoked", async () => {
    await using one = await Holder.start();
    await using two = await Holder.start();
    const { token, secret } = await one.store.create({ name: "a", grants });
    const { token: gone, secret: old } = await one.store.create({ name: "b", grants });
    await two.store.revoke(gone.id);
    expect(await one.kinds(1)).toEqual(["revoked"]);
    await redis.flush();
    await Promise.all([one.broker.shared.ledger.catchUp(), two.broker.shared.ledger.catchUp()]);
    await using three = await Holder.start();
    for (const { store } of [one, two, three]) {
      expect(await store.list()).toEqual([token]);
      expect([await store.find(hashOf(secret)), await store.find(hashOf(old))]).toEqual([token, null]);
    }
    expect(one.heard).toHaveLength(1);
  });

  test("that a newer version has written stay usable, and what cannot be read is left alone", async () => {
    await using one = await Holder.start();
    const { token, secret } = await one.store.create({ name: "a", grants });
    const field = `t:${token.id}`;
    await redis.command("HSET", "tc1:{all}:ledger", field, JSON.stringify({ ...token, colour: "red" }), "t:x", "{}");
    await using two = await Holder.start();
    expect(await two.store.list()).toEqual([token]);
    expect(await two.store.find(hashOf(secret))).toEqual(token);
    await two.store.create({ name: "b", grants });
    expect(await redis.command("HGET", "tc1:{all}:ledger", "t:x")).toBe("$2\r\n{}\r\n");
  });
});
