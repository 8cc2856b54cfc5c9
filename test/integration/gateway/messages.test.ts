/** Publishing and subscribing over real sockets, in both forms of the wire. */
import { describe, expect, test } from "bun:test";
import { op } from "../../../src/wire/messages.ts";
import { startServer } from "../../harness/server.ts";

const toml = `
[[tags]]
pattern = "log/#"
history = { size = 100 }
[[tags]]
pattern = "kept/#"
retain = true
`;
const lanes = ["msgpack", "json"] as const;

describe.each(lanes)("on the %s lane", (lane) => {
  test("a message reaches its subscribers, through a wildcard with the pattern's name", async () => {
    await using server = await startServer({ toml });
    await using publisher = await server.connect();
    await using subscriber = await server.connect({ lane });
    for (const pattern of ["plant/7/temp", "plant/+/temp", "log/#"]) await subscriber.ok(op.subscribe, pattern);
    await publisher.ok(op.publish, "plant/7/temp", { c: 21.5 });
    const { position } = await publisher.ok(op.publish, "log/1", [1, "two", null]);
    const [epoch] = position as [number];
    const copies = await subscriber.messages(3);
    expect([...copies].sort((a, b) => a.length - b.length)).toEqual([
      [18, "plant/7/temp", null, { c: 21.5 }],
      [18, "plant/7/temp", null, { c: 21.5 }, null, "plant/+/temp"],
      [18, "log/1", 1, [1, "two", null], null, "log/#", epoch],
    ]);
  });

  test("messages of one connection arrive in the order of their publishing, whatever their size", async () => {
    await using server = await startServer({ toml });
    await using publisher = await server.connect({ lane });
    await using subscriber = await server.connect({ lane });
    await subscriber.ok(op.subscribe, "live");
    await subscriber.ok(op.subscribe, "log/1");
    const filler = (i: number) => "x".repeat(i % 50 === 7 ? 20_000 : i % 7);
    for (let i = 0; i < 300; i++) {
      publisher.send([op.publish, 0, "live", [i, filler(i)]], [op.publish, 0, "log/1", [i, filler(i)]]);
    }
    for (const tag of ["live", "log/1"]) {
      const payloads = (await subscriber.payloads(300, tag)) as [number, string][];
      expect(payloads.map(([i]) => i)).toEqual(Array.from({ length: 300 }, (_, i) => i));
      expect(payloads.every(([i, text]) => text === filler(i))).toBe(true);
    }
    const gathered = subscriber.frameSizes.filter((size) => size > 4096);
    expect(gathered.every((size) => size > 20_000 && size < 20_100)).toBe(true);
  });

  test("no message of a subscription follows the answer to its end", async () => {
    await using server = await startServer({ toml });
    await using client = await server.connect({ lane });
    await client.ok(op.subscribe, "a");
    client.send([op.publish, 0, "a", 1], [op.unsubscribe, 900, "a"], [op.publish, 0, "a", 2], [op.ping, 901]);
    await client.answer(901);
    expect(client.received.slice(2).map((message) => message.slice(0, 2))).toEqual([
      [18, "a"],
      [16, 900],
      [16, 901],
    ]);
  });

  test("echo: false keeps a connection's own messages from it, and from nobody else", async () => {
    await using server = await startServer({ toml });
    await using other = await server.connect({ lane });
    await using shy = await server.connect({ lane, options: { echo: false } });
    for (const client of [other, shy]) for (const pattern of ["a", "log/1"]) await client.ok(op.subscribe, pattern);
    shy.send([op.publish, 0, "a", 1], [op.publish, 0, "a", 2, { echo: true }], [op.publish, 0, "a", 3]);
    shy.send([op.publish, 0, "log/1", 1], [op.publish, 0, "log/1", 2, { echo: true }], [op.publish, 0, "log/1", 3]);
    await shy.ok(op.ping);
    await other.ok(op.publish, ["a", "log/1"], 4, { echo: false });
    for (const tag of ["a", "log/1"]) {
      expect(await shy.payloads(2, tag)).toEqual([2, 4]);
      expect(await other.payloads(3, tag)).toEqual([1, 2, 3]);
    }
    await shy.ok(op.publish, ["a", "log/1"], 5);
    for (const tag of ["a", "log/1"]) expect(await other.payloads(4, tag)).toEqual([1, 2, 3, 5]);
  });

  test("one publish to several tags is a message on each, told apart by nothing but the tag", async () => {
    await using server = await startServer({ toml });
    await using client = await server.connect({ lane });
    await client.ok(op.subscribe, "a");
    await client.ok(op.subscribe, "log/+");
    const { results } = await client.ok(op.publish, ["a", "log/1", "log/2"], "hi", { id: "m-1" });
    expect(results).toEqual([null, [expect.any(Number), 1], [expect.any(Number), 1]]);
    const copies = await client.messages(3);
    expect(copies.map((message) => [message[1], message[3], message[4]])).toEqual([
      ["a", "hi", { id: "m-1" }],
      ["log/1", "hi", { id: "m-1" }],
      ["log/2", "hi", { id: "m-1" }],
    ]);
    expect(await client.refused(op.publish, ["a", "not/#"], 1)).toBe(108);
    expect(await client.refused(op.publish, [], 1)).toBe(107);
    await client.ok(op.publish, "a", "last");
    expect((await client.payloads(4)).at(-1)).toBe("last");
  });

  test("what the broker does not take of one publish to several tags is told, also with ref 0", async () => {
    await using server = await startServer({ toml, flags: ["--logs-bytes-max", "1MiB", "--payload-max", "2MiB"] });
    await using client = await server.connect({ lane });
    await client.ok(op.subscribe, "a");
    const payload = "x".repeat(1024 * 1024);
    expect((await client.ok(op.publish, ["a", "log/1"], payload))["results"]).toEqual([null, 110]);
    client.send([op.publish, 0, ["a", "log/1"], payload]);
    expect((await client.next(op.error)).slice(0, 3)).toEqual([17, 0, 110]);
    expect(await client.messages(2)).toHaveLength(2);
  });

  test("a question finds its answer over private reply tags", async () => {
    await using server = await startServer({ toml });
    await using asker = await server.connect({ lane });
    await using answerer = await server.connect();
    const inbox = String(asker.welcome["reply"]);
    expect(inbox).toMatch(/^\$reply\/[0-9a-f]{32}$/);
    await answerer.ok(op.subscribe, "time");
    await asker.ok(op.subscribe, `${inbox}/#`);
    await asker.ok(op.publish, "time", "when?", { reply: `${inbox}/1` });
    const [, , , question, meta] = (await answerer.messages(1))[0]!;
    expect([question, meta]).toEqual(["when?", { reply: `${inbox}/1` }]);
    await answerer.ok(op.publish, (meta as { reply: string }).reply, "now");
    expect(await asker.messages(1)).toEqual([[18, `${inbox}/1`, null, "now", null, `${inbox}/#`]]);
    expect(await answerer.refused(op.subscribe, `${inbox}/#`)).toBe(103);
    await using reader = await server.connect();
    await reader.ok(op.subscribe, "#");
    await answerer.ok(op.publish, `${inbox}/1`, "again");
    await answerer.ok(op.publish, "time", "end");
    expect(await reader.payloads(1)).toEqual(["end"]);
  });

  test("a retained tag tells its last message to whoever comes, unless told from where on", async () => {
    await using server = await startServer({ toml });
    await using publisher = await server.connect();
    for (const i of [1, 2, 3]) await publisher.ok(op.publish, "kept/a", i);
    await publisher.ok(op.publish, "kept/b", "b");
    const { position } = await publisher.ok(op.publish, "kept/a", 4);
    await using client = await server.connect({ lane });
    expect(await client.ok(op.subscribe, "kept/a")).toEqual({ position, start: 3 });
    expect(await client.messages(1)).toEqual([[18, "kept/a", 4, 4]]);
    expect(client.received.map(([kind]) => kind)).toEqual([op.ok, op.ok, op.message]);
    await client.ok(op.subscribe, "kept/+");
    expect(new Set((await client.payloads(3)).slice(1))).toEqual(new Set([4, "b"]));
    await using late = await server.connect({ lane });
    await late.ok(op.subscribe, "kept/a", { since: position });
    await publisher.ok(op.publish, "kept/a", 5);
    expect(await late.payloads(1)).toEqual([5]);
  });
});

describe("a payload", () => {
  const values: readonly (readonly [string, unknown, unknown])[] = [
    ["bytes", new Uint8Array([0, 255, 1]), { $bin: "AP8B" }],
    ["an integer beyond 2^53", 2n ** 60n, { $int: "1152921504606846976" }],
    ["an infinity", Number.NEGATIVE_INFINITY, { $num: "-Infinity" }],
    ["a map that looks like a form", { $bin: 1 }, { $map: [["$bin", 1]] }],
    ["text", "grüße 🎈", "grüße 🎈"],
  ];

  test.each(values)("of %s crosses from one form of the wire to the other", async (_, _value, form) => {
    await using server = await startServer();
    await using json = await server.connect({ lane: "json" });
    await using other = await server.connect({ lane: "json" });
    await using msgpack = await server.connect();
    for (const client of [other, msgpack]) await client.ok(op.subscribe, "a");
    await json.ok(op.publish, "a", form);
    expect(await other.payloads(1)).toEqual([form]);
    const [payload] = await msgpack.payloads(1);
    // Sent back by a MessagePack library, it is the same form again.
    if (typeof payload !== "number" || Number.isSafeInteger(payload) || !Number.isFinite(payload)) {
      await msgpack.ok(op.publish, "a", payload);
      expect(await other.payloads(2)).toEqual([form, form]);
    }
  });
});
