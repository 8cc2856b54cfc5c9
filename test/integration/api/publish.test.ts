/** Publishing over HTTP: every form of a body, up to the subscriber on a WebSocket. */
import { describe, expect, test } from "bun:test";
import { decode, encode, ExtData } from "@msgpack/msgpack";
import { op } from "../../../src/wire/messages.ts";
import { startServer } from "../../harness/server.ts";
import { mint, secret } from "../../unit/auth/mint.ts";
import { Caller, pathWith, problemOf } from "./caller.ts";

const toml = `
[[tags]]
pattern = "log/#"
history = { size = 100 }

[[keys]]
algorithm = "HS256"
secret = "${secret}"
`;
const msgpack = "application/msgpack";
const publish = (query: Parameters<typeof pathWith>[1] = {}) => pathWith("/v1/publish", query);
const sign = (grants: object, sub = "user") => mint({ sub, exp: Math.floor(Date.now() / 1000) + 600, grants });

test("a message reaches a subscriber of a live-only tag", async () => {
  await using server = await startServer();
  await using client = await server.connect();
  await client.ok(op.subscribe, "plant/+");
  const answer = await new Caller(server).publish({ tag: "plant/7", payload: { temp: 21.5 }, reply: "answers" });
  expect([answer.status, answer.body]).toEqual([200, {}]);
  const [message] = await client.messages(1);
  expect(message).toEqual([op.message, "plant/7", null, { temp: 21.5 }, { reply: "answers" }, "plant/+"]);
});

test("a message to a log is answered with its position once the log has it, and delivered at it", async () => {
  await using server = await startServer({ toml });
  await using client = await server.connect({ lane: "json" });
  const { position } = await client.ok(op.subscribe, "log/a");
  const caller = new Caller(server);
  const [epoch] = position as [number, number];
  expect((await caller.publish({ tag: "log/a", payload: 1 })).body).toEqual({ position: [epoch, 1] });
  expect((await caller.publish({ tag: "log/a", payload: 2 })).body).toEqual({ position: [epoch, 2] });
  expect(await client.messages(2)).toEqual([
    [op.message, "log/a", 1, 1],
    [op.message, "log/a", 2, 2],
  ]);
});

describe("a bare payload", () => {
  test.each([
    ["application/json", '{"a":[1,2.5]}', { a: [1, 2.5] }],
    ["application/json; charset=utf-8", '"text"', "text"],
    ["application/json", '{"$bin":"AAH/"}', new Uint8Array([0, 1, 255])],
    ["text/plain", "grüße", "grüße"],
    ["text/plain;charset=UTF-8", "", ""],
    ["application/octet-stream", new Uint8Array([0, 255]), new Uint8Array([0, 255])],
    [msgpack, encode({ a: new ExtData(5, new Uint8Array([1])) }), { a: new ExtData(5, new Uint8Array([1])) }],
    ["application/x-msgpack", encode(7), 7],
    ["application/vnd.msgpack", encode(null), null],
  ] as const)("of type %s is published: %p", async (type, body, payload) => {
    await using server = await startServer();
    await using client = await server.connect();
    await client.ok(op.subscribe, "a");
    const answer = await new Caller(server).call(publish({ tag: "a" }), { body, headers: { "content-type": type } });
    expect([answer.status, answer.body]).toEqual([200, {}]);
    expect(await client.payloads(1)).toEqual([payload]);
  });

  test("takes id and reply from the query, and several tags", async () => {
    await using server = await startServer({ toml });
    await using client = await server.connect();
    await client.ok(op.subscribe, "live");
    const caller = new Caller(server);
    const call = { body: "hi", headers: { "content-type": "text/plain" } };
    const one = await caller.call(publish({ tag: "log/a", id: "k" }), call);
    const again = await caller.call(publish({ tag: "log/a", id: "k" }), call);
    expect(again.body).toEqual({ ...(one.body as object), repeated: true });
    const several = await caller.call(publish({ tag: ["live", "log/a"], id: "m", reply: "r" }), call);
    const { position } = one.body as { position: [number, number] };
    expect(several.body).toEqual({ results: [null, [position[0], 2]] });
    expect((await client.messages(1))[0]).toEqual([op.message, "live", null, "hi", { id: "m", reply: "r" }]);
  });

  test.each([
    ["application/json", "{", 102],
    ["application/json", "", 102],
    ["application/json", "[".repeat(300) + "]".repeat(300), 121],
    ["application/json", '{"$bin":"?"}', 107],
    ["application/json", '"\\ud800"', 107],
    ["text/plain", new Uint8Array([0xff]), 102],
    [msgpack, new Uint8Array([0x92, 1]), 102],
    [msgpack, new Uint8Array([1, 2]), 102],
    [msgpack, new Uint8Array([0xc1]), 102],
    [msgpack, new Uint8Array(), 102],
    [msgpack, new Uint8Array(66).fill(0x91), 121],
    [msgpack, new Uint8Array([0xdd, 0xff, 0xff, 0xff, 0xff]), 102],
  ] as const)("that is wrong is refused: %s %p", async (type, body, code) => {
    await using server = await startServer();
    const call = { method: "POST", body, headers: { "content-type": type } };
    expect(await new Caller(server).problem(publish({ tag: "a" }), call)).toEqual([400, code]);
  });
});

describe("a MessagePack body", () => {
  test("is a message whose payload is passed on byte by byte", async () => {
    await using server = await startServer({ toml });
    await using client = await server.connect();
    await client.ok(op.subscribe, "log/a");
    // 1 as an int of 64 bits, and a key that is twice there: what a decoder would not give back.
    const payload = [0x82, 0xa1, 0x6b, 0xd3, 0, 0, 0, 0, 0, 0, 0, 1, 0xa1, 0x6b, 0xc0];
    const body = Buffer.from([
      0x83,
      ...encode("payload"),
      ...payload,
      ...encode("tag"),
      ...encode("log/a"),
      ...encode("x"),
      1,
    ]);
    const caller = new Caller(server);
    const answer = await caller.call(publish(), { body, headers: { "content-type": msgpack, accept: msgpack } });
    expect(answer.headers.get("content-type")).toBe(msgpack);
    const { position } = decode(answer.bytes) as { position: [number, number] };
    expect(position[1]).toBe(1);
    const page = await caller.call("/v1/history?tag=log/a", { headers: { accept: msgpack } });
    expect(Buffer.from(page.bytes).includes(Buffer.from(payload))).toBe(true);
  });

  test("is a batch", async () => {
    await using server = await startServer({ toml });
    const messages = [
      { tag: "log/a", payload: 1, id: new Uint8Array([1, 2]) },
      { tags: ["log/a", "b"], payload: [], reply: null },
      { tag: "log/a", payload: 1, id: "\u0001\u0002" },
      "no map",
      { tag: 5, payload: 1 },
      { tag: "log/a" },
    ];
    const answer = await new Caller(server).call(publish(), {
      body: encode({ messages }),
      headers: { "content-type": msgpack },
    });
    const { results } = answer.body as { results: unknown[] };
    const [epoch] = (results[0] as { position: [number, number] }).position;
    expect(results.slice(0, 3)).toEqual([
      { position: [epoch, 1] },
      { results: [[epoch, 2], null] },
      { position: [epoch, 1], repeated: true },
    ]);
    expect(results.slice(3).map((result) => (result as { code: number }).code)).toEqual([107, 107, 107]);
  });

  test.each([
    ["no map", encode([1])],
    ["more than one value", Buffer.concat([encode({ tag: "a", payload: 1 }), encode(1)])],
    ["cut short", encode({ tag: "a", payload: "text" }).slice(0, -1)],
    ["a batch that is no list", encode({ messages: 1 })],
    ["an empty batch", encode({ messages: [] })],
    ["a batch beyond 1,000", encode({ messages: Array.from({ length: 1001 }, () => ({ tag: "a", payload: 1 })) })],
    ["nothing but unknown keys", encode({ x: { y: 1 }, 5: 1 })],
  ])("that is %s is refused as a whole", async (_, body) => {
    await using server = await startServer();
    const [status] = await new Caller(server).problem(publish(), { body, headers: { "content-type": msgpack } });
    expect(status).toBe(400);
  });
});

test("a batch is published in order tag by tag, and each message succeeds or fails by itself", async () => {
  await using server = await startServer({ toml });
  await using client = await server.connect();
  await client.ok(op.subscribe, "log/#");
  const token = await sign({ "log/#": ["publish"] });
  const messages = [
    { tag: "log/a", payload: "first" },
    { tag: "other", payload: 1 },
    { tag: "log/+", payload: 1 },
    { tag: "log/b", payload: null },
    { tag: "log/a", tags: ["log/b"], payload: 1 },
    { tag: "log/a" },
    { tags: ["log/a", "other"], payload: 1 },
    { tag: "log/a", payload: "last" },
  ];
  const answer = await new Caller(server, token).publish({ messages });
  expect(answer.status).toBe(200);
  const { results } = answer.body as { results: { position?: [number, number]; code?: number }[] };
  expect(results.map(({ position, code }) => position?.[1] ?? -code!)).toEqual([1, -103, -108, 1, -107, -107, -103, 2]);
  expect(await client.payloads(2, "log/a")).toEqual(["first", "last"]);
  expect(await client.payloads(1, "log/b")).toEqual([null]);
});

test("the id of a publish counts for the subject of the credential, over whatever way it comes", async () => {
  await using server = await startServer({ toml });
  const [anna, ben] = [await sign({ "#": ["readwrite"] }, "anna"), await sign({ "#": ["readwrite"] }, "ben")];
  await using client = await server.connect({ token: anna });
  const first = await client.ok(op.publish, "log/a", 1, { id: "same" });
  const message = { tag: "log/a", payload: 1, id: "same" };
  expect((await new Caller(server, anna).publish(message)).body).toEqual({ ...first, repeated: true });
  const [epoch] = first["position"] as [number, number];
  expect((await new Caller(server, ben).publish(message)).body).toEqual({ position: [epoch, 2] });
});

test("private reply tags may be published to without a grant", async () => {
  await using server = await startServer({ toml });
  await using client = await server.connect();
  const tag = `${client.welcome["reply"]}/1`;
  await client.ok(op.subscribe, tag);
  const nobody = new Caller(server, await sign({}));
  expect((await nobody.publish({ tag, payload: "here" })).body).toEqual({});
  expect(await client.payloads(1)).toEqual(["here"]);
  expect(problemOf(await nobody.publish({ tag: "$reply/x", payload: 1 }))).toEqual([403, 103]);
});

describe("a body", () => {
  const KiB = 1024;
  const bound = 2 * KiB + 64 * KiB;
  const flags = ["--payload-max", "1KiB"];
  const octets = { "content-type": "application/octet-stream" };

  test("with a payload up to the bound is taken, one byte more is refused", async () => {
    await using server = await startServer({ flags });
    const caller = new Caller(server);
    const of = (bytes: number) => caller.call(publish({ tag: "a" }), { body: new Uint8Array(bytes), headers: octets });
    expect((await of(KiB - 3)).status).toBe(200);
    expect(problemOf(await of(KiB - 2))).toEqual([413, 110]);
    const { body } = await caller.publish({
      messages: [
        { tag: "a", payload: "x".repeat(KiB) },
        { tag: "a", payload: 1 },
      ],
    });
    expect(body).toMatchObject({ results: [{ code: 110 }, {}] });
  });

  test("beyond the bound is refused by its length, before it is read", async () => {
    await using server = await startServer({ flags });
    const body = new Uint8Array(bound + 1);
    const call = { body, headers: octets };
    expect(await new Caller(server).problem(publish({ tag: "a" }), call)).toEqual([413, 110]);
  });

  test("without a length is refused once it goes beyond the bound", async () => {
    await using server = await startServer({ flags });
    let sent = 0;
    const body = new ReadableStream({
      async pull(controller) {
        controller.enqueue(new Uint8Array(16 * KiB));
        sent += 16 * KiB;
        await new Promise((done) => setImmediate(done));
        if (sent > 100 * bound) controller.close();
      },
    });
    expect(await new Caller(server).problem(publish({ tag: "a" }), { body, headers: octets })).toEqual([413, 110]);
  });

  test("of another type is refused, with the types that there are", async () => {
    await using server = await startServer();
    const caller = new Caller(server);
    const form = { body: "hi", headers: { "content-type": "application/x-www-form-urlencoded" } };
    expect(await caller.problem(publish({ tag: "a" }), form)).toEqual([415, 107]);
    expect(await caller.problem(publish(), { body: "hi", headers: { "content-type": "text/plain" } })).toEqual([
      415, 107,
    ]);
  });

  test("that is a message does not go with id or reply in the query", async () => {
    await using server = await startServer();
    expect(problemOf(await new Caller(server).publish({ tag: "a", payload: 1 }, { id: "x" }))).toEqual([400, 107]);
  });
});

test.each([
  ["a list", [], 107],
  ["null", null, 107],
  ["neither tag nor tags", { payload: 1 }, 107],
  ["no tags", { tags: [], payload: 1 }, 107],
  ["17 tags", { tags: new Array(17).fill("a"), payload: 1 }, 107],
  ["no payload", { tag: "a" }, 107],
  ["a wildcard", { tag: "a/#", payload: 1 }, 108],
  ["a wildcard among the tags", { tags: ["a", "+"], payload: 1 }, 108],
  ["an empty id", { tag: "a", payload: 1, id: "" }, 107],
  ["an id of 33 bytes", { tag: "a", payload: 1, id: "x".repeat(33) }, 107],
  ["an id that is not base64", { tag: "a", payload: 1, id: { $bin: "?" } }, 107],
  ["a reply that is no tag", { tag: "a", payload: 1, reply: "#" }, 108],
  ["messages that are no list", { messages: {} }, 107],
  ["no messages", { messages: [] }, 107],
])("a message with %s is refused", async (_, message, code) => {
  await using server = await startServer();
  expect(problemOf(await new Caller(server).publish(message))).toEqual([400, code]);
});
