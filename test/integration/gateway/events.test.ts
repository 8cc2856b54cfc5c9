/** Event streams over real HTTP: who gets one, what comes, and every way in which it ends. */
import { describe, expect, test } from "bun:test";
import { disconnects, errors, unsubscribes } from "../../../src/core/codes.ts";
import { op } from "../../../src/wire/messages.ts";
import { EventClient, type EventsOptions, requestEvents } from "../../harness/event-client.ts";
import { RawSocket } from "../../harness/raw-socket.ts";
import { adminToken, SocketClock, startServer, type TestServer } from "../../harness/server.ts";

const toml = `
[[tags]]
pattern = "log/#"
history = { size = 100 }
[[tags]]
pattern = "here/#"
presence = true
`;

const events = (server: TestServer, query: string, options?: EventsOptions) =>
  EventClient.open(`${server.http}/events?${query}`, options);

/** A managed token, made and changed as an administrator does. */
async function createToken(
  server: TestServer,
  draft: object,
): Promise<{ id: string; secret: string; patch(to: object): Promise<void>; revoke(): Promise<void> }> {
  const admin = { authorization: `Bearer ${adminToken}`, "content-type": "application/json" };
  const made = await fetch(`${server.http}/v1/tokens`, {
    method: "POST",
    headers: admin,
    body: JSON.stringify({ name: "test", grants: { "#": ["readwrite"] }, ...draft }),
  });
  expect(made.status).toBe(201);
  const { token, secret } = (await made.json()) as { token: { id: string }; secret: string };
  const change = async (method: string, to?: object) => {
    const response = await fetch(`${server.http}/v1/tokens/${token.id}`, {
      method,
      headers: admin,
      ...(to && { body: JSON.stringify(to) }),
    });
    expect(response.ok).toBe(true);
  };
  return { id: token.id, secret, patch: (to) => change("PATCH", to), revoke: () => change("DELETE") };
}

async function problemOf(response: Response): Promise<{ status: number; code: number; detail: string }> {
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  const body = (await response.json()) as { status: number; code: number; detail: string };
  expect(body.status).toBe(response.status);
  return body;
}

describe("GET /events", () => {
  test("tells what it subscribed to, then what is published, whatever the publisher speaks", async () => {
    await using server = await startServer({ toml });
    await using stream = await events(server, "tags=a/b,log/%23");
    expect(stream.response.headers.get("content-type")).toBe("text/event-stream");
    expect(stream.response.headers.get("cache-control")).toBe("no-store, no-transform");
    const first = await stream.next();
    expect(first.type).toBe("subscribed");
    expect(first.data["subscriptions"]).toEqual({ "a/b": {}, "log/#": { unseen: [] } });
    expect(stream.retryMs).toBeGreaterThanOrEqual(1500);
    await using msgpack = await server.connect();
    await using json = await server.connect({ lane: "json" });
    await msgpack.ok(op.publish, "a/b", { text: "line\r\nbreak", bytes: new Uint8Array([1, 2]) });
    await json.ok(op.publish, "log/x", [1, null], { reply: "log/y" });
    await json.ok(op.publish, "elsewhere", 1);
    await json.ok(op.publish, "log/x", "end");
    expect(await stream.messages(3)).toEqual([
      { tag: "a/b", payload: { text: "line\r\nbreak", bytes: { $bin: "AQI=" } } },
      { tag: "log/x", offset: 1, payload: [1, null], meta: { reply: "log/y" }, pattern: "log/#" },
      { tag: "log/x", offset: 2, payload: "end", pattern: "log/#" },
    ]);
  });

  test("takes patterns from the header too, once each", async () => {
    await using server = await startServer({ toml });
    await using stream = await events(server, "tags=a,b", { headers: { Tag: "b, c/%2B" } });
    const { subscriptions } = (await stream.next("subscribed")).data;
    expect(Object.keys(subscriptions as object).sort()).toEqual(["a", "b", "c/+"]);
  });

  test("delivers once per pattern that matches", async () => {
    await using server = await startServer({ toml });
    await using stream = await events(server, "tags=log/a,log/%23,%23");
    await using publisher = await server.connect();
    await publisher.ok(op.publish, "log/a", 1);
    const patterns = (await stream.messages(3)).map((data) => String(data["pattern"]));
    expect(patterns.sort()).toEqual(["#", "log/#", "undefined"]);
  });

  test("with last brings the newest of each log, and then what is live", async () => {
    await using server = await startServer({ toml });
    await using publisher = await server.connect();
    for (let i = 1; i <= 5; i++) for (const tag of ["log/a", "log/b"]) await publisher.ok(op.publish, tag, i);
    await using stream = await events(server, "tags=log/%2B&last=2");
    await stream.messages(4);
    await publisher.ok(op.publish, "log/a", 6);
    const all = await stream.messages(5);
    const of = (tag: string) => all.filter((data) => data["tag"] === tag).map((data) => data["payload"]);
    expect([of("log/a"), of("log/b")]).toEqual([
      [4, 5, 6],
      [4, 5],
    ]);
  });

  test("makes its client a member of a tag with presence, until it leaves", async () => {
    await using server = await startServer({ toml });
    await using watcher = await server.connect();
    await watcher.ok(op.subscribe, "here/room", { presence: true });
    const { secret } = await createToken(server, { client: "page" });
    const stream = await events(server, "tags=here/room", { token: secret });
    await watcher.next(op.presenceChange, ([, , , joined]) => JSON.stringify(joined).includes("page"));
    stream.close();
    await watcher.next(op.presenceChange, ([, , , , left]) => JSON.stringify(left).includes("page"));
  });

  test("sends a comment where nothing else was sent for a heartbeat", async () => {
    const clock = new SocketClock();
    await using server = await startServer({ toml, clock, flags: ["--ping-interval", "10s"] });
    await using stream = await events(server, "tags=a");
    clock.advance(11_000);
    await stream.until(() => stream.comments === 1, "a comment");
    expect(stream.events.map(({ type }) => type)).toEqual(["subscribed"]);
    clock.advance(9_000);
    clock.advance(1_000);
    await stream.until(() => stream.comments === 2, "another comment");
  });

  test("is listed among the connections and ended by an administrator", async () => {
    await using server = await startServer({ toml });
    await using stream = await events(server, "tags=a,b");
    const headers = { authorization: `Bearer ${adminToken}` };
    const { connections } = (await (await fetch(`${server.http}/v1/connections`, { headers })).json()) as {
      connections: { id: string; transport: string; subscriptions: number }[];
    };
    expect(connections).toHaveLength(1);
    const { id = "", ...listed } = connections[0] ?? {};
    expect(listed).toMatchObject({ transport: "sse", subscriptions: 2 });
    expect((await stream.next("subscribed")).data["session"]).toBe(id);
    expect((await fetch(`${server.http}/v1/connections/${id}`, { method: "DELETE", headers })).ok).toBe(true);
    await stream.end();
    expect(stream.events.at(-1)).toMatchObject({ type: "disconnect", data: { code: disconnects.removed.code } });
    expect(server.running.registry.size).toBe(0);
  });
});

describe("a stream is refused", () => {
  test.each([
    ["", 400, errors.badRequest],
    ["tags=", 400, errors.badRequest],
    ["tags=a/%23/b", 400, errors.invalidPattern],
    ["tags=%ff", 400, errors.invalidPattern],
    ["tags=a&last=0", 400, errors.badRequest],
    ["tags=a&last=4294967296", 400, errors.badRequest],
    ["tags=a&last=x", 400, errors.badRequest],
    ["tags=a&recover=maybe", 400, errors.badRequest],
    ["tags=a&lastEventId=nonsense", 400, errors.badRequest],
    [`tags=${Array.from({ length: 65 }, (_, i) => i)}`, 400, errors.limitExceeded],
    ["tags=ok,$reply/x", 403, errors.denied],
  ])("for /events?%s", async (query, status, { code }) => {
    await using server = await startServer({ toml });
    const answer = await problemOf(await requestEvents(`${server.http}/events?${query}`));
    expect(answer).toMatchObject({ status, code });
    expect([server.running.registry.size, server.running.hub.subscriptions.count]).toEqual([0, 0]);
  });

  test("without a credential, with a wrong one, and without the grant", async () => {
    await using server = await startServer({ toml });
    const url = `${server.http}/events?tags=log/a`;
    const none = await requestEvents(url, { token: null });
    expect(none.headers.get("www-authenticate")).toBe("Bearer");
    expect(await problemOf(none)).toMatchObject({ status: 401, code: errors.unauthenticated.code });
    const wrong = await problemOf(await requestEvents(url, { token: "wrong" }));
    expect(wrong).toMatchObject({ status: 401, code: errors.invalidToken.code });
    const { secret } = await createToken(server, { grants: { "log/#": ["subscribe"] } });
    const token = secret;
    expect((await problemOf(await requestEvents(`${server.http}/events?tags=other`, { token }))).status).toBe(403);
    expect((await problemOf(await requestEvents(`${url}&last=1`, { token }))).status).toBe(403);
    await using stream = await EventClient.open(url, { token });
    await using publisher = await server.connect();
    await publisher.ok(op.publish, "log/a", 1);
    await stream.messages(1);
    // Without the grant `history` nothing may be continued.
    expect(stream.lastEventId).toBe("");
  });

  test("in every other way than by GET", async () => {
    await using server = await startServer({ toml });
    const headers = { authorization: `Bearer ${adminToken}` };
    for (const method of ["POST", "HEAD", "DELETE"]) {
      const response = await fetch(`${server.http}/events?tags=a`, { method, headers });
      expect([method, response.status, response.headers.get("allow")]).toEqual([method, 405, "GET, OPTIONS"]);
    }
  });

  test("beyond the connections of its token, and of the server", async () => {
    await using server = await startServer({ toml, flags: ["--connections-max", "3"] });
    const url = `${server.http}/events?tags=a`;
    const { secret: token } = await createToken(server, { connectionsMax: 2 });
    await using socket = await server.connect({ token });
    const first = await EventClient.open(url, { token });
    const limited = await requestEvents(url, { token });
    expect(await problemOf(limited)).toMatchObject({ status: 429, code: disconnects.connectionLimit.code });
    await using other = await EventClient.open(url);
    await other.next("subscribed");
    const full = await requestEvents(url);
    expect(full.headers.get("retry-after")).toBe("5");
    expect(await problemOf(full)).toMatchObject({ status: 503, code: disconnects.overloaded.code });
    first.close();
    await server.log.until("event stream closed");
    await using again = await EventClient.open(url, { token });
    await again.next("subscribed");
    expect(socket.socket.readyState).toBe(WebSocket.OPEN);
  });
});

describe("a browser", () => {
  const toml2 = `${toml}\n`;
  const cookie = `tagcast=${adminToken}`;

  test("is let in by its cookie, from the server's own pages alone", async () => {
    await using server = await startServer({ toml: toml2 });
    const url = `${server.http}/events?tags=a`;
    const status = async (headers: Record<string, string>) => {
      const response = await requestEvents(url, { token: null, headers: { cookie, ...headers } });
      await response.body?.cancel();
      return response.status;
    };
    expect(await status({})).toBe(200);
    expect(await status({ "sec-fetch-site": "same-origin" })).toBe(200);
    expect(await status({ origin: server.http })).toBe(200);
    expect(await status({ "sec-fetch-site": "cross-site" })).toBe(401);
    expect(await status({ "sec-fetch-site": "same-site" })).toBe(401);
    expect(await status({ origin: "https://evil.example" })).toBe(401);
  });

  test("may read from pages of allowed origins, answers and refusals", async () => {
    const origin = "https://app.example";
    await using server = await startServer({ toml: toml2, flags: ["--allowed-origins", origin] });
    const url = `${server.http}/events?tags=a`;
    const cors = async (from: string, headers: Record<string, string>) => {
      const response = await requestEvents(url, { token: null, headers: { origin: from, ...headers } });
      await response.body?.cancel();
      const allowed = (name: string) => response.headers.get(`access-control-allow-${name}`);
      return [response.status, allowed("origin"), allowed("credentials"), response.headers.get("vary")];
    };
    expect(await cors(origin, { cookie })).toEqual([200, origin, "true", "Origin"]);
    expect(await cors(origin, {})).toEqual([401, origin, "true", "Origin"]);
    const bearer = { authorization: `Bearer ${adminToken}` };
    expect(await cors("https://evil.example", bearer)).toEqual([200, null, null, "Origin"]);
    const preflight = await fetch(url, { method: "OPTIONS", headers: { origin } });
    expect([preflight.status, preflight.headers.get("access-control-allow-origin")]).toEqual([204, origin]);
    expect(preflight.headers.get("access-control-allow-headers")).toContain("Last-Event-ID");
  });
});

describe("a stream ends", () => {
  test("when its client leaves: the hub knows at once", async () => {
    await using server = await startServer({ toml });
    const stream = await events(server, "tags=a,log/%23");
    expect(server.running.hub.subscriptions.count).toBe(2);
    stream.close();
    await server.log.until("event stream closed");
    expect(server.running.hub.subscriptions.count).toBe(0);
    expect(server.running.hub.sinks.size).toBe(0);
    expect(server.running.registry.size).toBe(0);
  });

  test("when its socket is cut", async () => {
    await using server = await startServer({ toml });
    {
      await using raw = await RawSocket.connect(server.http);
      raw.send(`GET /events?tags=a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${adminToken}\r\n\r\n`);
      await raw.until(() => raw.response.includes("subscribed"), "the stream");
    }
    await server.log.until("event stream closed");
    expect(server.running.registry.size).toBe(0);
  });

  test("when its token is revoked, expires, or its last grant is taken", async () => {
    const clock = new SocketClock(Date.now());
    await using server = await startServer({ toml, clock });
    const ended = async (stream: EventClient) => {
      await stream.end();
      return stream.of("disconnect").map(({ code }) => code);
    };
    const revoked = await createToken(server, {});
    await using one = await events(server, "tags=a", { token: revoked.secret });
    await revoked.revoke();
    expect(await ended(one)).toEqual([disconnects.revoked.code]);

    const expiring = await createToken(server, { expiresAtMs: clock.wallMs() + 5000 });
    await using two = await events(server, "tags=a", { token: expiring.secret });
    clock.advance(6000);
    expect(await ended(two)).toEqual([disconnects.expired.code]);

    const shrinking = await createToken(server, {});
    await using three = await events(server, "tags=a,log/%23", { token: shrinking.secret });
    await shrinking.patch({ grants: { a: ["read"] } });
    const { data } = await three.next("unsubscribed");
    expect(data).toMatchObject({ pattern: "log/#", code: unsubscribes.revoked.code });
    await using publisher = await server.connect();
    await publisher.ok(op.publish, "log/x", 1);
    await publisher.ok(op.publish, "a", 2);
    expect(await three.messages(1)).toEqual([{ tag: "a", payload: 2 }]);
    await shrinking.patch({ grants: {} });
    expect(await ended(three)).toEqual([disconnects.revoked.code]);
    expect(three.of("unsubscribed")).toHaveLength(2);
  });

  test("when the server stops, told when to come back", async () => {
    await using server = await startServer({ toml });
    await using stream = await events(server, "tags=a");
    await server.stop(new AbortController().signal);
    await stream.end();
    const { code, retryAfterMs } = stream.of("disconnect")[0] ?? {};
    expect(code).toBe(disconnects.shutdown.code);
    if (Number(retryAfterMs) > 0) expect(stream.retryMs).toBe(Number(retryAfterMs));
  });
});
