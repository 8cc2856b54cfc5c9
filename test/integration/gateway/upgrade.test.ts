import { describe, expect, test } from "bun:test";
import { op } from "../../../src/wire/messages.ts";
import { tryUpgrade } from "../../harness/http-head.ts";
import { opcode, RawSocket, upgradeRequest } from "../../harness/raw-socket.ts";
import { adminToken, startServer } from "../../harness/server.ts";
import { forge, mint, secret } from "../../unit/auth/mint.ts";

const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });
const offer = (protocols: string) => ({ "Sec-WebSocket-Protocol": protocols });
const hour = 3600;
const now = () => Math.floor(Date.now() / 1000);
const jwtKeys = `[[keys]]\nalgorithm = "HS256"\nsecret = "${secret}"\n`;

function problemOf(body: string): Record<string, unknown> {
  return JSON.parse(body) as Record<string, unknown>;
}

describe("the subprotocol", () => {
  test.each([
    ["tagcast.v1.msgpack", "tagcast.v1.msgpack"],
    ["tagcast.v1.json", "tagcast.v1.json"],
    ["tagcast.v1.json, tagcast.v1.msgpack", "tagcast.v1.json"],
    ["mqtt, tagcast.v2.msgpack,tagcast.v1.msgpack", "tagcast.v1.msgpack"],
  ])("of those offered in %j is %s", async (offered, chosen) => {
    await using server = await startServer();
    const { status, headers } = await tryUpgrade(server.url, { headers: offer(offered) });
    expect([status, headers["sec-websocket-protocol"]]).toEqual([101, chosen]);
  });

  test("is MessagePack, and not named, where none is offered", async () => {
    await using server = await startServer();
    await using raw = await RawSocket.open(server.url);
    expect(raw.response.toLowerCase()).not.toMatch(/sec-websocket-protocol: *\S/);
    raw.sendFrame({ opcode: opcode.binary, payload: Buffer.from([0x92, 9, 7]) });
    expect([...(await raw.next(opcode.binary)).payload]).toEqual([0x93, 16, 7, 0x80]);
  });

  test.each(["mqtt", "tagcast.v2.msgpack, chat", "", " , "])(
    "is refused with 400 where only %j is offered",
    async (offered) => {
      await using server = await startServer();
      const { status, headers, body } = await tryUpgrade(server.url, { headers: offer(offered) });
      expect([status, headers["content-type"]]).toEqual([400, "application/problem+json"]);
      expect(problemOf(body)).toMatchObject({ status: 400, code: 107 });
    },
  );
});

describe("a credential in the Authorization header", () => {
  test("makes the session active without op 1", async () => {
    await using server = await startServer();
    await using client = await server.dial({ headers: bearer(adminToken) });
    expect(await client.ok(op.subscribe, "a/b")).toEqual({});
    expect(server.log.of("session opened")).toHaveLength(1);
  });

  test("allows op 1 without a token, once, to choose a name and a heartbeat", async () => {
    await using server = await startServer();
    await using client = await server.dial({ headers: bearer(adminToken) });
    expect(await client.ok(op.connect, { client: "pump-7", ping: 10 })).toMatchObject({ client: "pump-7", ping: 10 });
    expect(await client.refused(op.connect, {})).toBe(122);
    expect(server.log.of("session opened")).toHaveLength(1);
  });

  test("may hold spaces, as admin tokens may", async () => {
    await using server = await startServer({ flags: ["--admin-token", "correct horse battery staple"] });
    await using client = await server.dial({ headers: bearer("correct horse battery staple") });
    expect(await client.ok(op.ping)).toEqual({});
    expect(await client.ok(op.subscribe, "a")).toEqual({});
  });

  test.each([
    ["that nobody issued", "nonsense", 117],
    ["with a forged signature", forge({ alg: "HS256" }, { sub: "a", exp: 4e9 }, "AAAA"), 117],
  ])("%s is refused with 401", async (_, token, code) => {
    await using server = await startServer({ toml: jwtKeys });
    const { status, headers, body } = await tryUpgrade(server.url, { headers: bearer(token) });
    expect([status, headers["content-type"]]).toEqual([401, "application/problem+json"]);
    expect(problemOf(body)).toMatchObject({ status: 401, code });
    expect(server.running.registry.size).toBe(0);
    expect(server.log.of("credential refused")).toHaveLength(1);
  });

  test("that has expired is refused with 401", async () => {
    await using server = await startServer({ toml: jwtKeys });
    const token = await mint({ sub: "a", exp: now() - hour, grants: { "#": ["read"] } });
    const { status, body } = await tryUpgrade(server.url, { headers: bearer(token) });
    expect([status, problemOf(body)["code"]]).toEqual([401, 118]);
  });

  test("whose keys cannot be had is refused with 503", async () => {
    const taken = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("no", { status: 500 }) });
    await using server = await startServer({
      toml: `[[keys]]\nalgorithm = "ES256"\njwks-url = "http://127.0.0.1:${taken.port}/keys"\n`,
    });
    const token = forge({ alg: "ES256", kid: "k" }, { sub: "a", exp: now() + hour }, "AAAA");
    const { status, body } = await tryUpgrade(server.url, { headers: bearer(token) });
    expect([status, problemOf(body)["code"]]).toEqual([503, 115]);
    await taken.stop(true);
  });
});

describe("a credential in the cookie", () => {
  const toml = 'allowed-origins = ["https://app.example.com"]\n';
  const cookie = (origin: string | null): Record<string, string> => ({
    Cookie: `theme=dark; tagcast=${adminToken}; x=y`,
    ...(origin !== null && { Origin: origin }),
  });

  test.each([
    ["its own origin", "http://localhost", true],
    ["an allowed origin", "https://app.example.com", true],
    ["no origin", null, false],
    ["an app that is no page of the web", "file://", false],
  ])("counts from %s: %s, %p", async (_, origin, counts) => {
    await using server = await startServer({ toml });
    await using raw = await RawSocket.open(server.url, { headers: { ...offer("tagcast.v1.json"), ...cookie(origin) } });
    raw.sendFrame({ opcode: opcode.text, payload: '[2,1,"a"]' });
    const answer = JSON.parse((await raw.next(opcode.text)).payload.toString()) as unknown[];
    expect(answer.slice(0, 3)).toEqual(counts ? [16, 1, {}] : [17, 1, 101]);
  });

  test.each([
    ["another origin", "https://evil.example.com"],
    ["another port of its own host", "http://localhost:81"],
    ["its own host with TLS, where it speaks none", "https://localhost"],
    ["an origin that begins like its own", "http://localhost.evil.com"],
    ["an opaque origin", "null"],
  ])("does not even connect from %s: %s", async (_, origin) => {
    await using server = await startServer({ toml });
    const { status, body } = await tryUpgrade(server.url, { headers: cookie(origin) });
    expect([status, problemOf(body)["code"]]).toEqual([403, 103]);
    expect(server.running.registry.size).toBe(0);
  });

  test("counts for pages with TLS where a trusted proxy says that they have it", async () => {
    await using server = await startServer({ flags: ["--trusted-proxies", "127.0.0.1"] });
    const status = async (origin: string, headers: Record<string, string>) =>
      (await tryUpgrade(server.url, { headers: { ...cookie(origin), ...headers } })).status;
    expect(await status("https://localhost", { "X-Forwarded-Proto": "https" })).toBe(101);
    expect(await status("http://localhost", { "X-Forwarded-Proto": "https" })).toBe(403);
    expect(await status("https://localhost", { "X-Forwarded-Proto": "http" })).toBe(403);
  });

  test("gives way to the Authorization header", async () => {
    await using server = await startServer();
    const headers = { ...bearer("nonsense"), ...cookie("http://localhost") };
    expect((await tryUpgrade(server.url, { headers })).status).toBe(401);
  });
});

describe("tags named at the upgrade", () => {
  const told = async (path: string, headers: Record<string, string> = {}) => {
    await using server = await startServer();
    await using client = await server.dial({ headers: { ...bearer(adminToken), ...headers } });
    await using named = await startNamed(server.url, path, { ...bearer(adminToken), ...headers });
    await client.ok(op.publish, ["a/b", "c/d/e", "ü, 100%/x"], "hi");
    return JSON.parse((await named.next(opcode.text)).payload.toString().split("\n").at(-1)!) as unknown[];
  };
  const startNamed = (url: string, path: string, headers: Record<string, string>) =>
    RawSocket.open(url, { path, headers: { ...headers, ...offer("tagcast.v1.json") } });

  test("in the header Tag are subscribed to", async () => {
    expect((await told("/ws", { Tag: "x/y, c/%23" })).slice(0, 4)).toEqual([18, "c/d/e", null, "hi"]);
  });

  test("in the query are subscribed to, percent-decoded, a plus sign being a wildcard", async () => {
    expect((await told("/ws?x=1&tags=%C3%BC%2C%20100%25%2F+,a/+/c")).slice(0, 2)).toEqual([18, "ü, 100%/x"]);
  });

  test("that are refused are told with ref 0, and the others hold", async () => {
    await using server = await startServer();
    await using client = await server.dial({ headers: { ...bearer(adminToken), Tag: "a/b,$sys/x,a/%23/b" } });
    const codes = [await client.next(op.error), await client.next(op.error)].map((message) => message.slice(0, 4));
    expect(codes).toEqual([
      [17, 0, 103, "The token does not grant this: $sys/x"],
      [17, 0, 109, "Not a valid pattern: a/#/b"],
    ]);
    await client.ok(op.publish, "a/b", 1);
    expect(await client.payloads(1)).toEqual([1]);
  });

  test("wait for op 1 where there is no other credential", async () => {
    await using server = await startServer();
    await using client = await server.dial({ headers: { Tag: "a/b" } });
    await client.ok(op.connect, { token: adminToken });
    await client.ok(op.publish, "a/b", 1);
    expect(await client.payloads(1)).toEqual([1]);
    expect(client.received[0]?.[0]).toBe(op.ok);
  });

  test("more than may be named are refused before anything is done, with what to do", async () => {
    const named = (count: number) => ({ Tag: Array.from({ length: count }, (_, i) => `t${i}`).join() });
    await using server = await startServer();
    const { status, body } = await tryUpgrade(server.url, { headers: { ...bearer(adminToken), ...named(257) } });
    expect([status, problemOf(body)["code"], problemOf(body)["detail"]]).toEqual([
      400,
      107,
      "At most 256 patterns can be named at the upgrade: subscribe to more by op 2",
    ]);
    expect((await tryUpgrade(server.url, { headers: { ...bearer(adminToken), ...named(256) } })).status).toBe(101);
  });

  test.each(["/ws?tags=a%", "/ws?tags=%ff", "/ws?tags=a,%c3%28"])("%s is refused with 400", async (path) => {
    await using server = await startServer();
    const { status, body } = await tryUpgrade(server.url, { path, headers: bearer(adminToken) });
    expect([status, problemOf(body)["code"]]).toEqual([400, 109]);
  });
});

describe("the port", () => {
  test("upgrades at / too", async () => {
    await using server = await startServer();
    expect((await tryUpgrade(server.url, { path: "/" })).status).toBe(101);
    expect((await tryUpgrade(server.url, { path: "/?tags=a" })).status).toBe(101);
    expect((await tryUpgrade(server.url, { path: "/other" })).status).toBe(404);
  });

  test("tells whoever watches it that it lives and is ready", async () => {
    await using server = await startServer();
    const health = await fetch(`${server.http}/healthz`);
    expect([health.status, await health.text()]).toEqual([200, "ok\n"]);
    const ready = await fetch(`${server.http}/readyz?verbose`);
    expect([ready.status, await ready.text()]).toEqual([200, "ready\n"]);
    expect((await fetch(`${server.http}/nothing`)).status).toBe(404);
    expect((await fetch(server.http)).status).toBe(200);
  });

  // HAProxy checks so unless told otherwise: it was answered 404, and took every instance for dead.
  test.each([
    ["/healthz", 200],
    ["/readyz", 200],
    ["/ws", 400],
    ["/events?tags=a", 400],
    ["/openapi.json", 400],
  ])("answers GET %s of HTTP/1.0 without a host with %d", async (path, status) => {
    await using server = await startServer();
    await using raw = await RawSocket.connect(server.url);
    raw.send(`GET ${path} HTTP/1.0\r\n\r\n`);
    await raw.until(() => raw.response.includes("\r\n\r\n"), "an answer");
    expect(raw.response).toStartWith(`HTTP/1.1 ${status}`);
  });

  test("answers 503 on /readyz to a request under way when it stops, and takes no new ones", async () => {
    await using server = await startServer();
    await using raw = await RawSocket.connect(server.url);
    raw.send("GET /readyz HTTP/1.1\r\nHost: x\r\n");
    // Once this is answered the half-sent request has been read too.
    await fetch(`${server.http}/healthz`);
    await using client = await server.connect();
    const stopping = server.stop(new AbortController().signal);
    raw.send("\r\n");
    await raw.until(() => raw.response.includes("\r\n\r\n"), "an answer");
    expect(raw.response).toStartWith("HTTP/1.1 503");
    expect(await fetch(`${server.http}/healthz`).catch(() => "refused")).toBe("refused");
    expect((await client.ended()).code).toBe(3000);
    await stopping;
  });

  test.each(["/ws", "/ws?tags=a"])("answers 426 at %s without an upgrade", async (path) => {
    await using server = await startServer();
    const response = await fetch(`${server.http}${path}`);
    expect([response.status, response.headers.get("upgrade"), response.headers.get("sec-websocket-version")]).toEqual([
      426,
      "websocket",
      "13",
    ]);
    expect(await response.json()).toMatchObject({ status: 426 });
  });

  test("answers 426 to another version of WebSocket", async () => {
    await using server = await startServer();
    expect((await tryUpgrade(server.url, { headers: { "Sec-WebSocket-Version": "8" } })).status).toBe(426);
  });
});

describe("the bound on connections", () => {
  test("in all: one more gets 503 and Retry-After, until one leaves", async () => {
    await using server = await startServer({ flags: ["--connections-max", "2"] });
    await using first = await server.connect();
    await using second = await server.dial();
    const { status, headers, body } = await tryUpgrade(server.url);
    expect([status, headers["retry-after"], problemOf(body)["code"]]).toEqual([503, "5", 3005]);
    await first.close();
    await server.log.until("session closed");
    expect((await tryUpgrade(server.url)).status).toBe(101);
    expect(await second.ok(op.ping)).toEqual({});
  });

  test("in all holds where many come in while their credentials are being checked", async () => {
    await using server = await startServer({ toml: jwtKeys, flags: ["--connections-max", "3"] });
    const claims = { sub: "a", exp: now() + hour };
    const tokens = await Promise.all(Array.from({ length: 12 }, (_, i) => mint({ ...claims, jti: `t${i}` })));
    const sockets = await Promise.all(tokens.map(() => RawSocket.connect(server.url)));
    for (const [i, raw] of sockets.entries()) raw.send(upgradeRequest("/ws", bearer(tokens[i]!)));
    await Promise.all(sockets.map((raw) => raw.until(() => raw.response.includes("\r\n\r\n"), "an answer")));
    const statuses = sockets.map((raw) => raw.response.slice(9, 12)).sort();
    expect(statuses).toEqual([...Array(3).fill("101"), ...Array(9).fill("503")]);
    for (const raw of sockets) await raw[Symbol.asyncDispose]();
  });

  test.each(["at the upgrade", "by op 1"])(
    "of a token: one more %s is told with op 22 and frees its place",
    async (way) => {
      await using server = await startServer({ toml: jwtKeys });
      const token = await mint({ sub: "a", exp: now() + hour, connections: 1 });
      const enter = () =>
        way === "by op 1"
          ? server.dial().then((client) => (client.send([1, 1, { token }]), client))
          : server.dial({ headers: bearer(token) });
      await using first = await enter();
      await first.ok(op.ping);
      for (let i = 0; i < 3; i++) {
        await using second = await enter();
        expect(await second.ended()).toEqual({
          code: 3503,
          reason: "The token has too many connections",
          farewell: [22, 3503, "The token has too many connections", 0],
        });
      }
      expect(server.running.registry.size).toBe(1);
      await first.close();
      await server.log.until("session closed");
      await using third = await enter();
      await third.ok(op.ping);
      expect(server.running.registry.size).toBe(1);
    },
  );
});
