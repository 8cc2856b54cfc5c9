/** Servers on one Redis act as one: what is revoked, ended, counted and listed at one holds at all. */
import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { run as runProgram } from "../../../src/cli/run.ts";
import { disconnects } from "../../../src/core/codes.ts";
import { recordedIo } from "../../harness/cli-io.ts";
import { Proxy } from "../../harness/proxy.ts";
import { RedisServer } from "../../harness/redis.ts";
import { eventually } from "../../harness/redis-broker.ts";
import { adminToken, startProcess, startServer, type TestServer } from "../../harness/server.ts";
import { mint, secret } from "../../unit/auth/mint.ts";
import { Caller } from "../api/caller.ts";

const redis = await RedisServer.start();
afterAll(() => redis[Symbol.asyncDispose]());
beforeEach(async () => {
  if (redis.pid === 0) await redis.run();
  await redis.flush();
});

const start = () => startServer({ flags: ["--redis", redis.url] });
const grants = { "#": ["readwrite"] };

interface Made {
  readonly token: { readonly id: string };
  readonly secret: string;
}

async function create(server: TestServer, more: object = {}): Promise<Made> {
  const { status, body } = await new Caller(server).call("/v1/tokens", { json: { name: "a", grants, ...more } });
  expect(status).toBe(201);
  return body as Made;
}

async function cli(...argv: string[]) {
  const io = recordedIo({ TAGCAST_REDIS: redis.url });
  const status = await runProgram(argv, io);
  return { status, out: io.outLines.join("\n"), err: io.errLines.join("\n") };
}

interface Listed {
  readonly connections: readonly { readonly id: string; readonly client: string; readonly instance: string }[];
  readonly more: boolean;
  readonly unanswered?: readonly string[];
}

const list = async (server: { http: string }, query = ""): Promise<Listed> =>
  (await new Caller(server).call(`/v1/connections${query}`)).body as Listed;

describe("A token made at one server", () => {
  test("opens the other at once; edited and revoked at one it acts on sessions of the other", async () => {
    await using one = await start();
    await using two = await start();
    const { token, secret } = await create(one);
    await using client = await two.connect({ token: secret });
    await client.ok(2, "plant/a");
    const path = `/v1/tokens/${token.id}`;
    await new Caller(one).call(path, { method: "PATCH", json: { grants: { "plant/b": ["subscribe"] } } });
    expect((await client.next(21)).slice(1, 2)).toEqual(["plant/a"]);
    expect((await new Caller(one).call(path, { method: "DELETE" })).status).toBe(204);
    expect((await client.next(22))[1]).toBe(disconnects.revoked.code);
    expect((await new Caller(two).call(path)).status).toBe(404);
  });

  test("or by the command line, with the address of Redis alone", async () => {
    await using one = await start();
    const { status, out: secret } = await cli("token", "create", "--grant", "#=readwrite");
    expect(status).toBe(0);
    await using client = await one.connect({ token: secret.trim() });
    const id = (await cli("token", "list")).out.split(" ")[0] ?? "";
    expect((await cli("token", "revoke", id)).err).toBe(`Revoked token ${id}.`);
    expect((await client.next(22))[1]).toBe(disconnects.revoked.code);
    expect((await cli("token", "list")).err).toBe("There are no tokens.");
  });
});

test("JWTs that are revoked at one server end at the other, and are valid again where that is taken back", async () => {
  const toml = `[[keys]]\nalgorithm = "HS256"\nsecret = "${secret}"\n`;
  const flags = ["--redis", redis.url];
  await using one = await startServer({ flags, toml });
  await using two = await startServer({ flags, toml });
  const exp = Math.floor(Date.now() / 1000) + 600;
  const token = await mint({ sub: "press-7", jti: "j", exp, grants });
  await using client = await two.connect({ token });
  const made = await new Caller(one).call("/v1/revocations", { json: { jti: "j" } });
  expect(made.status).toBe(201);
  const revocation = made.body as { readonly id: string };
  expect((await client.next(22))[1]).toBe(disconnects.revoked.code);
  expect((await new Caller(two, token).publish({ tag: "a", payload: 1 })).status).toBe(401);
  const listed = await new Caller(two).get("/v1/revocations");
  expect(listed.body).toEqual({ revocations: [revocation], more: false });
  expect((await new Caller(two).call(`/v1/revocations/${revocation.id}`, { method: "DELETE" })).status).toBe(204);
  expect((await new Caller(two, token).publish({ tag: "a", payload: 1 })).status).toBe(200);
});

describe("Connections with a bound", () => {
  test("are counted over all servers, and free their place when they go", async () => {
    await using held = new AsyncDisposableStack();
    await using one = await start();
    await using two = await start();
    const { secret: token } = await create(one, { connectionsMax: 2 });
    const first = await one.connect({ token });
    held.use(await two.connect({ token }));
    for (const server of [one, two]) {
      await using third = await server.dial();
      third.send([1, 1, { token }]);
      expect((await third.next(22))[1]).toBe(disconnects.connectionLimit.code);
    }
    const named = await fetch(`${two.http}/events?tags=a`, { headers: { authorization: `Bearer ${token}` } });
    expect(named.status).toBe(429);
    await first.close();
    await eventually(() => one.running.registry.size === 0, "the end of the first connection");
    held.use(await two.connect({ token }));
  });

  test("whose bound is lowered are ended down to it, wherever they are", async () => {
    await using held = new AsyncDisposableStack();
    await using one = await start();
    await using two = await start();
    const { token: made, secret: token } = await create(one, { connectionsMax: 9 });
    for (const server of [one, two, one, two, one, two]) held.use(await server.connect({ token }));
    const json = { connectionsMax: 2 };
    expect((await new Caller(one).call(`/v1/tokens/${made.id}`, { method: "PATCH", json })).status).toBe(200);
    const open = () => one.running.registry.size + two.running.registry.size;
    await eventually(() => open() === 2, "the end of four connections");
    const ended = (server: TestServer) => server.running.registry.endCounts[disconnects.connectionLimit.code] ?? 0;
    expect(ended(one) + ended(two)).toBe(4);
    // What is counted together is what is there.
    await using late = await two.dial();
    late.send([1, 1, { token }]);
    expect((await late.next(22))[1]).toBe(disconnects.connectionLimit.code);
    await new Caller(two).call(`/v1/tokens/${made.id}`, { method: "PATCH", json: { connectionsMax: 3 } });
    held.use(await two.connect({ token }));
    expect(open()).toBe(3);
  });

  test("are counted here alone while Redis is away, and told to the others when it is back", async () => {
    await using held = new AsyncDisposableStack();
    await using one = await start();
    await using two = await start();
    const { token: made, secret: token } = await create(one, { connectionsMax: 2 });
    expect((await new Caller(two).call(`/v1/tokens/${made.id}`)).status).toBe(200);
    await redis.kill();
    for (const server of [one, two]) await eventually(() => !server.running.hub.ready(), "that Redis is away");
    held.use(await one.connect({ token }));
    held.use(await two.connect({ token }));
    await redis.run();
    for (const server of [one, two]) await eventually(() => server.running.hub.ready(), "that Redis is back");
    await using third = await two.dial();
    third.send([1, 1, { token }]);
    expect((await third.next(22))[1]).toBe(disconnects.connectionLimit.code);
  });

  test("of a server that is killed are free within seconds", async () => {
    await using held = new AsyncDisposableStack();
    await using one = await start();
    const { secret: token } = await create(one, { connectionsMax: 1 });
    await using other = await startProcess({ args: ["--redis", redis.url] });
    held.use(await other.connect({ token }));
    const attempt = async () => {
      await using client = await one.dial();
      client.send([1, 1, { token }]);
      await client.until(() => client.all(16).length + client.all(22).length > 0, "an answer", 8000);
      return client.all(16).length > 0;
    };
    expect(await attempt()).toBe(false);
    other.signal("SIGKILL");
    // Whoever was connected there comes back at once, and is not sent away for what that server held.
    expect(await attempt()).toBe(true);
  }, 15_000);
});

/** Connections of one millisecond at two servers stand in no order. */
async function laterMillisecond(): Promise<void> {
  const nowMs = Date.now();
  await eventually(() => Date.now() > nowMs, "the next millisecond");
}

describe("An administrator at one server", () => {
  test("sees the connections of all, in pages, oldest first", async () => {
    await using one = await start();
    await using two = await start();
    await using a = await one.connect({ options: { client: "a" } });
    await laterMillisecond();
    await using b = await two.connect({ options: { client: "b" } });
    await laterMillisecond();
    await using c = await one.connect({ options: { client: "c" } });
    const sessions = [a, b, c].map((client) => client.welcome["session"]);
    for (const server of [one, two]) {
      const { connections, more, unanswered } = await list(server);
      expect(connections.map(({ id }) => id)).toEqual(sessions as string[]);
      expect(new Set(connections.map(({ instance }) => instance)).size).toBe(2);
      expect([more, unanswered]).toEqual([false, undefined]);
      const seen: string[] = [];
      let query = "?limit=1";
      for (;;) {
        const page = await list(server, query);
        const [{ client, generation }] = page.connections as unknown as [{ client: string; generation: number }];
        seen.push(client);
        if (!page.more) break;
        query = `?limit=1&after=${generation}`;
      }
      expect(seen).toEqual(["a", "b", "c"]);
      expect((await list(server, "?client=b")).connections.map(({ client }) => client)).toEqual(["b"]);
    }
  });

  test("sees and ends a connection of the other", async () => {
    await using one = await start();
    await using two = await start();
    await using client = await two.connect({ options: { client: "b" } });
    await client.ok(2, "plant/a");
    const path = `/v1/connections/${client.welcome["session"]}`;
    const caller = new Caller(one);
    expect((await caller.call(path)).body).toMatchObject({ client: "b", patterns: ["plant/a"] });
    expect((await caller.call(`${path}?reconnect=true`, { method: "DELETE" })).status).toBe(204);
    expect((await client.next(22))[1]).toBe(disconnects.reconnect.code);
    for (const method of ["GET", "DELETE"]) expect((await caller.call(path, { method })).status).toBe(404);
  });

  test("is told which servers did not answer", async () => {
    await using held = new AsyncDisposableStack();
    await using one = await start();
    await using other = await startProcess({ args: ["--redis", redis.url] });
    await using hung = await other.connect({ token: other.token, options: { client: "hung" } });
    held.use(await one.connect({ options: { client: "here" } }));
    const instance = (await list(one)).connections.find(({ client }) => client === "hung");
    other.signal("SIGSTOP");
    try {
      const path = `/v1/connections/${hung.welcome["session"]}`;
      const caller = new Caller(one);
      const asked = [list(one), caller.call(path), caller.call(path, { method: "DELETE" })] as const;
      const [{ connections, unanswered }, shown, ended] = await Promise.all(asked);
      expect(connections.map(({ client }) => client)).toEqual(["here"]);
      expect(unanswered).toEqual([instance!.instance]);
      expect(shown.status).toBe(503);
      expect([ended.status, ended.body]).toEqual([202, { unanswered: [instance!.instance] }]);
    } finally {
      other.signal("SIGCONT");
    }
    expect((await hung.next(22))[1]).toBe(disconnects.removed.code);
  }, 15_000);

  test("ends a connection of a server that is cut off from Redis, once that is back", async () => {
    using proxy = new Proxy(redis.port);
    await using one = await start();
    await using two = await startServer({ flags: ["--redis", `redis://127.0.0.1:${proxy.port}`] });
    await using client = await two.connect();
    expect((await list(one)).connections).toHaveLength(1);
    proxy.cut();
    await eventually(() => !two.running.hub.ready(), "that it is cut off");
    const path = `/v1/connections/${client.welcome["session"]}`;
    expect((await new Caller(one).call(path, { method: "DELETE" })).status).toBe(202);
    expect(client.all(22)).toEqual([]);
    proxy.mend();
    expect((await client.next(22))[1]).toBe(disconnects.removed.code);
  });

  test("sees the connections of this server alone while Redis is away, and cannot end those of others", async () => {
    await using held = new AsyncDisposableStack();
    await using one = await start();
    await using two = await start();
    held.use(await one.connect({ options: { client: "here" } }));
    await using there = await two.connect({ options: { client: "there" } });
    expect((await list(one)).connections).toHaveLength(2);
    await redis.kill();
    await eventually(() => !one.running.hub.ready(), "that Redis is away");
    const { connections, unanswered } = await list(one);
    expect([connections.map(({ client }) => client), unanswered?.length]).toEqual([["here"], 1]);
    const path = `/v1/connections/${there.welcome["session"]}`;
    expect((await new Caller(one).call(path, { method: "DELETE" })).status).toBe(503);
    await redis.run();
  });
});

describe("tagcast cluster", () => {
  test("lists the instances, with what they tell of themselves", async () => {
    await using held = new AsyncDisposableStack();
    await using one = await start();
    await using two = await startServer({ flags: ["--redis", redis.url, "--role", "gateway"] });
    held.use(await two.connect());
    await eventually(() => two.running.registry.size === 1, "the connection");
    const { status, out } = await cli("cluster", "--json");
    expect(status).toBe(0);
    const instances = JSON.parse(out) as { address: string; roles: string[]; instance: string; uptimeMs: number }[];
    expect(instances.map(({ address }) => address).toSorted()).toEqual(
      [one, two].map(({ http }) => http.replace("http://", "")).toSorted(),
    );
    expect(instances.find(({ address }) => two.http.endsWith(address))?.roles).toEqual(["gateway"]);
    const table = await cli("cluster");
    expect(table.out.split("\n")).toHaveLength(3);
    expect(table.out).toMatch(/^INSTANCE +ADDRESS +VERSION +ROLES +UPTIME +CONNECTIONS +MESSAGES\/S /);
    await one.stop();
    expect((await cli("cluster")).out.split("\n")).toHaveLength(2);
  });

  test("says so where there are none, where Redis is not there, and what is wrong with the command line", async () => {
    expect(await cli("cluster")).toMatchObject({ status: 0, out: "", err: "There are no instances on this Redis." });
    const away = await cli("cluster", "--redis", "redis://:secret@127.0.0.1:1");
    expect([away.status, away.err]).toEqual([
      1,
      expect.stringMatching(/^tagcast cluster: Redis at 127.0.0.1:1 cannot/),
    ]);
    expect(away.err).not.toContain("secret");
    expect((await cli("cluster", "--redis", "http://x")).status).toBe(2);
    expect((await cli("token", "list", "--redis", "redis://127.0.0.1:1")).status).toBe(1);
    expect((await cli("token", "list", "--redis", redis.url, "--tokens", "x.json")).status).toBe(2);
  });
});

describe("The bridge", () => {
  test("is told of by /readyz and metrics", async () => {
    const toml = `[[tags]]\npattern = "log/#"\nhistory = { size = 10, ttl = "1h" }\n`;
    await using one = await startServer({ flags: ["--redis", redis.url], toml });
    const metrics = async () =>
      await (await fetch(`${one.http}/metrics`, { headers: { authorization: `Bearer ${adminToken}` } })).text();
    expect(await metrics()).toMatch(/^tagcast_redis_connected 1$/m);
    const ready = await fetch(`${one.http}/readyz`);
    expect([ready.status, await ready.text()]).toEqual([
      200,
      expect.stringMatching(/^ready\nredis: connected; lag [\d.]+ ms/),
    ]);
    await redis.kill();
    await eventually(() => !one.running.hub.ready(), "that Redis is away");
    const away = await fetch(`${one.http}/readyz`);
    expect([away.status, await away.text()]).toEqual([503, expect.stringMatching(/^not ready\nredis: away; /)]);
    expect(await metrics()).toMatch(/^tagcast_redis_connected 0$/m);
    // What the hub refused before it came to the bridge was not counted there.
    for (const tag of ["log/a", "live/a"]) {
      expect((await new Caller(one).publish({ tag, payload: 1 })).status).toBe(tag === "log/a" ? 503 : 200);
    }
    expect(await metrics()).toMatch(/^tagcast_redis_refused_messages_total 1$/m);
    expect(await metrics()).toMatch(/^tagcast_redis_dropped_messages_total 1$/m);
    await redis.run();
  });
});
