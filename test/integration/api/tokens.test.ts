/** Managed tokens over HTTP: what is made, edited and revoked here acts at once. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { openFileTokens } from "../../../src/auth/file-tokens.ts";
import { silentLogger } from "../../../src/core/logger.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import { op } from "../../../src/wire/messages.ts";
import { adminToken, scratchDirectory, startServer, type TestServer } from "../../harness/server.ts";
import { mint, secret } from "../../unit/auth/mint.ts";
import { Caller, problemOf } from "./caller.ts";

interface Created {
  readonly token: { readonly id: string } & Record<string, unknown>;
  readonly secret: string;
}

const draft = { name: "Pump 7", grants: { "plant/#": ["readwrite"] } };

async function create(caller: Caller, json: object = draft): Promise<Created> {
  const answer = await caller.call("/v1/tokens", { json });
  expect(answer.status).toBe(201);
  return answer.body as Created;
}

test("a token is created, works at once, is listed and shown without its secret", async () => {
  await using server = await startServer();
  const caller = new Caller(server);
  const answer = await caller.call("/v1/tokens", {
    json: { ...draft, client: "pump-7", connectionsMax: 2, bytesPerSecond: 64_000 },
  });
  const { token, secret } = answer.body as Created;
  expect(answer.status).toBe(201);
  expect(answer.headers.get("location")).toBe(`/v1/tokens/${token.id}`);
  expect(answer.headers.get("cache-control")).toBe("no-store");
  expect(token).toEqual({
    ...draft,
    id: token.id,
    subject: `token:${token.id}`,
    client: "pump-7",
    deny: {},
    expiresAtMs: null,
    connectionsMax: 2,
    messagesPerSecond: null,
    bytesPerSecond: 64_000,
    createdAtMs: expect.any(Number) as number,
  });
  await using client = await server.connect({ token: secret });
  expect(client.welcome["client"]).toBe("pump-7");
  expect((await caller.get(`/v1/tokens/${token.id}`)).body).toEqual(token);
  expect((await caller.get("/v1/tokens")).body).toEqual({ tokens: [token], more: false });
  expect(JSON.stringify(server.log.entries)).not.toContain(secret);
});

test("an edit acts on open connections", async () => {
  await using server = await startServer();
  const caller = new Caller(server);
  const { token, secret } = await create(caller);
  await using client = await server.connect({ token: secret });
  await client.ok(op.subscribe, "plant/7");
  await client.ok(op.subscribe, "plant/8");
  const json = {
    name: "Pump 8",
    grants: { "plant/8": ["read"] },
    expiresAtMs: Date.now() + 60_000,
    connectionsMax: null,
    messagesPerSecond: 0,
    bytesPerSecond: null,
  };
  const answer = await caller.call(`/v1/tokens/${token.id}`, { method: "PATCH", json });
  expect([answer.status, answer.body]).toEqual([200, { ...token, ...json }]);
  expect((await client.next(op.unsubscribed)).slice(1, 3)).toEqual(["plant/7", 2000]);
  expect(await client.refused(op.publish, "plant/8", 1)).toBe(103);
  const cleared = await caller.call(`/v1/tokens/${token.id}`, { method: "PATCH", json: { expiresAtMs: null } });
  expect(cleared.body).toEqual({ ...token, ...json, expiresAtMs: null });
  expect((await caller.call(`/v1/tokens/${token.id}`, { method: "PATCH", json: {} })).body).toEqual(cleared.body);
});

test("a revoked token ends its connections and is gone", async () => {
  await using server = await startServer();
  const caller = new Caller(server);
  const { token, secret } = await create(caller);
  await using client = await server.connect({ token: secret });
  expect((await caller.call(`/v1/tokens/${token.id}`, { method: "DELETE" })).status).toBe(204);
  expect((await client.ended()).farewell?.[1]).toBe(3502);
  expect(await new Caller(server, secret).problem("/v1/tokens")).toEqual([401, 117]);
  for (const call of [{}, { method: "DELETE" }, { method: "PATCH", json: {} }]) {
    expect(await caller.problem(`/v1/tokens/${token.id}`, call)).toEqual([404, 107]);
  }
  const told = server.log
    .of("audit")
    .map(({ fields }) => [fields["action"], fields["result"], fields["by"], fields["target"]]);
  expect(told).toContainEqual(["token.create", "done", "admin", token.id]);
  expect(told).toContainEqual(["token.revoke", "done", "admin", token.id]);
});

test("tokens are listed page by page", async () => {
  await using server = await startServer();
  const caller = new Caller(server);
  const ids: string[] = [];
  for (let i = 0; i < 3; i++) ids.push((await create(caller)).token.id);
  ids.sort();
  const listed = async (query: Record<string, string | number>) => {
    const { tokens, more } = (await caller.get("/v1/tokens", query)).body as {
      tokens: { id: string }[];
      more: boolean;
    };
    return [tokens.map(({ id }) => id), more];
  };
  expect(await listed({ limit: 2 })).toEqual([ids.slice(0, 2), true]);
  expect(await listed({ limit: 2, after: ids[1]! })).toEqual([ids.slice(2), false]);
});

test.each([
  [{ grants: {} }],
  [{ name: "x" }],
  [{ name: "", grants: {} }],
  [{ name: "x".repeat(256), grants: {} }],
  [{ name: "x", grants: { "a/#b": ["publish"] } }],
  [{ name: "x", grants: { a: ["fly"] } }],
  [{ name: "x", grants: [] }],
  [{ name: "x", grants: {}, app: "other" }],
  [{ name: "x", grants: {}, expiresAt: 1 }],
  [{ name: "x", grants: {}, expiresAtMs: "1" }],
  [{ name: "x", grants: {}, connectionsMax: 0 }],
  [{ name: "x", grants: {}, messagesPerSecond: -1 }],
  [{ name: "x", grants: {}, bytesPerSecond: 0.5 }],
  [{ name: "x", grants: {}, client: "x".repeat(65) }],
  ["text"],
])("a draft is refused: %p", async (json) => {
  await using server = await startServer();
  const caller = new Caller(server);
  expect(await caller.problem("/v1/tokens", { json })).toEqual([400, 107]);
  expect((await caller.get("/v1/tokens")).body).toEqual({ tokens: [], more: false });
});

describe("a body", () => {
  test.each([
    ["{", {}, [400, 102]],
    ["[".repeat(20), {}, [400, 121]],
    ["{}", { "content-type": "text/plain" }, [415, 107]],
    ["x".repeat(512 * 1024 + 1), {}, [413, 110]],
  ] as const)("is refused: %.20s %p", async (body, headers, refused) => {
    await using server = await startServer();
    const call = { body, headers: { "content-type": "application/json", ...headers } };
    expect(await new Caller(server).problem("/v1/tokens", call)).toEqual([...refused]);
  });
});

test("administrators see and change the tokens of their own application alone", async () => {
  const keys = `[[applications.acme.keys]]\nalgorithm = "HS256"\nsecret = "${secret}"\n`;
  await using server = await startServer({ toml: keys });
  const exp = Math.floor(Date.now() / 1000) + 600;
  const acme = new Caller(server, await mint({ sub: "boss", exp, grants: { "#": ["admin"] } }));
  const main = new Caller(server);
  const { token } = await create(main);
  const other = await create(acme);
  expect((await acme.get("/v1/tokens")).body).toEqual({ tokens: [other.token], more: false });
  for (const call of [{}, { method: "DELETE" }, { method: "PATCH", json: { name: "mine" } }]) {
    expect(await acme.problem(`/v1/tokens/${token.id}`, call)).toEqual([404, 107]);
  }
  expect((await main.get("/v1/tokens")).body).toEqual({ tokens: [token], more: false });
  expect((await new Caller(server, other.secret).publish({ tag: "plant/1", payload: 1 })).status).toBe(200);
});

test("a token is needed that administers everything", async () => {
  await using server = await startServer();
  const { secret } = await create(new Caller(server), { name: "x", grants: { "#": ["readwrite"], "a/#": ["admin"] } });
  const caller = new Caller(server, secret);
  const calls = [
    ["/v1/tokens", {}],
    ["/v1/tokens", { json: draft }],
    ["/v1/tokens/x", {}],
    ["/v1/tokens/x", { method: "PATCH", json: {} }],
    ["/v1/tokens/x", { method: "DELETE" }],
  ] as const;
  for (const [path, call] of calls) expect(await caller.problem(path, call)).toEqual([403, 103]);
});

/** A server with a token file, and a token in it for an application that is not configured. */
async function withFile(): Promise<{ server: TestServer; ghost: string; path: string } & AsyncDisposable> {
  const scratch = scratchDirectory();
  const path = join(scratch.path, "tokens.json");
  const store = await openFileTokens({ path, clock: systemClock, logger: silentLogger, follow: false });
  const { secret: ghost } = await store.create({ app: "ghost", name: "x", grants: { "#": ["readwrite", "admin"] } });
  await store.close();
  const server = await startServer({ flags: ["--tokens", path] });
  return {
    server,
    ghost,
    path,
    async [Symbol.asyncDispose]() {
      await server.stop();
      scratch[Symbol.dispose]();
    },
  };
}

test("the token of an application that is not configured is denied everything", async () => {
  await using file = await withFile();
  const caller = new Caller(file.server, file.ghost);
  expect(problemOf(await caller.publish({ tag: "a", payload: 1 }))).toEqual([403, 103]);
  for (const path of ["/v1/history?tag=a", "/v1/presence?tag=a", "/v1/tags", "/v1/connections", "/v1/tokens"]) {
    expect(await caller.problem(path)).toEqual([403, 103]);
  }
});

test("a store that cannot be written is not available now", async () => {
  await using file = await withFile();
  await Bun.write(file.path, "{");
  const answer = await new Caller(file.server).call("/v1/tokens", { json: draft });
  expect(problemOf(answer)).toEqual([503, 115]);
  expect(answer.headers.get("retry-after")).toBe("5");
  expect(file.server.log.of("request failed")).toHaveLength(1);
  expect(JSON.stringify(file.server.log.entries)).not.toContain(adminToken);
});
