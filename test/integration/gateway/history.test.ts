/** Logs over real sockets: positions, recovery, pages, idempotency. */
import { describe, expect, test } from "bun:test";
import { op } from "../../../src/wire/messages.ts";
import { startServer } from "../../harness/server.ts";
import type { WireClient } from "../../harness/wire-client.ts";

const toml = `
[[tags]]
pattern = "log/#"
history = { size = 1000 }
[[tags]]
pattern = "short/#"
history = { size = 5 }
`;
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

/** Publishes `count` numbered payloads; the position of the last. */
async function fill(client: WireClient, tag: string, count: number, from = 1): Promise<[number, number]> {
  for (let i = from; i < from + count - 1; i++) client.send([op.publish, 0, tag, i]);
  return (await client.ok(op.publish, tag, from + count - 1))["position"] as [number, number];
}

describe("a subscriber that comes back", () => {
  test.each(["msgpack", "json"] as const)("gets exactly what it missed, then what is live (%s)", async (lane) => {
    await using server = await startServer({ toml });
    await using publisher = await server.connect();
    const [epoch] = await fill(publisher, "log/1", 10);
    await using client = await server.connect({ lane });
    // Publishing goes on while it recovers.
    for (let i = 11; i <= 40; i++) publisher.send([op.publish, 0, "log/1", i]);
    const result = await client.ok(op.subscribe, "log/1", { since: [epoch, 4] });
    expect(result).toMatchObject({ recovered: true, position: [epoch, expect.any(Number)] });
    await fill(publisher, "log/1", 20, 41);
    expect(await client.payloads(56)).toEqual(range(5, 60));
    expect((await client.messages(56)).map((message) => message[2])).toEqual(range(5, 60));
    expect(client.all(op.gap)).toEqual([]);
  });

  test("gets pages far larger than a frame", async () => {
    await using server = await startServer({ toml });
    await using publisher = await server.connect();
    const big = "x".repeat(10_000);
    for (let i = 1; i <= 300; i++) publisher.send([op.publish, 0, "log/1", `${i} ${big}`]);
    const { position } = await publisher.ok(op.publish, "log/1", "301 ");
    await using client = await server.connect();
    await client.ok(op.subscribe, "log/1", { since: [(position as number[])[0], 0] });
    const payloads = await client.payloads(301);
    expect(payloads.map((text) => Number.parseInt(String(text), 10))).toEqual(range(1, 301));
  });

  test("is told what the log no longer holds, before anything else of that tag", async () => {
    await using server = await startServer({ toml });
    await using publisher = await server.connect();
    const [epoch, top] = await fill(publisher, "short/1", 500);
    await using client = await server.connect();
    const result = await client.ok(op.subscribe, "short/1", { since: [epoch, 3] });
    expect(result).toEqual({ recovered: false, position: [epoch, top], start: expect.any(Number) });
    const messages = await client
      .until(() => client.received.at(-1)?.[2] === top, "the newest")
      .then(() => client.received.slice(2));
    const [gap, ...rest] = messages;
    const from = (gap?.[3] as number) + 1;
    expect(gap).toEqual([20, "short/1", 4, from - 1, { code: 202 }]);
    expect(from).toBeLessThanOrEqual(top - 4);
    expect(rest.map((message) => [message[2], message[3]])).toEqual(range(from, top).map((i) => [i, i]));
  });

  test("with a position of another epoch is told so, with the epoch that holds", async () => {
    await using server = await startServer({ toml });
    await using publisher = await server.connect();
    const [epoch] = await fill(publisher, "log/1", 3);
    await using client = await server.connect();
    const other = epoch === 1 ? 2 : epoch - 1;
    expect(await client.ok(op.subscribe, "log/1", { since: [other, 3] })).toMatchObject({ recovered: false });
    expect(await client.payloads(3)).toEqual([1, 2, 3]);
    expect(client.all(op.gap)).toEqual([[20, "log/1", null, 0, { code: 203, epoch }]]);
  });

  test("through a wildcard recovers each tag by its own position and hears of the others", async () => {
    await using server = await startServer({ toml });
    await using publisher = await server.connect();
    const [epochA] = await fill(publisher, "log/a", 5);
    const [epochB] = await fill(publisher, "log/b", 5);
    const [epochC] = await fill(publisher, "log/c", 2);
    await using client = await server.connect();
    const since = { "log/a": [epochA, 3], "log/b": [epochB, 5] };
    expect(await client.ok(op.subscribe, "log/+", { since })).toEqual({
      positions: { "log/a": [epochA, 5], "log/b": [epochB, 5] },
      unseen: [["log/c", epochC, 2]],
    });
    await fill(publisher, "log/c", 1, 3);
    expect((await client.messages(3)).map((message) => [message[1], message[2], message[6]])).toEqual([
      ["log/a", 4, epochA],
      ["log/a", 5, epochA],
      ["log/c", 3, epochC],
    ]);
  });

  test("may ask for the newest few of each log", async () => {
    await using server = await startServer({ toml });
    await using publisher = await server.connect();
    await fill(publisher, "log/a", 9);
    await fill(publisher, "log/b", 2);
    await using client = await server.connect();
    await client.ok(op.subscribe, "log/a", { last: 3 });
    expect(await client.payloads(3)).toEqual([7, 8, 9]);
    await client.ok(op.subscribe, "log/+", { last: 4 });
    expect((await client.payloads(7, "log/a")).slice(3)).toEqual([6, 7, 8, 9]);
    expect(await client.payloads(2, "log/b")).toEqual([1, 2]);
  });

  test("needs the grant history to ask for the past", async () => {
    await using server = await startServer({
      toml: `${toml}[[keys]]\nalgorithm = "HS256"\nsecret = "${"k".repeat(32)}"\n`,
    });
    const { mint } = await import("../../unit/auth/mint.ts");
    const claims = { sub: "a", exp: Date.now(), grants: { "#": ["subscribe" as const] } };
    await using client = await server.connect({ token: await mint(claims, {}, Buffer.from("k".repeat(32))) });
    expect(await client.refused(op.subscribe, "log/1", { last: 1 })).toBe(103);
    expect(await client.refused(op.subscribe, "log/1", { since: [1, 1] })).toBe(103);
    expect(await client.refused(op.history, "log/1")).toBe(103);
    await client.ok(op.subscribe, "log/1");
  });
});

describe("op 5", () => {
  test("pages through a log from the oldest, forwards", async () => {
    await using server = await startServer({ toml });
    await using client = await server.connect();
    const position = await fill(client, "log/1", 25);
    const [epoch] = position;
    const seen: unknown[] = [];
    let since: unknown;
    let pages = 0;
    for (let more = true; more; pages++) {
      const page = await client.ok(op.history, "log/1", { limit: 10, ...(since === undefined ? {} : { since }) });
      const messages = page["messages"] as unknown[][];
      expect(page["position"]).toEqual(position);
      expect(page["recovered"]).toBe(since === undefined ? undefined : true);
      seen.push(...messages.map((message) => message[1]));
      since = [epoch, messages.at(-1)?.[0]];
      more = page["more"] as boolean;
    }
    expect([seen, pages]).toEqual([range(1, 25), 3]);
  });

  test("answers the newest few, within 64 KiB or one message", async () => {
    await using server = await startServer({ toml });
    await using client = await server.connect();
    await fill(client, "log/1", 25);
    const newest = await client.ok(op.history, "log/1", { last: 2 });
    expect((newest["messages"] as unknown[][]).map(([offset]) => offset)).toEqual([24, 25]);
    for (let i = 0; i < 4; i++) await client.ok(op.publish, "log/2", "x".repeat(30_000));
    await client.ok(op.publish, "log/2", "x".repeat(100_000));
    const first = await client.ok(op.history, "log/2");
    expect([(first["messages"] as unknown[]).length, first["more"]]).toEqual([2, true]);
    const last = await client.ok(op.history, "log/2", { last: 1 });
    expect([(last["messages"] as unknown[]).length, last["more"]]).toEqual([1, false]);
  });

  test("is refused for what keeps no log, and for limits beyond the range", async () => {
    await using server = await startServer({ toml });
    await using client = await server.connect();
    expect(await client.refused(op.history, "live")).toBe(113);
    expect(await client.refused(op.history, "log/+")).toBe(108);
    expect(await client.refused(op.history, "log/1", { limit: 1001 })).toBe(107);
    const empty = await client.ok(op.history, "log/never");
    expect(empty).toEqual({ position: [expect.any(Number), 0], messages: [], more: false });
  });
});

describe("an idempotency id", () => {
  test("makes one message of what two connections of a subject publish", async () => {
    await using server = await startServer({ toml });
    await using first = await server.connect();
    await using reader = await server.connect();
    await reader.ok(op.subscribe, "log/1");
    const { position } = await first.ok(op.publish, "log/1", "once", { id: "order-66" });
    await first.close();
    await using second = await server.connect({ lane: "json" });
    expect(await second.ok(op.publish, "log/1", "once", { id: "order-66" })).toEqual({ position, repeated: true });
    const bytes = { $bin: Buffer.from("order-66").toString("base64") };
    expect(await second.ok(op.publish, "log/1", "once", { id: bytes })).toEqual({ position, repeated: true });
    expect(await second.ok(op.publish, "log/2", "once", { id: "order-66" })).toMatchObject({
      position: [expect.any(Number), 1],
    });
    await second.ok(op.publish, "log/1", "next", { id: "order-67" });
    expect(await reader.payloads(2)).toEqual(["once", "next"]);
  });

  test("counts within one frame too", async () => {
    await using server = await startServer({ toml });
    await using client = await server.connect();
    const twice = [1, 2].map((ref) => [op.publish, 700 + ref, "log/1", ref, { id: "x" }]);
    client.send(...twice);
    const [, , first] = await client.answer(701);
    expect(await client.answer(702)).toEqual([16, 702, { ...(first as object), repeated: true }]);
  });

  test("of another subject is another id", async () => {
    const secret = "k".repeat(32);
    const { mint } = await import("../../unit/auth/mint.ts");
    await using server = await startServer({ toml: `${toml}[[keys]]\nalgorithm = "HS256"\nsecret = "${secret}"\n` });
    const publish = async (sub: string) => {
      const claims = { sub, exp: Math.floor(Date.now() / 1000) + 60, grants: { "#": ["readwrite" as const] } };
      await using client = await server.connect({ token: await mint(claims, {}, Buffer.from(secret)) });
      return ((await client.ok(op.publish, "log/1", sub, { id: "1" }))["position"] as number[])[1];
    };
    expect([await publish("ann"), await publish("bob"), await publish("ann")]).toEqual([1, 2, 1]);
  });
});
