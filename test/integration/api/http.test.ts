/** What holds for every route of the HTTP API: credentials, methods, paths, bodies, origins, and what errors look like. */
import { describe, expect, test } from "bun:test";
import { adminToken, SocketClock, startServer } from "../../harness/server.ts";
import { RawSocket } from "../../harness/raw-socket.ts";
import { mint, secret } from "../../unit/auth/mint.ts";
import { Caller, problemOf } from "./caller.ts";

const hs256 = `[[keys]]\nalgorithm = "HS256"\nsecret = "${secret}"\n`;
const logs = `[[tags]]\npattern = "log/#"\nhistory = { size = 10 }\n`;
const origin = "https://app.example.com";
const list = "/v1/connections";

describe("the credential", () => {
  test("is needed, and the answer says how to present it", async () => {
    await using server = await startServer();
    const answer = await new Caller(server, null).call(list);
    expect(problemOf(answer)).toEqual([401, 101]);
    expect(answer.headers.get("www-authenticate")).toBe("Bearer");
  });

  test("is checked before anything else of the request", async () => {
    await using server = await startServer();
    const caller = new Caller(server, "wrong");
    expect(await caller.problem("/v1/history?limit=none")).toEqual([401, 117]);
    expect(await caller.problem("/v1/publish", { body: "{" })).toEqual([401, 117]);
    expect(server.running.registry.credentials.counts.failures).toBe(2);
    expect(server.log.of("credential refused")).toMatchObject([
      { fields: { code: 117, reason: "invalid-token", from: "127.0.0.1" } },
      { fields: { code: 117 } },
    ]);
  });

  test("that has expired is told from one that is wrong", async () => {
    await using server = await startServer({ toml: hs256 });
    const exp = Math.floor(Date.now() / 1000) - 60;
    const caller = new Caller(server, await mint({ sub: "x", exp, grants: {} }));
    expect(await caller.problem(list)).toEqual([401, 118]);
  });

  test("whose keys cannot be had is to be tried again", async () => {
    using taken = Bun.serve({ port: 0, fetch: () => new Response("", { status: 500 }) });
    const url = `http://127.0.0.1:${taken.port}/keys`;
    await using server = await startServer({ toml: `[[keys]]\nalgorithm = "ES256"\njwks-url = "${url}"\n` });
    const head = Buffer.from('{"alg":"ES256"}').toString("base64url");
    const answer = await new Caller(server, `${head}.e30.c2ln`).call(list);
    expect(problemOf(answer)).toEqual([503, 115]);
    expect(answer.headers.get("retry-after")).toBe("5");
  });
});

describe("the cookie", () => {
  const cookie = `tagcast=${adminToken}`;
  const start = () => startServer({ flags: ["--allowed-origins", origin] });
  const message = { json: { tag: "a", payload: 1 } };

  test("counts for what changes something from the own and allowed origins alone", async () => {
    await using server = await start();
    const caller = new Caller(server, null);
    const publish = async (headers: Record<string, string>) =>
      (await caller.call("/v1/publish", { ...message, headers: { cookie, ...headers } })).status;
    expect(await publish({ origin: server.http })).toBe(200);
    expect(await publish({ origin })).toBe(200);
    expect(await publish({ origin: "https://evil.example.com" })).toBe(401);
    expect(await publish({ origin: "null" })).toBe(401);
    expect(await publish({})).toBe(401);
    expect(await publish({ "sec-fetch-site": "same-origin" })).toBe(401);
  });

  test("counts for what is only read where no other page sees the answer", async () => {
    await using server = await start();
    const caller = new Caller(server, null);
    const read = async (headers: Record<string, string>, method = "GET") =>
      (await caller.call(list, { method, headers: { cookie, ...headers } })).status;
    expect(await read({ "sec-fetch-site": "same-origin" })).toBe(200);
    expect(await read({ "sec-fetch-site": "same-origin" }, "HEAD")).toBe(200);
    expect(await read({ origin })).toBe(200);
    expect(await read({ "sec-fetch-site": "cross-site" })).toBe(401);
    expect(await read({ origin: "https://evil.example.com" })).toBe(401);
  });
});

describe("pages of other origins", () => {
  test("may read answers where they are allowed, and ask first", async () => {
    await using server = await startServer({ flags: ["--allowed-origins", origin] });
    const caller = new Caller(server);
    const asked = await caller.call(list, {
      method: "OPTIONS",
      headers: { origin, "access-control-request-method": "DELETE", "access-control-request-headers": "authorization" },
    });
    expect(asked.status).toBe(204);
    expect(asked.headers.get("access-control-allow-origin")).toBe(origin);
    expect(asked.headers.get("access-control-allow-credentials")).toBe("true");
    expect(asked.headers.get("access-control-allow-methods")).toContain("DELETE");
    expect(asked.headers.get("access-control-allow-headers")).toContain("Authorization");
    for (const path of [list, "/v1/history"]) {
      const { headers } = await caller.call(path, { headers: { origin } });
      expect(headers.get("access-control-allow-origin")).toBe(origin);
      expect(headers.get("vary")).toContain("Origin");
    }
  });

  test("are told nothing where they are not", async () => {
    await using server = await startServer({ flags: ["--allowed-origins", origin] });
    const caller = new Caller(server);
    for (const method of ["GET", "OPTIONS"]) {
      const { headers } = await caller.call(list, { method, headers: { origin: "https://evil.example.com" } });
      expect([...headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([]);
    }
  });
});

describe("methods", () => {
  test.each([
    [list, "PUT", "GET, HEAD, DELETE, OPTIONS"],
    ["/v1/publish", "GET", "POST, OPTIONS"],
    ["/v1/publish", "HEAD", "POST, OPTIONS"],
    ["/v1/tokens", "DELETE", "GET, HEAD, POST, OPTIONS"],
    ["/v1/tokens/x", "POST", "GET, HEAD, PATCH, DELETE, OPTIONS"],
    ["/openapi.json", "POST", "GET, HEAD, OPTIONS"],
    ["/docs", "PATCH", "GET, HEAD, OPTIONS"],
  ])("that %s does not take are refused with those it takes: %s", async (path, method, allow) => {
    await using server = await startServer();
    const answer = await new Caller(server, null).call(path, { method });
    expect(answer.headers.get("allow")).toBe(allow);
    if (method === "HEAD") expect(answer.status).toBe(405);
    else expect(problemOf(answer)).toEqual([405, 107]);
  });

  test("are told by OPTIONS, without a credential", async () => {
    await using server = await startServer();
    const { status, headers } = await new Caller(server, null).call("/v1/tokens/x", { method: "OPTIONS" });
    expect([status, headers.get("allow")]).toEqual([204, "GET, HEAD, PATCH, DELETE, OPTIONS"]);
  });

  test("HEAD says what GET would, without the body", async () => {
    await using server = await startServer();
    const caller = new Caller(server);
    const [get, head] = [await caller.call(list), await caller.call(list, { method: "HEAD" })];
    expect([head.status, head.bytes.length]).toEqual([200, 0]);
    for (const name of ["content-type", "content-length"]) expect(head.headers.get(name)).toBe(get.headers.get(name));
  });
});

test.each(["/v2/publish", "/v1", "/v1/", "/v1/tokens/", "/v1/publish/x", "/docs/", "/index.html"])(
  "there is nothing at %s, with or without a credential",
  async (path) => {
    await using server = await startServer();
    expect(await new Caller(server, null).problem(path)).toEqual([404, 107]);
    expect(await new Caller(server).problem(path, { json: {} })).toEqual([404, 107]);
  },
);

test("a URL that is not well encoded is refused, not read as another", async () => {
  await using server = await startServer({ toml: logs });
  const caller = new Caller(server);
  expect(await caller.problem("/v1/history?tag=log/%ff")).toEqual([400, 107]);
  expect(await caller.problem("/v1/history?tag=log/%")).toEqual([400, 107]);
  expect((await caller.call("/v1/history?tag=log/%C3%BC")).status).toBe(200);
});

describe("the body", () => {
  const request = (fields: string) =>
    `POST /v1/publish?tag=a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${adminToken}\r\n${fields}\r\n\r\n`;

  test("may come slowly, but not for ever", async () => {
    const clock = new SocketClock();
    await using server = await startServer({ clock });
    await using slow = await RawSocket.connect(server.url, {});
    slow.send(request("Content-Type: text/plain\r\nContent-Length: 100"));
    slow.send("half ");
    // The deadline of a body begins when its head has come.
    await new Caller(server).publish({ tag: "a", payload: 1 });
    clock.advance(30_000);
    slow.send("of it");
    await new Caller(server).publish({ tag: "a", payload: 1 });
    expect(slow.response).toBe("");
    clock.advance(40_000);
    await slow.until(() => slow.response.includes("\r\n\r\n"), "an answer");
    expect(slow.response).toStartWith("HTTP/1.1 408");
    expect(slow.response.toLowerCase()).toContain("\r\nconnection: close\r\n");
    await slow.until(() => slow.ended, "the end of the connection");
  });

  test("that ends early is no fault of the server", async () => {
    await using server = await startServer();
    {
      await using gone = await RawSocket.connect(server.url, {});
      gone.send(request("Content-Type: text/plain\r\nTransfer-Encoding: chunked"));
      gone.send("5\r\nhalf \r\nnonsense\r\n");
      await gone.until(() => gone.ended || gone.closed || gone.response !== "", "an answer");
    }
    await new Caller(server).publish({ tag: "a", payload: 1 });
    expect(server.log.of("request failed")).toEqual([]);
  });
});

test("while more is published than can be sent, publishers are to wait", async () => {
  await using server = await startServer();
  const caller = new Caller(server);
  const { distributor } = server.running.hub;
  distributor.backlogBytes += 17 * 1024 ** 2;
  const answer = await caller.publish({ tag: "a", payload: 1 });
  distributor.backlogBytes -= 17 * 1024 ** 2;
  expect(problemOf(answer)).toEqual([429, 111]);
  expect(answer.headers.get("retry-after")).toBe("1");
  expect((await caller.publish({ tag: "a", payload: 1 })).status).toBe(200);
});

test("while the broker is away, logs are unavailable and live-only tags work", async () => {
  await using server = await startServer({ toml: logs });
  const caller = new Caller(server);
  await server.running.hub.stop();
  const answer = await caller.publish({ tag: "log/a", payload: 1 });
  expect(problemOf(answer)).toEqual([503, 115]);
  expect(answer.headers.get("retry-after")).toBe("5");
  expect((await caller.publish({ tag: "live", payload: 1 })).status).toBe(200);
});

test("a fault of the server is logged, and told without its details", async () => {
  await using server = await startServer({ toml: logs });
  server.running.hub.history = () => {
    throw new Error("inner detail");
  };
  const answer = await new Caller(server).get("/v1/history", { tag: "log/a" });
  expect(problemOf(answer)).toEqual([500, 100]);
  expect(JSON.stringify(answer.body)).not.toContain("inner detail");
  const fields = { method: "GET", path: "/v1/history", error: expect.any(Error) as Error };
  expect(server.log.of("request failed")).toMatchObject([{ fields }]);
  expect(JSON.stringify(server.log.entries)).not.toContain(adminToken);
});

test("answers are for the one who asked: they are not stored, and their type is not guessed", async () => {
  await using server = await startServer();
  for (const path of [list, "/v1/history", "/nothing"]) {
    const { headers } = await new Caller(server).call(path);
    expect([headers.get("cache-control"), headers.get("x-content-type-options")]).toEqual(["no-store", "nosniff"]);
  }
});
