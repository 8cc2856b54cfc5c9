/**
 * Every op and every route with every kind of credential: allowed or refused, by the right code. The expectation is that
 * of `privilege-table.ts`.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { op } from "../../../src/wire/messages.ts";
import { EventClient } from "../../harness/event-client.ts";
import { startConfigured } from "../../harness/configured-process.ts";
import { adminToken, type ServerProcess } from "../../harness/server.ts";
import { WireClient } from "../../harness/wire-client.ts";
import { Caller } from "../../integration/api/caller.ts";
import { ApiDocument } from "../../integration/api/document.ts";
import { mint, secret } from "../../unit/auth/mint.ts";
import {
  type Holder,
  holders,
  mayAll,
  places,
  type RouteRow,
  routeRows,
  type WireRow,
  wireRows,
} from "./privilege-table.ts";

const otherSecret = "another secret of thirty-two bytes or more";
const rules = (table: string) => `
[[${table}]]
pattern = "#"
history = { size = 10 }
presence = true
`;
const keys = (table: string, text: string) => `
[[${table}]]
algorithm = "HS256"
secret = "${text}"
`;
const toml = [
  rules("tags"),
  keys("keys", secret),
  "[applications.other]",
  rules("applications.other.tags"),
  keys("applications.other.keys", otherSecret),
].join("\n");
const encoder = new TextEncoder();
const nowSeconds = Math.floor(Date.now() / 1000);

let server: ServerProcess;
let administrators: Readonly<Record<"main" | "other", Caller>>;

/** A JWT of either application; claims are those of everybody, unless given. */
function jwt(app: "main" | "other", claims: object): Promise<string> {
  const key = encoder.encode(app === "main" ? secret : otherSecret);
  return mint({ sub: "somebody", exp: nowSeconds + 3600, iat: nowSeconds, ...claims }, {}, key);
}

async function managed(
  app: "main" | "other",
  draft: object,
): Promise<{ readonly id: string; readonly secret: string }> {
  const { status, body } = await administrators[app].call("/v1/tokens", { json: { name: "n", ...draft } });
  expect(status).toBe(201);
  const created = body as { token: { id: string }; secret: string };
  return { id: created.token.id, secret: created.secret };
}

beforeAll(async () => {
  server = await startConfigured({ toml });
  const other = await jwt("other", { grants: { "#": ["admin"] } });
  administrators = { main: new Caller(server), other: new Caller(server, other) };
});
afterAll(() => server[Symbol.asyncDispose]());

/** 0: it was done; otherwise the code that refused it. */
async function byWire(row: WireRow, token: string | null): Promise<number> {
  await using client = await server.dial();
  const credential = token === null ? {} : { token };
  if (row.op === op.connect) return answered(await client.request(op.connect, credential));
  if (token !== null) {
    const refusal = answered(await client.request(op.connect, credential));
    if (refusal !== 0) return refusal;
  }
  const fields = row.fields.map((field) => (field === "token" ? (token ?? "none") : field));
  return answered(await client.request(row.op, ...fields));
}

function answered(message: readonly unknown[]): number {
  return message[0] === op.ok ? 0 : (message[2] as number);
}

interface HttpAnswer {
  readonly status: number;
  /** Of a problem document, else null. */
  readonly code: number | null;
}

async function byHttp({ route, path, json }: RouteRow, token: string | null): Promise<HttpAnswer> {
  const abort = new AbortController();
  const response = await fetch(server.http + path, {
    method: route.split(" ")[0] ?? "",
    headers: {
      ...(token !== null && { authorization: `Bearer ${token}` }),
      ...(json !== undefined && { "content-type": "application/json" }),
    },
    ...(json !== undefined && { body: JSON.stringify(json) }),
    signal: abort.signal,
  });
  const { status } = response;
  const isProblem = response.headers.get("content-type") === "application/problem+json";
  const code = isProblem ? ((await response.json()) as { code: number }).code : null;
  abort.abort();
  return { status, code };
}

const ways = ["JWT", "managed token"] as const;
const everybody = holders.flatMap((holder) => ways.map((way) => [`${holder.name}, ${way}`, holder, way] as const));

async function tokenOf({ app, client, grants, deny = {} }: Holder, way: (typeof ways)[number]): Promise<string> {
  const claims = { grants, deny, ...(client !== undefined && { client }) };
  return way === "JWT" ? jwt(app ?? "main", claims) : (await managed(app ?? "main", claims)).secret;
}

describe.each(everybody)("%s", (_, holder, way) => {
  test("over the wire", async () => {
    const token = await tokenOf(holder, way);
    const found = await Promise.all(wireRows.map(async (row) => [row.name, await byWire(row, token)]));
    const expected = wireRows.map((row) => [row.name, mayAll(holder, row.needs) ? (row.passes ?? 0) : 103]);
    expect(found).toEqual(expected);
  });

  test("over HTTP", async () => {
    const token = await tokenOf(holder, way);
    const found = await Promise.all(
      routeRows.map(async (row) => [row.path, row.json, (await byHttp(row, token)).status]),
    );
    const expected = routeRows.map((row) => {
      const { needs, status = 200 } = row;
      return [row.path, row.json, needs === "no credential" || mayAll(holder, needs) ? status : 403];
    });
    expect(found).toEqual(expected);
  });
});

/** Credentials that are none, with the code of the wire; op 1 and every route but the open ones refuse them with it. */
const strangers: readonly (readonly [name: string, code: number, token: () => Promise<string | null>])[] = [
  ["none", 101, () => Promise.resolve(null)],
  ["nonsense", 117, () => Promise.resolve("nonsense")],
  ["the secret of a token that was revoked", 117, revoked],
  ["a JWT of a key that is not configured", 117, () => mint(claims(), {}, encoder.encode("x".repeat(32)))],
  ["a JWT without a signature", 117, async () => (await jwt("main", {})).replace(/[^.]+$/, "")],
  ["a JWT that has expired", 118, () => jwt("main", { ...claims(), exp: nowSeconds - 60 })],
  ["a JWT that is not valid yet", 117, () => jwt("main", { ...claims(), nbf: nowSeconds + 600 })],
  ["a JWT that never expires", 117, () => jwt("main", { ...claims(), exp: undefined })],
  ["a managed token that has expired", 118, expired],
];

function claims(): { sub: string; exp: number; grants: Record<string, string[]> } {
  return { sub: "somebody", exp: nowSeconds + 3600, grants: { "#": ["readwrite", "admin"] } };
}

async function revoked(): Promise<string> {
  const { id, secret: text } = await managed("main", { grants: claims().grants });
  expect((await administrators.main.call(`/v1/tokens/${id}`, { method: "DELETE" })).status).toBe(204);
  return text;
}

async function expired(): Promise<string> {
  const { secret: text } = await managed("main", { grants: claims().grants, expiresAtMs: Date.now() - 1 });
  return text;
}

describe.each(strangers)("%s", (_, code, make) => {
  test("over the wire", async () => {
    const token = await make();
    const found = await Promise.all(wireRows.map(async (row) => [row.name, await byWire(row, token)]));
    const expected = wireRows.map((row) => [row.name, row.open && token === null ? 0 : code]);
    expect(found).toEqual(expected);
  });

  test("over HTTP", async () => {
    const token = await make();
    const found = await Promise.all(routeRows.map(async (row) => [row.path, await byHttp(row, token)]));
    const expected = routeRows.map(({ path, needs, status = 200 }) => {
      return [path, needs === "no credential" ? { status, code: null } : { status: 401, code }];
    });
    expect(found).toEqual(expected);
  });
});

describe("the table", () => {
  test("has every op that a client may send, and no other", () => {
    const ops = Object.values(op).filter((number) => number < op.ok);
    expect(new Set(wireRows.map((row) => row.op))).toEqual(new Set(ops));
  });

  test("has every route of the OpenAPI document, and no other", async () => {
    const document = new ApiDocument(await (await fetch(`${server.http}/openapi.json`)).json());
    const routes = document.operations.map(({ method, path }) => `${method} ${path}`);
    expect(new Set(routeRows.map(({ route }) => route))).toEqual(new Set(routes));
    const open = document.operations.filter(({ security }) => security === undefined);
    const openRows = routeRows.filter(({ needs }) => needs === "no credential");
    expect(new Set(openRows.map(({ route }) => route))).toEqual(
      new Set(open.map(({ method, path }) => `${method} ${path}`)),
    );
  });

  test("tells each kind of credential from the others", () => {
    const rows = [...wireRows, ...routeRows].filter(({ needs }) => needs !== "no credential");
    const patterns = new Set(holders.map((holder) => rows.map(({ needs }) => mayAll(holder, needs as [])).join()));
    // Those that are granted nothing are alike by intent.
    const nothing = holders.filter(({ may }) => Object.keys(may).length === 0).length;
    expect(patterns.size).toBeGreaterThan((holders.length - nothing) / 2);
    expect(patterns.size).toBeLessThanOrEqual(holders.length);
  });
});

describe("another application", () => {
  test("is not heard, seen, listed or reached", async () => {
    await using theirs = await server.connect({
      token: await jwt("other", { grants: { "#": ["readwrite", "admin"] } }),
    });
    await theirs.ok(op.subscribe, "apart/#");
    await using ours = await server.connect();
    await ours.ok(op.subscribe, "apart/c/x");
    await ours.ok(op.publish, "apart/c/x", "secret");
    const { id } = await managed("main", { grants: {} });
    const session = ours.welcome["session"] as string;
    for (const path of [`/v1/tokens/${id}`, `/v1/connections/${session}`]) {
      for (const method of ["GET", "DELETE"])
        expect((await administrators.other.call(path, { method })).status).toBe(404);
      expect((await administrators.main.call(path)).status).toBe(200);
    }
    const lists = ["/v1/tokens", "/v1/connections", "/v1/tags"];
    for (const path of lists)
      expect(JSON.stringify((await administrators.other.get(path)).body)).not.toContain(session);
    expect(await theirs.ok(op.history, "apart/c/x")).toMatchObject({ messages: [] });
    await theirs.ok(op.publish, "apart/c/y", "of theirs");
    expect(await theirs.payloads(1)).toEqual(["of theirs"]);
  });
});

describe("system tags", () => {
  test("are not among what a wildcard matches: replies reach their asker alone", async () => {
    await using asker = await server.connect();
    await using listener = await server.connect();
    const reply = asker.welcome["reply"] as string;
    await asker.ok(op.subscribe, `${reply}/#`);
    for (const pattern of ["#", "+/+/+", "+/#"]) await listener.ok(op.subscribe, pattern);
    expect(await listener.refused(op.subscribe, `${reply}/#`)).toBe(103);
    expect(await listener.refused(op.history, `${reply}/1`)).toBe(103);
    await listener.ok(op.publish, `${reply}/1`, "for the asker");
    await listener.ok(op.publish, "a/b/c", "for all");
    expect(await asker.payloads(1)).toEqual(["for the asker"]);
    expect(await listener.payloads(3)).toEqual(["for all", "for all", "for all"]);
  });
});

describe("a grant that shrinks", () => {
  const rights = { subscribe: "own/#", publish: "own/#", history: "own/#", presence: "own/#" } as const;
  const attempts = {
    subscribe: [op.subscribe, "own/c/new"],
    publish: [op.publish, places.tag, 1],
    history: [op.history, places.tag],
    presence: [op.presence, places.tag],
  } as const;

  test.each(Object.keys(rights) as (keyof typeof rights)[])(
    "by %s acts at once on an open connection",
    async (right) => {
      const { id, secret: token } = await managed("main", { grants: { "own/#": Object.keys(rights) } });
      await using client = await server.connect({ token });
      for (const [number, ...fields] of Object.values(attempts)) await client.ok(number, ...fields);
      const json = { grants: { "own/#": Object.keys(rights).filter((other) => other !== right) } };
      expect((await administrators.main.call(`/v1/tokens/${id}`, { method: "PATCH", json })).status).toBe(200);
      if (right === "subscribe") expect((await client.next(op.unsubscribed)).slice(1, 3)).toEqual(["own/c/new", 2000]);
      for (const [name, [number, ...fields]] of Object.entries(attempts)) {
        const answer = answered(await client.request(number, ...fields));
        const kept = name === "subscribe" ? 105 : 0;
        expect([name, answer]).toEqual([name, name === right ? 103 : kept]);
      }
    },
  );

  test("takes subscriptions with it, of sockets and of event streams, and what is published next does not come", async () => {
    const { id, secret: token } = await managed("main", { grants: { "own/#": ["read"] } });
    await using client = await server.connect({ token });
    await client.ok(op.subscribe, places.tag);
    await client.ok(op.subscribe, places.pattern);
    await using events = await EventClient.open(`${server.http}/events?tags=own/%23,own/c/x`, { token });
    await events.next("subscribed");
    const json = { grants: { [places.tag]: ["read"] } };
    await administrators.main.call(`/v1/tokens/${id}`, { method: "PATCH", json });
    expect((await administrators.main.publish({ tag: places.tag, payload: "after" })).status).toBe(200);
    expect((await client.next(op.unsubscribed)).slice(1, 3)).toEqual([places.pattern, 2000]);
    expect((await events.next("unsubscribed")).data).toMatchObject({ pattern: places.pattern, code: 2000 });
    // Through the pattern a message has more elements.
    const isAfter = (payload: unknown) => payload === "after";
    const told = await client.next(op.message, (message) => isAfter(message[3]));
    expect(told.length).toBeLessThan(6);
    expect((await events.next("message")).data["pattern"]).toBeUndefined();
    await administrators.main.call(`/v1/tokens/${id}`, { method: "DELETE" });
    expect((await client.ended()).farewell?.[1]).toBe(3502);
    expect((await events.next("disconnect")).data["code"]).toBe(3502);
  });

  test("lets nobody in who was let in before, by the same connection's credential or by another", async () => {
    const { id, secret: token } = await managed("main", { grants: { "#": ["readwrite", "admin"] } });
    const caller = new Caller(server, token);
    expect((await caller.get("/v1/tokens")).status).toBe(200);
    await administrators.main.call(`/v1/tokens/${id}`, { method: "PATCH", json: { deny: { "a/b": ["admin"] } } });
    expect((await caller.get("/v1/tokens")).status).toBe(403);
    await using client = await WireClient.open(server.url, { token });
    expect(await client.ok(op.refresh, token)).toEqual({});
    expect(await client.refused(op.refresh, adminToken)).toBe(119);
    expect((await caller.get("/v1/tokens")).status).toBe(403);
  });
});
