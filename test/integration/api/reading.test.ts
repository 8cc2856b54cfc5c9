/** What can be read over HTTP: history, presence, live tags, connections. */
import { describe, expect, test } from "bun:test";
import { encode } from "@msgpack/msgpack";
import { op } from "../../../src/wire/messages.ts";
import { type ServerOptions, startServer } from "../../harness/server.ts";
import { mint, secret } from "../../unit/auth/mint.ts";
import { Caller, problemOf } from "./caller.ts";

const toml = `
[[tags]]
pattern = "log/#"
history = { size = 3 }

[[tags]]
pattern = "room/#"
presence = true

[[keys]]
algorithm = "HS256"
secret = "${secret}"

[[applications.acme.keys]]
algorithm = "HS256"
secret = "acme acme acme acme acme acme acme"
`;
const claims = (grants: object, sub = "user") => ({ sub, exp: Math.floor(Date.now() / 1000) + 600, grants });
const sign = (grants: object, sub?: string) => mint(claims(grants, sub));
const signAcme = () => mint(claims({ "#": ["readwrite", "admin"] }), {}, Buffer.from("acme ".repeat(7).trim()));
const start = (options: ServerOptions = {}) => startServer({ toml, ...options });

describe("history", () => {
  test("is read from the oldest, from a position, or the newest ones, page by page", async () => {
    await using server = await start();
    const caller = new Caller(server);
    const messages = [1, 2, 3, 4].map((payload) => ({ tag: "log/a", payload, reply: payload === 4 ? "r" : null }));
    const { results } = (await caller.publish({ messages })).body as { results: { position: [number, number] }[] };
    const [epoch] = results[0]!.position;
    const offsets = async (query: Record<string, string | number>): Promise<unknown> => {
      const { body } = await caller.get("/v1/history", { tag: "log/a", ...query });
      const { messages, more, position, recovered } = body as Record<string, never> & {
        messages: { offset: number }[];
      };
      expect(position).toEqual([epoch, 4] as never);
      return [messages.map(({ offset }) => offset), more, recovered];
    };
    expect(await offsets({})).toEqual([[2, 3, 4], false, undefined]);
    expect(await offsets({ limit: 2 })).toEqual([[2, 3], true, undefined]);
    expect(await offsets({ last: 1 })).toEqual([[4], false, undefined]);
    expect(await offsets({ since: `${epoch}:3` })).toEqual([[4], false, true]);
    expect(await offsets({ since: `${epoch}:0` })).toEqual([[2, 3, 4], false, false]);
    expect(await offsets({ since: `${epoch + 1}:3` })).toEqual([[2, 3, 4], false, false]);
    const { body } = await caller.get("/v1/history", { tag: "log/a", last: 2 });
    const before = Date.now();
    expect(body).toMatchObject({
      messages: [
        { offset: 3, payload: 3, meta: null },
        { offset: 4, payload: 4, meta: { reply: "r" } },
      ],
    });
    const [{ timeMs }] = (body as { messages: [{ timeMs: number }] }).messages;
    expect(Math.abs(before - timeMs)).toBeLessThan(60_000);
  });

  test.each([
    [{}, 107],
    [{ tag: "" }, 108],
    [{ tag: "log/+" }, 108],
    [{ tag: "log/a", limit: 0 }, 107],
    [{ tag: "log/a", limit: 1001 }, 107],
    [{ tag: "log/a", limit: "many" }, 107],
    [{ tag: "log/a", limit: ["1", "2"] }, 107],
    [{ tag: "log/a", last: 0 }, 107],
    [{ tag: "log/a", since: "1" }, 107],
    [{ tag: "log/a", since: "0:1" }, 107],
    [{ tag: "log/a", since: "4294967296:1" }, 107],
    [{ tag: "log/a", since: "1:9999999999999999" }, 107],
  ] as const)("with the query %p is refused", async (query, code) => {
    await using server = await start();
    expect(problemOf(await new Caller(server).get("/v1/history", query))).toEqual([400, code]);
  });

  test("needs the grant, and a rule that keeps a log", async () => {
    await using server = await start();
    const caller = new Caller(server, await sign({ "live/#": ["history"] }));
    expect(problemOf(await caller.get("/v1/history", { tag: "log/a" }))).toEqual([403, 103]);
    expect(problemOf(await caller.get("/v1/history", { tag: "$reply/a" }))).toEqual([403, 103]);
    expect(problemOf(await caller.get("/v1/history", { tag: "live/a" }))).toEqual([404, 113]);
  });
});

describe("presence", () => {
  test("lists who is subscribed, with what they say of themselves", async () => {
    await using server = await start();
    await using client = await server.connect({ options: { client: "anna" } });
    await client.ok(op.subscribe, "room/1", { info: { mood: "fine", raw: new Uint8Array([1]) } });
    const { body } = await new Caller(server).get("/v1/presence", { tag: "room/1" });
    expect(body).toMatchObject({
      count: 1,
      members: [{ client: "anna", info: { mood: "fine", raw: { $bin: "AQ==" } } }],
    });
  });

  test("needs the grant, and a rule that keeps it", async () => {
    await using server = await start();
    const caller = new Caller(server, await sign({ "live/#": ["presence"] }));
    expect(problemOf(await caller.get("/v1/presence", { tag: "room/1" }))).toEqual([403, 103]);
    expect(problemOf(await caller.get("/v1/presence", { tag: "live/a" }))).toEqual([404, 120]);
    expect(problemOf(await caller.get("/v1/presence", { tag: "a/#" }))).toEqual([400, 108]);
  });
});

describe("live tags", () => {
  test("are listed in order with their subscribers, and where their log stands", async () => {
    await using server = await start();
    await using a = await server.connect();
    await using b = await server.connect({ lane: "json" });
    for (const pattern of ["log/a", "plant/+/temp", "#", "z"]) await a.ok(op.subscribe, pattern);
    for (const pattern of ["log/a", `${b.welcome["reply"]}/#`]) await b.ok(op.subscribe, pattern);
    const caller = new Caller(server);
    await caller.publish({ tag: "log/a", payload: 1 });
    const { body } = await caller.get("/v1/tags");
    const { tags } = body as { tags: { pattern: string; log?: [number, number] }[] };
    expect(tags.map(({ pattern }) => pattern)).toEqual(["#", "log/a", "plant/+/temp", "z"]);
    expect(tags[1]).toEqual({ pattern: "log/a", subscribers: 2, log: [expect.any(Number), 1] } as never);
    expect(tags[0]).toEqual({ pattern: "#", subscribers: 1 } as never);
  });

  test("are those that the pattern covers, page by page, and only while they are subscribed to", async () => {
    await using server = await start();
    await using client = await server.connect();
    for (const pattern of ["a/1", "a/2", "a/#", "#", "b"]) await client.ok(op.subscribe, pattern);
    const caller = new Caller(server, await sign({ "a/#": ["admin"] }));
    const listed = async (query: Record<string, string | number>) => {
      const { tags, more } = (await caller.get("/v1/tags", query)).body as {
        tags: { pattern: string }[];
        more: boolean;
      };
      return [...tags.map(({ pattern }) => pattern), more];
    };
    expect(await listed({ pattern: "a/#" })).toEqual(["a/#", "a/1", "a/2", false]);
    expect(await listed({ pattern: "a/#", limit: 2 })).toEqual(["a/#", "a/1", true]);
    expect(await listed({ pattern: "a/#", limit: 2, after: "a/1" })).toEqual(["a/2", false]);
    expect(await listed({ pattern: "a/+" })).toEqual(["a/1", "a/2", false]);
    await client.ok(op.unsubscribe, "a/1");
    expect(await listed({ pattern: "a/1" })).toEqual([false]);
    expect(problemOf(await caller.get("/v1/tags"))).toEqual([403, 103]);
    expect(problemOf(await caller.get("/v1/tags", { pattern: "a+" }))).toEqual([400, 109]);
    expect(problemOf(await new Caller(server).get("/v1/tags", { pattern: "$reply/#" }))).toEqual([403, 103]);
  });
});

describe("connections", () => {
  test("are listed oldest first, with who they are", async () => {
    await using server = await start();
    await using anna = await server.connect({ options: { client: "anna" } });
    await using ben = await server.connect({ token: await sign({}, "ben"), lane: "json", options: { client: "b" } });
    await using stranger = await server.dial();
    stranger.send([op.ping, 1]);
    await stranger.answer(1);
    await anna.ok(op.subscribe, "a");
    const { body } = await new Caller(server).get("/v1/connections");
    const { connections, more } = body as { connections: Record<string, unknown>[]; more: boolean };
    expect(more).toBe(false);
    expect(connections).toMatchObject([
      {
        id: anna.welcome["session"],
        client: "anna",
        subject: "admin",
        form: "msgpack",
        subscriptions: 1,
        bufferedBytes: 0,
      },
      { id: ben.welcome["session"], client: "b", subject: "ben", tokenId: "jwt:", form: "json", subscriptions: 0 },
    ]);
    expect(Math.abs(Date.now() - (connections[0]!["openedAtMs"] as number))).toBeLessThan(60_000);
    expect(connections[1]!["expiresAtMs"]).toBeGreaterThan(Date.now());
  });

  test("are found by client and subject, and read page by page", async () => {
    await using server = await start();
    await using a = await server.connect({ options: { client: "one" } });
    await using b = await server.connect({ options: { client: "two" } });
    await using c = await server.connect({ token: await sign({}, "ben"), options: { client: "two" } });
    const ids = [a, b, c].map((client) => client.welcome["session"]);
    const caller = new Caller(server);
    const listed = async (query: Record<string, string | number>) => {
      const { body } = await caller.get("/v1/connections", query);
      const { connections, more } = body as { connections: { id: string; generation: number }[]; more: boolean };
      return { ids: connections.map(({ id }) => id), more, last: connections.at(-1)?.generation ?? 0 };
    };
    expect((await listed({ client: "two" })).ids as unknown[]).toEqual(ids.slice(1));
    expect((await listed({ client: "two", subject: "admin" })).ids as unknown[]).toEqual([ids[1]]);
    const page = await listed({ limit: 2 });
    expect([page.ids, page.more] as unknown[]).toEqual([ids.slice(0, 2), true]);
    expect((await listed({ limit: 2, after: page.last })) as unknown).toMatchObject({ ids: ids.slice(2), more: false });
  });

  test("show what they are subscribed to, but for private tags", async () => {
    await using server = await start();
    await using client = await server.connect();
    for (const pattern of ["a", `${client.welcome["reply"]}/#`]) await client.ok(op.subscribe, pattern);
    const { body } = await new Caller(server).get(`/v1/connections/${client.welcome["session"]}`);
    expect(body).toMatchObject({ id: client.welcome["session"], subscriptions: 2, patterns: ["a"] });
    expect(JSON.stringify(body)).not.toContain(client.welcome["reply"] as string);
  });

  test.each([
    ["", 3504],
    ["?reconnect=false", 3504],
    ["?reconnect=true", 3008],
  ])("are ended by DELETE%s with %d", async (query, code) => {
    await using server = await start();
    await using client = await server.connect();
    const caller = new Caller(server);
    const path = `/v1/connections/${client.welcome["session"]}`;
    expect((await caller.call(path + query, { method: "DELETE" })).status).toBe(204);
    expect((await client.ended()).farewell?.[1]).toBe(code);
    expect(await caller.problem(path, { method: "DELETE" })).toEqual([404, 107]);
    expect(server.log.of("connection ended by an administrator")).toMatchObject([{ fields: { by: "admin" } }]);
  });

  test("of another application cannot be seen or ended", async () => {
    await using server = await start();
    await using client = await server.connect();
    const acme = new Caller(server, await signAcme());
    const path = `/v1/connections/${client.welcome["session"]}`;
    expect((await acme.get("/v1/connections")).body).toEqual({ connections: [], more: false });
    expect(await acme.problem(path)).toEqual([404, 107]);
    expect(await acme.problem(path, { method: "DELETE" })).toEqual([404, 107]);
    expect((await acme.get("/v1/tags")).body).toEqual({ tags: [], more: false });
    expect(await client.ok(op.ping)).toEqual({});
  });

  test("need the grant admin on everything", async () => {
    await using server = await start();
    const caller = new Caller(server, await sign({ "a/#": ["admin"], "#": ["readwrite"] }));
    const denied = new Caller(server, await mint({ ...claims({ "#": ["admin"] }), deny: { "a/b": ["admin"] } }));
    for (const path of ["/v1/connections", "/v1/connections/x"]) {
      expect(await caller.problem(path)).toEqual([403, 103]);
      expect(await denied.problem(path)).toEqual([403, 103]);
    }
  });
});

test("answers are MessagePack where the client prefers it", async () => {
  await using server = await start();
  const caller = new Caller(server);
  const type = async (accept: string) => {
    const { headers, bytes } = await caller.call("/v1/connections", { headers: { accept } });
    return [headers.get("content-type"), bytes.length];
  };
  const packed = ["application/msgpack", encode({ connections: [], more: false }).length];
  const text = ["application/json", '{"connections":[],"more":false}\n'.length];
  expect(await type("application/msgpack")).toEqual(packed);
  expect(await type("application/json;q=0.5, application/msgpack")).toEqual(packed);
  expect(await type("*/*")).toEqual(text);
  expect(await type("application/msgpack;q=0.1, application/json")).toEqual(text);
  expect(await type("text/html")).toEqual(text);
});
